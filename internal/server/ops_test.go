package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestMetricsCountByRouteAndNeverByWhatClientsSend(t *testing.T) {
	t.Parallel()
	s := testServer(t)
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	ask("GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0", "")
	ask("GET", "/api/2.0/mlflow/experiments/get?experiment_id=77", "")
	ask("POST", "/api/2.0/mlflow/secret-path", "{}")
	ask("BREW", "/api/2.0/mlflow/secret-path", "")
	ask("GET", "/api/2.0/mlflow-artifacts/artifacts/secret-name", "")
	w := ask("GET", "/metrics", "")
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, got)
	}
	text := w.Body.String()
	for _, want := range []string{
		`weir_build_info{version="test",mlflow="` + MLflowVersion + `"`,
		`weir_http_requests_total{route="/api/2.0/mlflow/experiments/get",method="GET",status="2xx"} 1` + "\n",
		`weir_http_requests_total{route="/api/2.0/mlflow/experiments/get",method="GET",status="4xx"} 1` + "\n",
		`weir_http_requests_total{route="other",method="POST",status="4xx"} 1` + "\n",
		`weir_http_requests_total{route="other",method="other",status="4xx"} 1` + "\n",
		`weir_http_request_seconds_count{route="/api/2.0/mlflow/experiments/get"} 2` + "\n",
		"weir_http_requests_in_flight 1\n",
		"weir_db_write_queue 0\n",
		"\nweir_db_write_batch_size_bucket{le=\"1\"} ",
		"\nweir_db_commit_seconds_bucket{le=\"0.001\"} ",
		"\ngo_goroutines ",
		"\nprocess_start_time_seconds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(text, "secret") || strings.Contains(text, "BREW") {
		t.Error("a client's words became a label")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestMetricsOfAFoldersServerNeedItsToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready, _ := start(t, Config{BackendStoreURI: filepath.Join(dir, "store"), Dir: dir, Lease: true})
	for token, want := range map[string]int{"": http.StatusUnauthorized, "Bearer " + ready.Token: http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ready.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("with %d characters of token: %s", len(token), answer.Status)
		}
	}
}
