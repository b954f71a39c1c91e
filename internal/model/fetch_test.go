package model

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

// artifactServer answers the calls that lead from a model URI to files, as a tracking server with a proxy does.
type artifactServer struct {
	mu        sync.Mutex
	files     map[string]string // path below the proxy's root → content
	versions  map[string]string // version → source
	champion  string
	downloads atomic.Int64
}

func (a *artifactServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	missing := func(code mlflow.ErrorCode) {
		w.WriteHeader(http.StatusNotFound)
		answer(mlflow.Errorf(code, "no %s", r.URL.Path))
	}
	const proxy = "/api/2.0/mlflow-artifacts/artifacts"
	switch p := r.URL.Path; {
	case p == "/api/2.0/mlflow/runs/get":
		answer(map[string]any{"run": map[string]any{"info": map[string]any{"run_id": "r1", "experiment_id": "1", "artifact_uri": "mlflow-artifacts:/1/r1/artifacts"}}})
	case p == "/api/2.0/mlflow/registered-models/alias":
		answer(map[string]any{"model_version": map[string]any{"name": "m", "version": a.champion}})
	case p == "/api/2.0/mlflow/model-versions/get-download-uri":
		answer(map[string]any{"artifact_uri": a.versions[r.URL.Query().Get("version")]})
	case p == proxy:
		folder := strings.Trim(r.URL.Query().Get("path"), "/") + "/"
		var out []map[string]any
		for name, content := range a.files {
			if rest, ok := strings.CutPrefix(name, folder); ok && !strings.Contains(rest, "/") {
				out = append(out, map[string]any{"path": rest, "is_dir": false, "file_size": len(content)})
			}
		}
		answer(map[string]any{"files": out})
	case strings.HasPrefix(p, proxy+"/"):
		content, ok := a.files[strings.TrimPrefix(p, proxy+"/")]
		if !ok {
			missing(mlflow.CodeResourceDoesNotExist)
			return
		}
		a.downloads.Add(1)
		_, _ = w.Write([]byte(content))
	default:
		missing(mlflow.CodeEndpointNotFound)
	}
}

func TestFetchFollowsURIsAndCaches(t *testing.T) {
	t.Parallel()
	fake := &artifactServer{
		files: map[string]string{
			"1/r1/artifacts/model/MLmodel":   "flavors: {crate: {}}\nmodel_uuid: a\n",
			"1/r1/artifacts/model/crate.bin": "one",
			"1/r2/artifacts/model/MLmodel":   "flavors: {crate: {}}\nmodel_uuid: b\n",
			"1/r2/artifacts/model/crate.bin": "two",
		},
		versions: map[string]string{"1": "mlflow-artifacts:/1/r1/artifacts/model", "2": "mlflow-artifacts:/1/r2/artifacts/model"},
		champion: "1",
	}
	server := httptest.NewServer(fake)
	defer server.Close()
	client, err := mlflow.NewClient(server.URL, mlflow.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(t.TempDir(), "cache")
	fetch := func(uri, want string) string {
		t.Helper()
		dir, err := Fetch(t.Context(), client, nil, uri, cache)
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "crate.bin"))
		if err != nil || string(got) != want {
			t.Fatalf("%s: %q, %v, want %q", uri, got, err, want)
		}
		return dir
	}
	first := fetch("models:/m@champion", "one")
	before := fake.downloads.Load()
	if again := fetch("models:/m/1", "one"); again != first {
		t.Errorf("the same version is fetched to %s and %s", first, again)
	}
	if n := fake.downloads.Load() - before; n != 1 {
		t.Errorf("a cached model takes %d downloads, want 1 (its MLmodel)", n)
	}
	fetch("runs:/r1/model", "one")
	fake.mu.Lock()
	fake.champion = "2"
	fake.mu.Unlock()
	fetch("models:/m@champion", "two")

	fake.mu.Lock()
	fake.files["1/r1/artifacts/model/MLmodel"] = "flavors: {crate: {}}\nmodel_uuid: c\n"
	fake.files["1/r1/artifacts/model/crate.bin"] = "three"
	fake.mu.Unlock()
	fetch("runs:/r1/model", "three") // logged again under the same path

	if _, err := Fetch(t.Context(), client, nil, "runs:/r1/other", cache); mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist || !strings.Contains(err.Error(), "runs:/r1/other is not a model") {
		t.Errorf("a folder without MLmodel: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(cache, ".fetch-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary folders are left: %v, %v", left, err)
	}
}

func TestFetchTakesLocalFoldersAsTheyAre(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Fetch(t.Context(), nil, nil, dir, ""); mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
		t.Errorf("a folder that is no model: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, MLmodelFile), []byte("flavors: {crate: {}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{dir, "file://" + dir, filepath.Join(dir, MLmodelFile)} {
		if got, err := Fetch(t.Context(), nil, nil, uri, ""); err != nil || got != dir {
			t.Errorf("%s: %s, %v", uri, got, err)
		}
	}
	if _, err := Fetch(t.Context(), nil, nil, "models:/m/1", ""); err == nil || !strings.Contains(err.Error(), "needs a tracking server") {
		t.Errorf("without a client: %v", err)
	}
}
