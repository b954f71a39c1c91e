//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// Whoever lays the folder of the cache first could lay models into it, which are code.
func TestTheCacheAmongTemporaryFilesIsTheUsersOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, open, link, file := filepath.Join(dir, "own"), filepath.Join(dir, "open"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
	for range 2 { // made, and found
		if err := ownFolder(own); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(own); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := []string{open, link, file}
	if os.Geteuid() == 0 {
		other := filepath.Join(dir, "other")
		if err := os.Mkdir(other, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(other, 4711, -1); err != nil {
			t.Fatal(err)
		}
		refused = append(refused, other)
	}
	for _, path := range refused {
		if ownFolder(path) == nil {
			t.Errorf("%s is taken", path)
		}
	}
}
