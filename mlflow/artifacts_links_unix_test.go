//go:build unix

package mlflow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTreesGoUpAndDown(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	want := map[string]string{"a.txt": "a", "sub/b#.bin": strings.Repeat("b", 1<<17), "sub/deep/ü": "", "link.txt": "a"}
	for name, data := range want {
		p := filepath.Join(source, name)
		os.MkdirAll(filepath.Dir(p), 0o777)
		if name != "link.txt" {
			os.WriteFile(p, []byte(data), 0o666)
		}
	}
	if err := os.Symlink(filepath.Join(source, "a.txt"), filepath.Join(source, "link.txt")); err != nil {
		t.Fatal(err)
	}
	for kind, root := range map[string]string{"proxy": "mlflow-artifacts:/1/r/artifacts", "disk": filepath.Join(t.TempDir(), "art")} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			proxy := &memoryProxy{files: map[string]string{}}
			c, _ := newTestClient(t, ClientOptions{}, proxy.ServeHTTP)
			if err := c.UploadArtifacts(t.Context(), source, root); err != nil {
				t.Fatal(err)
			}
			if err := c.UploadArtifacts(t.Context(), filepath.Join(source, "a.txt"), JoinURI(root, "single")); err != nil {
				t.Fatal(err)
			}
			out := t.TempDir()
			path, err := c.DownloadArtifacts(t.Context(), JoinURI(root, "sub"), out)
			if err != nil || path != filepath.Join(out, "sub") {
				t.Fatal(path, err)
			}
			if diff := cmp.Diff(map[string]string{"b#.bin": want["sub/b#.bin"], "deep/ü": ""}, readTree(t, path)); diff != "" {
				t.Error(diff)
			}
			path, err = c.DownloadArtifacts(t.Context(), JoinURI(root, "single/a.txt"), out)
			if data, _ := os.ReadFile(path); err != nil || string(data) != "a" {
				t.Error(path, err)
			}
			if _, err = c.DownloadArtifacts(t.Context(), JoinURI(root, "missing"), out); CodeOf(err) != CodeResourceDoesNotExist {
				t.Error(err)
			}
		})
	}
}

func TestAFolderThatContainsItselfIsNotWalkedForEver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "sub"), 0o777)
	if err := os.Symlink(dir, filepath.Join(dir, "sub", "loop")); err != nil {
		t.Fatal(err)
	}
	proxy := &memoryProxy{files: map[string]string{}}
	c, _ := newTestClient(t, ClientOptions{}, proxy.ServeHTTP)
	if err := c.UploadArtifacts(t.Context(), dir, "mlflow-artifacts:/x"); err == nil || !strings.Contains(err.Error(), "contains itself") {
		t.Error(err)
	}
}
