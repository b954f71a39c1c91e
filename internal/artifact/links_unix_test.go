//go:build unix

package artifact

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLinksThatLeadOutAreNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	outside := filepath.Join(dir, "outside")
	for _, d := range []string{root, outside} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{
		"absdir": outside, "reldir": "../outside", "absfile": filepath.Join(outside, "secret"), "relfile": "../outside/secret",
		"loop": "loop", "chain": "reldir", "dangling": "../outside/new",
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	s, server := serve(t, Options{Root: root})
	for _, p := range []string{"absdir/secret", "reldir/secret", "chain/secret", "absfile", "relfile", "loop", "dangling", "loop/x"} {
		got := request(t, "GET", server.URL+proxyBase+"/"+p, "", nil)
		if got.status/100 != 4 || got.body == "secret" {
			t.Errorf("GET %s: %d %s", p, got.status, got.body)
		}
	}
	for _, p := range []string{"absdir/new", "reldir/new", "chain/new/deep"} {
		if got := request(t, "PUT", server.URL+proxyBase+"/"+p, "evil", nil); got.status != 400 {
			t.Errorf("PUT %s: %d %s", p, got.status, got.body)
		}
	}
	if got := request(t, "GET", server.URL+proxyBase, "", nil); got.body != "{}" {
		t.Errorf("links are listed: %s", got.body)
	}
	for _, p := range []string{"absdir", "relfile"} { // the link goes, what it points at stays
		if got := request(t, "DELETE", server.URL+proxyBase+"/"+p, "", nil); got.status != 200 {
			t.Errorf("DELETE %s: %d %s", p, got.status, got.body)
		}
	}
	if got := request(t, "DELETE", server.URL+proxyBase+"/reldir/secret", "", nil); got.status != 400 {
		t.Errorf("DELETE through a link: %d %s", got.status, got.body)
	}
	if diff := cmp.Diff(map[string]string{filepath.Join(outside, "secret"): "secret"}, snapshot(t, outside)); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Lstat(filepath.Join(root, "absdir")); !os.IsNotExist(err) {
		t.Errorf("the link is still there: %v", err)
	}
	_ = s
}
