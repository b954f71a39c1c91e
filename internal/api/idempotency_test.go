package api_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

func TestIdempotencyNamesActorRouteKeyAndBody(t *testing.T) {
	t.Parallel()
	var got api.Idempotency
	rt := &api.Router{}
	note := func(ctx context.Context, _ *mlflow.CreateExperimentRequest) (*mlflow.Empty, error) {
		got = api.IdempotencyOf(ctx)
		return &mlflow.Empty{}, nil
	}
	api.Handle(rt, "POST mlflow/a", api.Create("experiment"), note)
	api.Handle(rt, "POST mlflow/b", api.Create("experiment"), note)
	call := func(actor, path, body string, keys ...string) (api.Idempotency, int) {
		got = api.Idempotency{}
		r := httptest.NewRequest(http.MethodPost, "/api/2.0/mlflow/"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header["Idempotency-Key"] = keys
		r = r.WithContext(api.WithActor(t.Context(), api.Actor{Name: actor}))
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		return got, w.Code
	}
	const body = `{"name":"n"}`
	first, _ := call("ann", "a", body, "k")
	if len(first.ID) == 0 || len(first.Body) == 0 {
		t.Fatalf("nothing is noted: %+v", first)
	}
	for _, tt := range []struct {
		name              string
		actor, path, body string
		keys              []string
		sameID, sameBody  bool
	}{
		{"again", "ann", "a", body, []string{"k"}, true, true},
		{"another actor", "bob", "a", body, []string{"k"}, false, true},
		{"another route", "ann", "b", body, []string{"k"}, false, true},
		{"another key", "ann", "a", body, []string{"l"}, false, true},
		{"another body", "ann", "a", `{"name":"m"}`, []string{"k"}, true, false},
		{"no key", "ann", "a", body, nil, false, false},
	} {
		next, status := call(tt.actor, tt.path, tt.body, tt.keys...)
		if status != 200 || bytes.Equal(first.ID, next.ID) != tt.sameID || bytes.Equal(first.Body, next.Body) != tt.sameBody {
			t.Errorf("%s: status %d, %+v", tt.name, status, next)
		}
	}
	for _, keys := range [][]string{{""}, {"a", "b"}, {"tab\t"}, {"ü"}, {strings.Repeat("k", 256)}} {
		if _, status := call("ann", "a", body, keys...); status != 400 {
			t.Errorf("key %q: status %d", keys, status)
		}
	}
	if _, status := call("ann", "a", body, strings.Repeat("k", 255)); status != 200 {
		t.Errorf("a key of 255 characters: status %d", status)
	}
}

func TestIdempotencyIsNotTakenOverByCallsInside(t *testing.T) {
	t.Parallel()
	rt := &api.Router{}
	var inner api.Idempotency
	api.Handle(rt, "POST mlflow/inner", api.Create("experiment"), func(ctx context.Context, _ *mlflow.Empty) (*mlflow.Empty, error) {
		inner = api.IdempotencyOf(ctx)
		return &mlflow.Empty{}, nil
	})
	send := func(ctx context.Context, path string, header http.Header) {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/2.0/mlflow/"+path, strings.NewReader("{}"))
		r.Header = header
		r.Header.Set("Content-Type", "application/json")
		rt.ServeHTTP(httptest.NewRecorder(), r)
	}
	api.Handle(rt, "POST mlflow/outer", api.Create("experiment"), func(ctx context.Context, _ *mlflow.Empty) (*mlflow.Empty, error) {
		send(ctx, "inner", http.Header{})
		return &mlflow.Empty{}, nil
	})
	send(t.Context(), "outer", http.Header{"Idempotency-Key": {"k"}})
	if len(inner.ID) != 0 {
		t.Error("the inner call has the key of the outer one")
	}
}
