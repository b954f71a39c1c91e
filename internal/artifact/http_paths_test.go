package artifact

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

func TestBadPathsAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, server := serve(t, Options{Root: filepath.Join(dir, "root")})
	put(t, s, "a/x", "inside")
	for _, name := range []string{"x", "etc"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("outside"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t, dir)
	for family, paths := range badPaths {
		t.Run(family, func(t *testing.T) {
			for _, p := range paths {
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					got := raw(t, server, method, proxyBase+"/"+p, "evil")
					if got.status != 400 || got.errorCode() != "INVALID_PARAMETER_VALUE" {
						t.Errorf("%s %s: %d %s", method, p, got.status, got.body)
					}
					if family != "longer than the store" && !strings.Contains(got.body, `"Invalid path"`) {
						t.Errorf("%s %s: %s", method, p, got.body)
					}
				}
				if strings.EqualFold(p, "a%2fx") {
					continue // the text of a parameter is decoded before it is split, so this is a/x there
				}
				for _, query := range []string{
					proxyBase + "?path=", "/api/2.0/mlflow/artifacts/list?run_id=R&path=", "/get-artifact?run_id=R&path=",
					"/model-versions/get-artifact?name=m&version=1&path=",
				} {
					if got := raw(t, server, "GET", query+p, ""); got.status != 400 {
						t.Errorf("GET %s%s: %d %s", query, p, got.status, got.body)
					}
				}
				upload := "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=R&path=" + p
				if got := raw(t, server, "POST", upload, "evil"); got.status != 400 {
					t.Errorf("POST %s: %d %s", upload, got.status, got.body)
				}
			}
		})
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("files changed:\n%s", diff)
	}
}

func TestDeletingTheRootIsRefused(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	put(t, s, "a/x", "data")
	for _, p := range []string{"", "/", "/.", "/./", "/%2e", "/%2e/", "/..", "/a/..", "/a/../", "//", "/%252e", "/a/%2e%2e"} {
		if got := raw(t, server, "DELETE", proxyBase+p, ""); got.status != 400 {
			t.Errorf("DELETE %q: %d %s", p, got.status, got.body)
		}
	}
	if got := request(t, "GET", server.URL+proxyBase+"/a/x", "", nil); got.body != "data" {
		t.Errorf("%+v", got)
	}
}

// Clients that send "a?b.txt" unescaped ask for "a" with a query: deleting that would delete another file.
func TestDeletesWithAQueryAreRefused(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{Root: t.TempDir()})
	put(t, s, "1/R/artifacts/a", "x")
	put(t, s, "1/R/artifacts/a?b.txt", "y")
	base := server.URL + "/api/2.0/mlflow-artifacts/artifacts/1/R/artifacts/"
	for _, name := range []string{"a?b.txt", "a?"} {
		if got := request(t, "DELETE", base+name, "", nil); got.status != 400 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := request(t, "DELETE", base+"a%3Fb.txt", "", nil); got.status != 200 {
		t.Errorf("%+v", got)
	}
	if got := request(t, "GET", base+"a", "", nil); got.body != "x" {
		t.Errorf("%+v", got)
	}
}

func TestLegitimateNamesTravelUnchanged(t *testing.T) {
	t.Parallel()
	_, server := serve(t, Options{})
	client, err := mlflow.NewClient(server.URL, mlflow.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{
		"a#b.txt", "a?b.txt", "100%.csv", "naïve dir/ü.png", strings.Repeat("n", 200), "50%41.txt", "a b+c&d=e;f.txt", "..hidden", "a..b",
		"with:colon.txt", "...", "日本語/ファイル.txt", "quote'\"`.txt", "C", "-", "~", "run/weir.lock", "run/.weir/x", "run/file:x",
	}
	random := bytes.Repeat([]byte{0, 1, 255, '\r', '\n', '%'}, 1000)
	for _, name := range names {
		content := append([]byte(name), random...)
		uri := "mlflow-artifacts:/" + name
		if err := client.PutArtifact(t.Context(), uri, bytes.NewReader(content), int64(len(content))); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		path, err := client.DownloadArtifacts(t.Context(), uri, t.TempDir())
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got, err := os.ReadFile(path); !bytes.Equal(got, content) || err != nil {
			t.Errorf("%q came back with %d bytes of %d, %v", name, len(got), len(content), err)
		}
		listed, err := client.ListArtifacts(t.Context(), uri[:strings.LastIndexAny(uri, "/")])
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range listed {
			found = found || (f.Path == name[strings.LastIndex(name, "/")+1:] && f.FileSize == int64(len(content)))
		}
		if !found {
			t.Errorf("%q is not in %v", name, listed)
		}
	}
}
