package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

func testRouter() *Router {
	rt := &Router{StaticPrefix: "/team"}
	Handle(rt, "GET mlflow/runs/get", Read(Resource{"run", "run_id"}), func(_ context.Context, req *mlflow.RunRequest) (*mlflow.RunResponse, error) {
		switch req.RunID {
		case "missing":
			return nil, fmt.Errorf("get run: %w", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Run with id=missing not found"))
		case "broken":
			return nil, errors.New("select * from secrets")
		case "panic":
			panic("at the disco")
		case "long":
			return &mlflow.RunResponse{Run: mlflow.Run{Info: mlflow.RunInfo{RunName: strings.Repeat("x", 4000)}}}, nil
		}
		return &mlflow.RunResponse{}, nil
	})
	Handle(rt, "GET|POST mlflow/experiments/search", List("experiment"), func(ctx context.Context, _ *mlflow.SearchExperimentsRequest) (*mlflow.SearchExperimentsResponse, error) {
		resp := &mlflow.SearchExperimentsResponse{}
		for _, id := range ScopeOf(ctx, "experiment").IDs {
			resp.Experiments = append(resp.Experiments, mlflow.Experiment{ExperimentID: id})
		}
		return resp, nil
	})
	Stream(rt, "GET mlflow-artifacts/artifacts/{path...}", Read(Resource{"artifact", "path"}), func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.PathValue("path"))
	})
	rt.Fallback = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })
	return rt
}

func get(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader("{}"))
	r.Host = "localhost:5000"
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRouterFindsRoutesUnderEverySpelling(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	for _, target := range []string{
		"/api/2.0/mlflow/runs/get?run_id=r", "/ajax-api/2.0/mlflow/runs/get?run_id=r", "/api/2.0/preview/mlflow/runs/get?run_id=r",
		"/api/2.0/mlflow/runs/get/?run_id=r", "//api/2.0/mlflow/runs/get?run_id=r", "/team/api/2.0/mlflow/runs/get?run_id=r",
		"/team/ajax-api/2.0/mlflow/runs/get?run_uuid=r",
	} {
		if w := get(rt, "GET", target); w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"run":{"info":{`) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestRouterAnswersFaultsAsJSON(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	guarded := Guard{}.Wrap(rt)
	tests := []struct {
		method, target string
		status         int
		code           mlflow.ErrorCode
		message        string
	}{
		{"GET", "/api/2.0/mlflow/runs/get?run_id=missing", 404, mlflow.CodeResourceDoesNotExist, "Run with id=missing not found"},
		{"GET", "/api/2.0/mlflow/runs/get?run_id=broken", 500, mlflow.CodeInternal, "internal error"},
		{"GET", "/api/2.0/mlflow/runs/get?run_id=panic", 500, mlflow.CodeInternal, "internal error"},
		{"GET", "/api/2.0/mlflow/nothing", 404, mlflow.CodeEndpointNotFound, "No endpoint at /api/2.0/mlflow/nothing"},
		{"DELETE", "/api/2.0/mlflow/experiments/search", 405, mlflow.CodeMethodNotAllowed, "DELETE is not allowed on /api/2.0/mlflow/experiments/search; it takes GET, POST"},
		{"GET", "/api/2.0/mlflow-artifacts/artifacts/a/../b", 400, mlflow.CodeInvalidParameterValue, "Invalid path"},
		{"GET", "/api/2.0/mlflow-artifacts/artifacts/a//b", 400, mlflow.CodeInvalidParameterValue, "Invalid path"},
		{"GET", "/api/2.0/mlflow-artifacts/artifacts/.", 400, mlflow.CodeInvalidParameterValue, "Invalid path"},
	}
	for _, tt := range tests {
		w := get(guarded, tt.method, tt.target)
		var e mlflow.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != tt.status || e.Code != tt.code || e.Message != tt.message {
			t.Errorf("%s %s: %d %s", tt.method, tt.target, w.Code, w.Body)
		}
		if ct := w.Header().Get("Content-Type"); ct != "application/json" {
			t.Errorf("%s: Content-Type %q", tt.target, ct)
		}
	}
	if w := get(rt, "DELETE", "/api/2.0/mlflow/experiments/search"); w.Header().Get("Allow") != "GET, POST" {
		t.Errorf("Allow: %q", w.Header().Get("Allow"))
	}
}

func TestRouterKeepsTheWebPageAwayFromAPIPaths(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	for target, want := range map[string]string{"/": "page", "/assets/app.js": "page", "/team/": "page"} {
		if w := get(rt, "GET", target); w.Body.String() != want {
			t.Errorf("%s: %q", target, w.Body)
		}
	}
	if w := get(rt, "GET", "/ajax-api/2.0/mlflow/graphql"); w.Code != 404 {
		t.Errorf("an unknown API path answered %d", w.Code)
	}
}

func TestRouterChecksContentType(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	w := get(rt, "POST", "/api/2.0/mlflow/experiments/search", "Content-Type", "text/plain")
	if !strings.Contains(w.Body.String(), "Bad Request. Content-Type must be one of ['application/json'].") {
		t.Error(w.Body)
	}
	w = get(rt, "POST", "/api/2.0/mlflow/experiments/search", "Content-Type", "")
	if !strings.Contains(w.Body.String(), "Bad Request. Content-Type header is missing.") {
		t.Error(w.Body)
	}
	w = get(rt, "POST", "/api/2.0/mlflow/experiments/search", "Content-Type", "application/json", "Content-Encoding", "gzip")
	if w.Code != 400 || !strings.Contains(w.Body.String(), `Content-Encoding \"gzip\"`) {
		t.Errorf("a compressed body: %d %s", w.Code, w.Body)
	}
}

func TestRouterRefusesARouteWithoutPermission(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("mounted")
		}
	}()
	Stream(&Router{}, "GET /x", Permission{}, nil)
}

type onlyOne struct{ id string }

func (p onlyOne) Allow(_ context.Context, _ Actor, perm Permission, id string) error {
	if perm.Level == LevelList || id == p.id {
		return nil
	}
	return mlflow.Errorf(mlflow.CodePermissionDenied, "no %s permission on %s %q", perm.Level, perm.Resource.Kind, id)
}

func (p onlyOne) Scope(context.Context, Actor, string) Scope { return Scope{IDs: []string{p.id}} }

// TestAStreamReadsTheParameterThatWasAllowed: a request that names two runs must not be allowed one and get the other.
func TestAStreamReadsTheParameterThatWasAllowed(t *testing.T) {
	t.Parallel()
	rt := &Router{Policy: onlyOne{"mine"}}
	Stream(rt, "GET mlflow/stream", Read(Resource{Kind: "run", Field: "run_id"}), func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, Param(r, "run_id"))
	})
	Stream(rt, "POST mlflow/folder/{run_id...}", Edit(Resource{Kind: "run", Field: "run_id"}), func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s is allowed", r.URL)
	})
	if w := get(rt, "POST", "/api/2.0/mlflow/folder/?run_id=mine"); w.Code != 403 {
		t.Errorf("a value beside an empty path: %d", w.Code)
	}
	for query, want := range map[string]int{
		"run_id=mine": 200, "run_uuid=mine": 200, "run_id=&run_uuid=mine": 200, "run_id=mine&run_id=yours": 200, "run_id=mine&run_uuid=yours": 200,
		"run_id=yours&run_id=mine": 403, "run_id=yours&run_uuid=mine": 403, "run_id=&run_id=mine": 403, "run_uuid=yours&run_uuid=mine": 403, "": 403,
	} {
		w := get(rt, "GET", "/api/2.0/mlflow/stream?"+query)
		if w.Code != want || want == 200 && w.Body.String() != "mine" {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

func TestPolicyDecidesForEveryRoute(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	rt.Policy = onlyOne{"mine"}
	for target, want := range map[string]int{
		"/api/2.0/mlflow/runs/get?run_id=mine":                200,
		"/api/2.0/mlflow/runs/get?run_uuid=mine":              200,
		"/api/2.0/mlflow/runs/get?run_id=yours":               403,
		"/api/2.0/mlflow-artifacts/artifacts/mine":            200,
		"/api/2.0/mlflow-artifacts/artifacts/yours":           403,
		"/api/2.0/mlflow/runs/get?run_id=yours&run_uuid=mine": 403,
		"/api/2.0/mlflow/runs/get?run_id=yours&run_id=mine":   403,
	} {
		if w := get(rt, "GET", target); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
	if w := get(rt, "GET", "/api/2.0/mlflow/experiments/search"); !strings.Contains(w.Body.String(), `"experiment_id":"mine"`) {
		t.Errorf("scope is not in the context: %s", w.Body)
	}
}

func TestGuardChecksHostAndOrigin(t *testing.T) {
	t.Parallel()
	h := Guard{AllowedOrigins: []string{"https://ok.example"}}.Wrap(testRouter())
	const path = "/api/2.0/mlflow/experiments/search"
	tests := []struct {
		method, header, value string
		want                  int
	}{
		{"GET", "Host", "localhost", 200},
		{"GET", "Host", "127.0.0.1:5000", 200},
		{"GET", "Host", "[::1]:5000", 200},
		{"GET", "Host", "192.168.1.7:5000", 200},
		{"GET", "Host", "172.20.0.2", 200},
		{"GET", "Host", "10.evil.example", 403},
		{"GET", "Host", "192.168.1.7.evil.example", 403},
		{"GET", "Host", "evil.example:5000", 403},
		{"GET", "Host", "8.8.8.8", 403},
		{"GET", "Host", "0.0.0.0:5000", 200},
		{"GET", "Host", "LOCALHOST:5000", 200},
		{"GET", "Host", "localhost:80.evil.example", 403},
		{"GET", "Host", "[::1]:80.evil.example", 403},
		{"GET", "Host", "localhost.evil.example", 403},
		{"POST", "Origin", "http://localhost:3000", 200},
		{"POST", "Origin", "https://ok.example", 200},
		{"POST", "Origin", "https://evil.example", 403},
		{"POST", "Origin", "http://localhost.evil.example", 403},
		{"POST", "Origin", "null", 403},
		{"POST", "Sec-Fetch-Site", "cross-site", 403},
		{"POST", "Sec-Fetch-Site", "same-origin", 200},
		{"GET", "Origin", "https://evil.example", 200},
		{"OPTIONS", "Origin", "https://evil.example", 204},
	}
	for _, tt := range tests {
		w := get(h, tt.method, path, tt.header, tt.value)
		if w.Code != tt.want {
			t.Errorf("%s %s=%s: %d, want %d", tt.method, tt.header, tt.value, w.Code, tt.want)
		}
		if tt.value == "https://evil.example" && w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("a foreign origin may read the answer")
		}
	}
	w := get(Guard{AllowedHosts: []string{"*.lab.example:*"}}.Wrap(testRouter()), "GET", path, "Host", "ml.lab.example:443")
	if w.Code != 200 || w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("X-Request-Id") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestAnswersToBrowsersAreCompressed(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	w := get(rt, "GET", "/ajax-api/2.0/mlflow/runs/get?run_id=long", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || len(text) < 4000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if w := get(rt, "GET", "/api/2.0/mlflow/runs/get?run_id=long", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Error("an SDK's answer is compressed")
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	for _, length := range []int64{defaultBodyLimit + 1, -1} {
		r := httptest.NewRequest("POST", "/api/2.0/mlflow/experiments/search", io.LimitReader(zeros{}, defaultBodyLimit+1))
		r.Header.Set("Content-Type", "application/json")
		r.ContentLength = length
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("length %d: %d %s", length, w.Code, w.Body)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
