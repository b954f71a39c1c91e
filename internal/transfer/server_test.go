package transfer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

// handler answers as a server on the world does.
func (w *world) handler() http.Handler {
	w.t.Helper()
	files, err := artifact.New(w.t.Context(), w.db, artifact.Options{Root: w.root, Runs: w.runs, Models: w.runs})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { files.Close() })
	rt := &api.Router{}
	w.runs.Mount(rt)
	w.models.Mount(rt)
	files.Mount(rt)
	return rt
}

func openServer(t *testing.T, handler http.Handler, o mlflow.ClientOptions) *transfer.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return transfer.NewServer(must[*mlflow.Client](t)(mlflow.NewClient(server.URL, o)))
}

func TestServerBringsAllThatItTells(t *testing.T) {
	t.Parallel()
	there := full(t, openLite(t))
	want := there.dump()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		here := newWorld(t, db, t.TempDir())
		src := openServer(t, there.handler(), mlflow.ClientOptions{})
		report := here.run(src)
		if len(report.Faults) > 0 || report.Runs.Added != 6 || report.Files.Added != 7 {
			t.Errorf("%+v", report)
		}
		diff(t, want, here.dump())
		files := hashes(t, here.root)
		for path, sum := range hashes(t, there.root) {
			if path == "shared/model/MLmodel" {
				path = "registry/odd%20100%25%20n%C3%A4me/1/MLmodel"
			}
			if files[path] != sum {
				t.Errorf("artifact %s is not the same", path)
			}
		}
		again := here.run(src)
		if again.Added() != 0 || again.Files.Added != 0 || len(again.Faults) > 0 || len(again.Rewrites) > 0 {
			t.Errorf("the second import changed something: %+v", again)
		}
		diff(t, want, here.dump())
	})
}

// More runs than a page of a search and more points than a page of a history.
func TestServerGivesAllPages(t *testing.T) {
	t.Parallel()
	there := newWorld(t, openLite(t), t.TempDir())
	const runs, points = 1003, 25003
	for n := range runs {
		must[*mlflow.RunResponse](t)(there.runs.CreateRun(t.Context(), &mlflow.CreateRunRequest{
			ExperimentID: "0", RunName: fmt.Sprint(n), StartTime: mlflow.Some(int64(n / 10)),
		}))
	}
	long := must[*mlflow.RunResponse](t)(there.runs.CreateRun(t.Context(), &mlflow.CreateRunRequest{ExperimentID: "0", RunName: "long"})).Run.Info.RunID
	for at := 0; at < points; at += 1000 {
		var metrics []mlflow.Metric
		for n := at; n < min(at+1000, points); n++ {
			metrics = append(metrics, mlflow.Metric{Key: "m", Step: int64(n), Timestamp: int64(n / 3), Value: mlflow.Float(n)})
		}
		if _, err := there.runs.LogBatch(t.Context(), &mlflow.LogBatchRequest{RunID: long, Metrics: metrics}); err != nil {
			t.Fatal(err)
		}
	}
	here := newWorld(t, openLite(t), t.TempDir())
	report := here.run(openServer(t, there.handler(), mlflow.ClientOptions{}))
	if report.Runs.Added != runs+1 || report.Points != points {
		t.Errorf("%d runs and %d points came, want %d and %d", report.Runs.Added, report.Points, runs+1, points)
	}
	diff(t, there.history(long, "m"), here.history(long, "m"))
}

// A server that fails in the middle ends the import with an error; the next one goes on.
func TestServerThatFailsInTheMiddle(t *testing.T) {
	t.Parallel()
	there := full(t, openLite(t))
	var left atomic.Int64
	answers := there.handler()
	src := openServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left.Add(-1) < 0 {
			panic(http.ErrAbortHandler)
		}
		answers.ServeHTTP(w, r)
	}), mlflow.ClientOptions{Retries: -1})
	here := newWorld(t, openLite(t), t.TempDir())
	for n := int64(1); ; n += 3 {
		left.Store(n)
		_, err := transfer.Import(t.Context(), src, here.target(), transfer.Options{})
		if err == nil {
			break
		}
		if n > 1000 {
			t.Fatalf("after %d requests: %v", n, err)
		}
	}
	diff(t, there.dump(), here.dump())
}

func TestServerAsksForCredentials(t *testing.T) {
	t.Parallel()
	there := newWorld(t, openLite(t), t.TempDir())
	answers := there.handler()
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "ada" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answers.ServeHTTP(w, r)
	})
	here := newWorld(t, openLite(t), t.TempDir())
	_, err := transfer.Import(t.Context(), openServer(t, guarded, mlflow.ClientOptions{}), here.target(), transfer.Options{})
	if mlflow.CodeOf(err) != mlflow.CodeUnauthenticated {
		t.Errorf("without credentials: %v", err)
	}
	here.run(openServer(t, guarded, mlflow.ClientOptions{Username: "ada", Password: "secret"}))
}

// A server's local paths are its own: none of this machine's files is taken for one of its artifacts, and no name that it
// lists leaves the artifact root.
func TestServerCannotNameFilesOfThisMachine(t *testing.T) {
	t.Parallel()
	secret := t.TempDir()
	w := newWorld(t, openLite(t), secret)
	w.put("secret.txt", "secret")
	here := newWorld(t, openLite(t), t.TempDir())
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(v) }
	}
	id := strings.Repeat("a", 32)
	mux := http.NewServeMux()
	mux.Handle("POST /api/2.0/mlflow/experiments/search", answer(mlflow.SearchExperimentsResponse{Experiments: []mlflow.Experiment{{ExperimentID: "0", Name: "Default", LifecycleStage: "active"}}}))
	run := mlflow.Run{Info: mlflow.RunInfo{RunID: id, Status: "FINISHED", ArtifactURI: "file://" + filepath.ToSlash(secret)}}
	mux.Handle("POST /api/2.0/mlflow/runs/search", answer(mlflow.SearchRunsResponse{Runs: []mlflow.Run{run}}))
	mux.Handle("GET /api/2.0/mlflow/runs/get", answer(mlflow.RunResponse{Run: run}))
	mux.Handle("GET /api/2.0/mlflow/artifacts/list", answer(mlflow.ListArtifactsResponse{Files: []mlflow.FileInfo{
		{Path: "../../../up.txt", FileSize: 1}, {Path: "/abs.txt", FileSize: 1}, {Path: "good.txt", FileSize: 2},
	}}))
	mux.HandleFunc("GET /get-artifact", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error_code":"ENDPOINT_NOT_FOUND","message":"no"}`)
	})
	report := here.run(openServer(t, mux, mlflow.ClientOptions{}))
	diff(t, map[string]string{"0/" + id + "/artifacts/good.txt": "2689367b205c16ce32ed4200942b8b8b1e262dfc70d9bc9fbc77c49699a4f1df"}, hashes(t, here.root))
	if len(report.Faults) != 2 {
		t.Errorf("faults: %v", report.Faults)
	}
}
