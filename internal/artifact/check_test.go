package artifact

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

func TestFilesAreCheckedAgainstTheirRecords(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "artifacts")
	s := openStore(t, sqldbtest.SQLite(t), Options{Root: root})
	for _, key := range []string{"ok", "d/touched", "flipped", "shorter", "gone", "folder"} {
		put(t, s, key, "content")
	}
	for name, content := range map[string]string{"flipped": "contenT", "shorter": "cont", "by hand": "1234"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "d", "touched"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gone", "folder"} {
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	var found []string
	read, others, err := s.CheckFiles(t.Context(), func(path, what string) { found = append(found, path+" "+what) })
	if err != nil {
		t.Fatal(err)
	}
	if read != (Tree{2, 14}) || others != (Tree{1, 4}) {
		t.Errorf("read %+v, others %+v", read, others)
	}
	want := []string{"flipped has other content than when it was stored", "folder is not a file any more", "gone is missing", "shorter has 4 bytes, and had 7 when it was stored"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

func TestStoresAreCopiedIntoEveryBucket(t *testing.T) {
	t.Parallel()
	for name, open := range buckets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := sqldbtest.SQLite(t)
			root := filepath.Join(t.TempDir(), "artifacts")
			from := openStore(t, db, Options{Root: root})
			var keys []string
			for _, key := range []string{"1/r/artifacts/a#b.txt", "1/r/artifacts/100%.csv", "1/r/artifacts/naïve dir/ü.png", "2/x"} {
				put(t, from, key, "content of "+key)
				keys = append(keys, key)
			}
			put(t, from, "damaged", "content")
			put(t, from, "gone", "content")
			changeInPlace(t, filepath.Join(root, "damaged"), "contenT")
			if err := os.Remove(filepath.Join(root, "gone")); err != nil {
				t.Fatal(err)
			}
			to := openStore(t, db, Options{})
			if err := to.bucket.close(); err != nil {
				t.Fatal(err)
			}
			to.bucket = open(t)
			var mu sync.Mutex
			var found []string
			copied, err := from.CopyTo(t.Context(), to, false, func(path, what string) {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, path+" "+what)
			})
			if err != nil {
				t.Fatal(err)
			}
			if copied.Files != 4 || len(found) != 1 || !strings.HasPrefix(found[0], "damaged the content's SHA-256 is") {
				t.Errorf("%+v, %q", copied, found)
			}
			keys = append(keys, "damaged") // whose record stays
			slices.Sort(keys)
			if diff := cmp.Diff(keys, rows(t, to)); diff != "" {
				t.Error(diff)
			}
			found = nil
			if _, _, err := to.CheckFiles(t.Context(), func(path, what string) { found = append(found, path+" "+what) }); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"damaged is missing"}, found); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// changeInPlace replaces a file's content and leaves its time as it was.
func changeInPlace(t *testing.T, path, content string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}
