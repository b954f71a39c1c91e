package artifact

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/weir-ml/weir/mlflow"
)

// condition is what a PUT asks of the file that it replaces: If-Match and If-None-Match of RFC 9110.
type condition struct {
	match, none string
}

// conditionOf reads the condition of a request. A part of a file is refused: as a whole file it would destroy the rest.
func conditionOf(h http.Header) (condition, error) {
	if h.Get("Content-Range") != "" {
		return condition{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"a file is stored whole, not by Content-Range; large ones are sent as an upload in parts")
	}
	return condition{match: strings.Join(h.Values("If-Match"), ","), none: strings.Join(h.Values("If-None-Match"), ",")}, nil
}

// check compares the condition with the file at a key.
func (c condition) check(ctx context.Context, s *Store, key string) error {
	tag := ""
	f, err := s.get(ctx, key)
	if err == nil {
		tag = f.ETag()
		err = f.Close()
	}
	if err != nil && mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
		return err
	}
	if c.match != "" && !names(c.match, tag) {
		return mlflow.Errorf(mlflow.CodePreconditionFailed, "the artifact is not the one that If-Match names; nothing was stored")
	}
	if c.none != "" && names(c.none, tag) {
		return mlflow.Errorf(mlflow.CodePreconditionFailed, "the artifact that If-None-Match names is there; nothing was stored")
	}
	return nil
}

// names says whether a list of tags, or *, has the tag of a file; tag is empty when there is no file.
func names(list, tag string) bool {
	if tag == "" {
		return false
	}
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || one == tag {
			return true
		}
	}
	return false
}

// turns lets one conditional PUT at a time replace a file.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // by key; closed when that turn is over
}

// take waits for the turn of a key.
func (t *turns) take(ctx context.Context, key string) (leave func(), err error) {
	for {
		t.mu.Lock()
		before, taken := t.busy[key]
		if !taken {
			over := make(chan struct{})
			if t.busy == nil {
				t.busy = map[string]chan struct{}{}
			}
			t.busy[key] = over
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.busy, key)
				t.mu.Unlock()
				close(over)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// whenAllowed runs put if the request's condition holds, which no other conditional PUT of this server changes meanwhile.
func (s *Store) whenAllowed(r *http.Request, key string, put func() (Info, error)) (Info, error) {
	c, err := conditionOf(r.Header)
	if err != nil {
		return Info{}, err
	}
	if c == (condition{}) {
		return put()
	}
	leave, err := s.turns.take(r.Context(), key)
	if err != nil {
		return Info{}, err
	}
	defer leave()
	if err := c.check(r.Context(), s, key); err != nil {
		return Info{}, err
	}
	return put()
}
