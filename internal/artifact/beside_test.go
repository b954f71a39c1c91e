package artifact

import (
	"archive/zip"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// Clients write to the default artifact root by themselves; what a run says to be there is served, and nothing else of it.
func TestARunBesideTheRootIsServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	beside := filepath.Join(dir, "default root")
	uri := "file://" + filepath.ToSlash(dir) + "/default%20root"
	found := oneRun{run: uri + "/1/R/artifacts", version: uri + "/1/R/artifacts/model"}
	s, server := serve(t, Options{Root: filepath.Join(dir, "root"), Beside: uri, Runs: found, Versions: found})
	if _, err := os.Stat(beside); err == nil {
		t.Error("the folder is made before anybody asks for it")
	}

	upload := server.URL + "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=R&path=model/a.txt"
	if a := request(t, http.MethodPost, upload, "hello", nil); a.status != http.StatusOK {
		t.Fatal(a)
	}
	file := filepath.Join(beside, "1", "R", "artifacts", "model", "a.txt")
	if got, err := os.ReadFile(file); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(beside, "1", "R", "artifacts", "own.txt"), []byte("by a client"), 0o666); err != nil {
		t.Fatal(err)
	}
	listed, err := s.ListRun(t.Context(), &mlflow.ListArtifactsRequest{RunID: "R"})
	if err != nil {
		t.Fatal(err)
	}
	want := []mlflow.FileInfo{{Path: "model", IsDir: true}, {Path: "own.txt", FileSize: 11}}
	if diff := cmp.Diff(want, listed.Files); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct{ path, want string }{
		{"/get-artifact?run_id=R&path=own.txt", "by a client"},
		{"/get-artifact?run_uuid=R&path=model/a.txt", "hello"},
		{"/model-versions/get-artifact?name=m&version=1&path=a.txt", "hello"},
	} {
		if a := request(t, http.MethodGet, server.URL+tt.path, "", nil); a.status != http.StatusOK || a.body != tt.want {
			t.Errorf("%s: %v", tt.path, a)
		}
	}
	a := request(t, http.MethodGet, server.URL+"/api/weir/v1/artifacts/archive?run_id=R", "", nil)
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil || len(z.File) != 2 {
		t.Errorf("archive: %v, %v", a, err)
	}
	if got := rows(t, s); got != nil {
		t.Errorf("recorded: %v", got)
	}

	// The proxy knows only the root.
	for _, path := range []string{"1/R/artifacts/own.txt", "%5Cbeside/1/R/artifacts/own.txt", `\beside/1/R/artifacts/own.txt`} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			a := raw(t, server, method, proxyBase+"/"+path, "")
			if strings.Contains(a.body, "by a client") || (strings.Contains(path, "beside") && a.status != http.StatusBadRequest) {
				t.Errorf("%s %s: %v", method, path, a)
			}
		}
	}
	if got, err := os.ReadFile(filepath.Join(beside, "1", "R", "artifacts", "own.txt")); err != nil || string(got) != "by a client" {
		t.Errorf("%q, %v", got, err)
	}

	size, err := s.RemoveTree(t.Context(), found.run, "R")
	if err != nil || size.Files != 2 {
		t.Errorf("removed %+v, %v", size, err)
	}
	if _, err := os.Stat(filepath.Join(beside, "1", "R")); err == nil {
		t.Error("the run's folder is still there")
	}
}

func TestOnlyWhatLiesBesideTheRootIsOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	beside := filepath.Join(dir, "beside")
	s := openStore(t, sqldbtest.SQLite(t), Options{Root: filepath.Join(beside, "files"), Beside: beside})
	for uri, want := range map[string]string{
		beside + "/1/R":       besidePrefix + "/1/R",
		beside + "/files/1/R": "1/R",
		beside:                "",
		beside + "2/1/R":      "",
		dir:                   "",
		beside + "/../x":      "",
		beside + "/weir.db":   "",
		"/etc/passwd":         "",
		"s3://bucket/1/R":     "",
	} {
		got, err := s.keyOfOwner(uri)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", uri, got, err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(beside, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	if f, err := s.get(t.Context(), besidePrefix+"/link/secret"); err == nil {
		f.Close()
		t.Error("a link leads out of the folder")
	}
}

// A folder that the server cannot have is no reason not to start: it may be one of the clients' machines.
func TestAnUnreachableFolderBesideTheRootIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, sqldbtest.SQLite(t), Options{Root: filepath.Join(dir, "root"), Beside: taken})
	_, err := s.keyOfOwner(taken + "/1/R")
	wantCode(t, err, mlflow.CodeInvalidParameterValue)
	if !strings.Contains(err.Error(), taken) {
		t.Error(err)
	}
}

// --default-artifact-root http://this-server/api/2.0/mlflow-artifacts/artifacts: clients upload to that URL as it stands.
func TestAURLOfTheProxyIsTheRoot(t *testing.T) {
	t.Parallel()
	proxy := "http://host:5000/p/api/2.0/mlflow-artifacts/artifacts"
	found := oneRun{run: proxy + "/1/R/artifacts", version: proxy + "/1/R/artifacts/model"}
	s, server := serve(t, Options{Root: filepath.Join(t.TempDir(), "root"), Beside: proxy, Runs: found, Versions: found})
	if a := request(t, http.MethodPut, server.URL+proxyBase+"/1/R/artifacts/a.txt", "hello", nil); a.status != http.StatusOK {
		t.Fatal(a)
	}
	listed, err := s.ListRun(t.Context(), &mlflow.ListArtifactsRequest{RunID: "R"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]mlflow.FileInfo{{Path: "a.txt", FileSize: 5}}, listed.Files); diff != "" {
		t.Error(diff)
	}
	for uri, want := range map[string]string{
		proxy + "/1/a%20b/artifacts":                        "1/a b/artifacts",
		proxy + "/../x":                                     "",
		proxy + "/.weir/part":                               "",
		strings.Replace(proxy, "host", "other", 1) + "/1/R": "",
	} {
		if got, err := s.keyOfOwner(uri); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", uri, got, err)
		}
	}
	for _, root := range []string{"http://host/x", "s3://b/api/2.0/mlflow-artifacts/artifacts", "mlflow-artifacts:/", ""} {
		if got := ownProxy(root); got != "" {
			t.Errorf("%q: %q", root, got)
		}
	}
}
