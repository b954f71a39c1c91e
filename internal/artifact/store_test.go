package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func openStore(t *testing.T, db *sqldb.DB, o Options) *Store {
	t.Helper()
	if o.Root == "" {
		o.Root = filepath.Join(t.TempDir(), "artifacts")
	}
	s, err := New(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func hexSum(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func rows(t *testing.T, s *Store) (paths []string) {
	t.Helper()
	err := s.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		found, err := tx.Query(`select path from file order by path`)
		if err != nil {
			return err
		}
		for found.Next() {
			var p string
			if err := found.Scan(&p); err != nil {
				return err
			}
			paths = append(paths, p)
		}
		return found.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestADigestIsTrustedWhileTheFileIsTheSame(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := openStore(t, db, Options{})
		info, err := s.Put(t.Context(), "1/r/artifacts/ü#?.txt", strings.NewReader("one"), Expect{Size: -1})
		if err != nil || info.SHA256 != hexSum("one") || info.Size != 3 {
			t.Fatal(info, err)
		}
		digest := func() string {
			f, err := s.Get(t.Context(), "1/r/artifacts/ü#?.txt")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			return f.SHA256
		}
		if got := digest(); got != hexSum("one") {
			t.Errorf("digest %q after a put", got)
		}
		if _, err := s.Put(t.Context(), "1/r/artifacts/ü#?.txt", strings.NewReader("two"), Expect{Size: 3}); err != nil || digest() != hexSum("two") {
			t.Errorf("digest %q after a second put, %v", digest(), err)
		}
		file := filepath.Join(s.options.Root, "1/r/artifacts/ü#?.txt")
		if err := os.WriteFile(file, []byte("six"), 0o666); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Second)
		if err := os.Chtimes(file, later, later); err != nil {
			t.Fatal(err)
		}
		if got := digest(); got != "" {
			t.Errorf("digest %q of a file that was changed behind the store's back", got)
		}
	})
}

func TestAnOlderPutDoesNotReplaceTheRowOfANewerOne(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := openStore(t, db, Options{})
		now := time.Now()
		newer := stored{size: 1, mtime: now, sha256: sha256.Sum256([]byte("newer"))}
		older := stored{size: 1, mtime: now.Add(-time.Nanosecond), sha256: sha256.Sum256([]byte("older"))}
		for _, f := range []stored{newer, older} {
			if err := s.record(t.Context(), "f", f); err != nil {
				t.Fatal(err)
			}
		}
		if sum, known, err := s.digestOf(t.Context(), "f", newer); !known || hex.EncodeToString(sum) != hexSum("newer") || err != nil {
			t.Errorf("%x %v %v", sum, known, err)
		}
	})
}

func TestADeleteForgetsWhatWasKnown(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := openStore(t, db, Options{})
		for i := range forgetChunk + 5 {
			if err := s.record(t.Context(), fmt.Sprintf("r/sub/%d", i), stored{mtime: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range []string{"r/sub/x%y", "r/sub.txt", "r/sub0", "r/f", "q/sub/x"} {
			if _, err := s.Put(t.Context(), p, strings.NewReader("x"), Expect{Size: -1}); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range []string{"r/sub", "r/f", "r/missing"} {
			if err := s.Delete(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"q/sub/x", "r/sub.txt", "r/sub0"}, rows(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWrongSizesAndDigestsLeaveNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t, sqldbtest.SQLite(t), Options{})
	wrong := sha256.Sum256([]byte("other"))
	right := sha256.Sum256([]byte("data"))
	for _, e := range []Expect{{Size: 3}, {Size: 5}, {Size: -1, SHA256: wrong[:]}, {Size: 5, SHA256: right[:]}} {
		_, err := s.Put(t.Context(), "a/f", strings.NewReader("data"), e)
		wantCode(t, err, mlflow.CodeInvalidParameterValue)
	}
	wantEmpty(t, s.bucket)
	if got := rows(t, s); got != nil {
		t.Errorf("rows %v", got)
	}
	if _, err := s.Put(t.Context(), "a/f", strings.NewReader("data"), Expect{Size: 4, SHA256: right[:]}); err != nil {
		t.Error(err)
	}
}

func TestPrivateNamesAreNoArtifacts(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"weir.db", "weir.db-wal", "weir.lock"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, sqldbtest.SQLite(t), Options{Root: root})
	if _, err := s.Put(t.Context(), "0/weir.txt", strings.NewReader("x"), Expect{Size: 1}); err != nil {
		t.Error(err)
	}
	for _, p := range []string{"weir.db", "weir.lock", "WEIR.lock", ".weir", ".weir/part/x", ".Weir/part", "weir.db-wal"} {
		_, err := s.Get(t.Context(), p)
		wantCode(t, err, mlflow.CodeInvalidParameterValue)
		wantCode(t, s.Delete(t.Context(), p), mlflow.CodeInvalidParameterValue)
	}
	files, err := s.List(t.Context(), "")
	if diff := cmp.Diff([]mlflow.FileInfo{{Path: "0", IsDir: true}}, files); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestPartsOfADeadServerAreSwept(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	old := time.Now().Add(-2 * staleAfter)
	for _, name := range []string{partDir + "/old", partDir + "/new", trashDir + "/tree/x"} {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{partDir + "/old", trashDir + "/tree"} {
		if err := os.Chtimes(filepath.Join(root, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	openStore(t, sqldbtest.SQLite(t), Options{Root: root})
	var left []string
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, filepath.Base(p))
		}
		return err
	})
	if diff := cmp.Diff([]string{"new"}, left); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// oneRun finds one run and one version, at the URIs given.
type oneRun struct{ run, version string }

func (o oneRun) RunArtifacts(_ context.Context, runID string) (string, string, error) {
	if runID != "R" {
		return "", "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Run with id=%s not found", runID)
	}
	return o.run, "1", nil
}

func (o oneRun) VersionArtifacts(_ context.Context, name, version string) (string, error) {
	if name != "m" || version != "1" {
		return "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Model Version (name=%s, version=%s) not found", name, version)
	}
	return o.version, nil
}
