package endpoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/weir-ml/weir/mlflow"
)

// bodyPause is how long a body may stop before the request is given up: one that never ends would hold its connection
// and what has come of it for ever.
const bodyPause = 30 * time.Second

const (
	// smallBody is the size up to which bodies are read without asking for room.
	smallBody = 4 << 20
	// A large body has to come within slowStart and at slowRate bytes a second then: others wait for its room.
	slowStart = 30 * time.Second
	slowRate  = 64 << 10
)

// readBody reads the body of a request, of at most limit bytes. Large bodies share room, which has limit bytes as well:
// what R is sent of a body, and what is read from it before, takes many times its size. What a body takes of the room is
// given back by release, which is to be called when the request is answered.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, room *semaphore.Weighted) (body []byte, release func(), err error) {
	release = func() {}
	control := http.NewResponseController(w)
	src := &patient{control: control, body: r.Body}
	if r.ContentLength > limit {
		// A client that sends before it looks would see a broken connection instead of the answer.
		if !strings.EqualFold(r.Header.Get("Expect"), "100-continue") && r.ContentLength <= 4*limit {
			_, _ = io.Copy(io.Discard, src)
		}
		return nil, release, tooLarge(limit)
	}
	src.body = http.MaxBytesReader(w, r.Body, limit)
	defer func() {
		if err == nil {
			// The connection is watched while R predicts: that must not run into the deadline of the last read. After a
			// fault it stays, for the HTTP server, which waits for the rest.
			_ = control.SetReadDeadline(time.Time{})
		}
	}()
	n := r.ContentLength
	if n >= 0 && n <= 1<<20 {
		body = make([]byte, n)
		_, err := io.ReadFull(src, body)
		return body, release, bodyFault(err, limit)
	}
	var buf bytes.Buffer
	if n < 0 {
		if _, err := io.CopyN(&buf, src, smallBody); err == io.EOF {
			return buf.Bytes(), release, nil
		} else if err != nil {
			return nil, release, bodyFault(err, limit)
		}
		n = limit
	}
	if n > smallBody {
		if err := enter(r.Context(), room, n); err != nil {
			return nil, release, err
		}
		release = sync.OnceFunc(func() { room.Release(n) })
		src.begin = time.Now()
	}
	if r.ContentLength >= 0 {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err = buf.ReadFrom(src)
	return buf.Bytes(), release, bodyFault(err, limit)
}

// enter waits for room, but no longer than a client would.
func enter(ctx context.Context, room *semaphore.Weighted, n int64) error {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if room.Acquire(limited, n) == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return mlflow.Errorf(mlflow.CodeResourceExhausted, "the server is busy with other large requests; send this one again, or in parts")
}

func bodyFault(err error, limit int64) error {
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		return tooLarge(limit)
	case errors.Is(err, errTooSlow):
		return mlflow.Errorf(mlflow.CodeBadRequest, "the body comes too slowly; send it in parts")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return mlflow.Errorf(mlflow.CodeBadRequest, "the body did not go on for %s", bodyPause)
	}
	return mlflow.Errorf(mlflow.CodeBadRequest, "the body cannot be read: %v", err)
}

var errTooSlow = errors.New("too slow")

// patient waits for each piece of a body, but not for ever. Writers without a connection have no deadlines.
type patient struct {
	control *http.ResponseController
	body    io.Reader
	begin   time.Time // of a body that others wait for
	n       int64     // bytes since then
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(bodyPause))
	n, err := p.body.Read(b)
	p.n += int64(n)
	if err == nil && !p.begin.IsZero() && time.Since(p.begin) > slowStart+time.Duration(p.n/slowRate)*time.Second {
		err = errTooSlow
	}
	return n, err
}
