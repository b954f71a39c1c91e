package tracking_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/mlflow"
)

// server is a store with its routes, as clients see them.
type server struct {
	t      testing.TB
	store  *tracking.Store
	router *api.Router
	clock  *atomic.Int64 // milliseconds
}

func newServer(t testing.TB, db *sqldb.DB) *server {
	t.Helper()
	clock := new(atomic.Int64)
	clock.Store(1_700_000_000_000)
	store, err := tracking.New(db, tracking.Options{
		WorkDir: "/srv",
		Now:     func() time.Time { return time.UnixMilli(clock.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &server{t: t, store: store, router: &api.Router{}, clock: clock}
	store.Mount(s.router)
	return s
}

// each runs f on a server over each database.
func each(t *testing.T, f func(t *testing.T, s *server)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newServer(t, db)) })
}

// send makes a call below /api/2.0/mlflow/ and gives its status and its body. A GET's body is its query.
func (s *server) send(method, path, body string) (int, string) {
	s.t.Helper()
	var r *http.Request
	url := "/api/2.0/mlflow/" + path
	if strings.HasPrefix(path, "/") {
		url = path
	}
	if method == http.MethodGet {
		r = httptest.NewRequestWithContext(s.t.Context(), method, url+"?"+body, nil)
	} else {
		r = httptest.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	s.router.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// ok makes a call that must succeed and decodes its answer.
func ok[T any](s *server, method, path string, body any) T {
	s.t.Helper()
	text, isText := body.(string)
	if !isText {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text = string(b)
	}
	status, answer := s.send(method, path, text)
	if status != 200 {
		s.t.Fatalf("%s %s %s: %d %s", method, path, text, status, answer)
	}
	var v T
	d := json.NewDecoder(bytes.NewReader([]byte(answer)))
	if err := d.Decode(&v); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
	return v
}

// fails makes a call that must fail with a code and a message that contains each of parts.
func (s *server) fails(method, path, body string, code mlflow.ErrorCode, parts ...string) {
	s.t.Helper()
	status, answer := s.send(method, path, body)
	var e mlflow.Error
	if err := json.Unmarshal([]byte(answer), &e); err != nil {
		s.t.Errorf("%s %s %s: %d %s", method, path, body, status, answer)
		return
	}
	if e.Code != code || status != e.HTTPStatus() {
		s.t.Errorf("%s %s %s: %d %s, want %s", method, path, body, status, answer, code)
	}
	for _, part := range parts {
		if !strings.Contains(e.Message, part) {
			s.t.Errorf("%s %s %s: message %q lacks %q", method, path, body, e.Message, part)
		}
	}
}

type empty = map[string]any

func (s *server) experiment(name string) string {
	s.t.Helper()
	return ok[mlflow.CreateExperimentResponse](s, "POST", "experiments/create", mlflow.CreateExperimentRequest{Name: name}).ExperimentID
}

func (s *server) run(exp string, tags ...mlflow.KeyValue) string {
	s.t.Helper()
	r := ok[mlflow.RunResponse](s, "POST", "runs/create", mlflow.CreateRunRequest{ExperimentID: exp, Tags: tags})
	return r.Run.Info.RunID
}

func (s *server) get(run string) mlflow.Run {
	s.t.Helper()
	return ok[mlflow.RunResponse](s, "GET", "runs/get", "run_id="+run).Run
}

func (s *server) metric(run, key string, value any, ts, step int64) {
	s.t.Helper()
	b, err := json.Marshal(map[string]any{"run_id": run, "key": key, "value": value, "timestamp": ts, "step": step})
	if err != nil {
		s.t.Fatal(err)
	}
	ok[empty](s, "POST", "runs/log-metric", string(b))
}

func (s *server) param(run, key, value string) {
	s.t.Helper()
	ok[empty](s, "POST", "runs/log-parameter", mlflow.LogParamRequest{RunID: run, Key: key, Value: value})
}

func (s *server) tag(run, key, value string) {
	s.t.Helper()
	ok[empty](s, "POST", "runs/set-tag", mlflow.SetTagRequest{RunID: run, Key: key, Value: value})
}

func tagOf(run mlflow.Run, key string) (string, bool) {
	for _, t := range run.Data.Tags {
		if t.Key == key {
			return t.Value, true
		}
	}
	return "", false
}

func metricOf(run mlflow.Run, key string) string {
	for _, m := range run.Data.Metrics {
		if m.Key == key {
			return fmt.Sprintf("%v@%d/%d", float64(m.Value), m.Step, m.Timestamp)
		}
	}
	return "none"
}
