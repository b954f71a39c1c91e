//go:build unix

package artifact

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Links inside the root are followed, but not to the database, the lock with its token and what is being uploaded.
func TestLinksDoNotLeadToTheStoresOwnFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	_, server := serve(t, Options{Root: root})
	const secret = "the token"
	for _, name := range privateFiles {
		if err := os.WriteFile(filepath.Join(root, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := filepath.Join(root, "1", "R", "artifacts")
	if err := os.MkdirAll(filepath.Join(run, "own"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, "own", "weir.db"), []byte("an artifact"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"db": "../../../weir.db", "lock": "../../../weir.lock", "up": "../../..", "chain": "up"} {
		if err := os.Symlink(target, filepath.Join(run, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(root, "weir.lock"), filepath.Join(run, "hard")); err != nil {
		t.Fatal(err)
	}
	url := server.URL + proxyBase + "/1/R/artifacts/"
	for _, path := range []string{
		"db", "lock", "hard", "up/weir.db", "up/weir.lock", "chain/weir.db", "up/1/R/artifacts/up/weir.db-wal", "up/WEIR.db", "up/.weir", "up/.weir/part/x",
	} {
		if a := request(t, http.MethodGet, url+path, "", nil); a.status/100 != 4 || strings.Contains(a.body, secret) {
			t.Errorf("GET %s: %d %s", path, a.status, a.body)
		}
		if !strings.Contains(path, "/") {
			continue // a link itself may be replaced and removed
		}
		for _, method := range []string{http.MethodPut, http.MethodDelete} {
			if a := request(t, method, url+path, "mine", nil); a.status != http.StatusBadRequest {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
			}
		}
	}
	for _, name := range privateFiles {
		if data, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(data) != secret {
			t.Errorf("%s is now %q, %v", name, data, err)
		}
	}
	for _, path := range []string{"own/weir.db", "up/1/R/artifacts/own/weir.db"} {
		if a := request(t, http.MethodGet, url+path, "", nil); a.body != "an artifact" {
			t.Errorf("GET %s: %d %s", path, a.status, a.body)
		}
	}
}
