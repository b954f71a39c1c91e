package artifact

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

const (
	someRun  = "0123456789abcdef0123456789abcdef"
	otherRun = "fedcba9876543210fedcba9876543210"
)

func TestTreesAreMeasuredAndRemovedInEveryBucket(t *testing.T) {
	t.Parallel()
	for name, open := range buckets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, sqldbtest.SQLite(t), Options{})
			if err := s.bucket.close(); err != nil {
				t.Fatal(err)
			}
			s.bucket = open(t)
			own := "1/" + someRun + "/artifacts/"
			for _, key := range []string{own + "a.txt", own + "model/b.txt", "1/" + otherRun + "/artifacts/a.txt", "1/" + someRun + "0/a.txt"} {
				put(t, s, key, "12345")
			}
			uri := "mlflow-artifacts:/1/" + someRun + "/artifacts"
			want := Tree{Files: 2, Bytes: 10}
			if got, err := s.MeasureTree(t.Context(), uri, someRun); err != nil || got != want {
				t.Errorf("%+v, %v", got, err)
			}
			if got, err := s.Usage(t.Context(), "mlflow-artifacts:/1"); err != nil || got != (Tree{Files: 4, Bytes: 20}) {
				t.Errorf("usage: %+v, %v", got, err)
			}
			if got, err := s.RemoveTree(t.Context(), uri, someRun); err != nil || got != want {
				t.Errorf("%+v, %v", got, err)
			}
			if got, err := s.RemoveTree(t.Context(), uri, someRun); err != nil || got != (Tree{}) {
				t.Errorf("again: %+v, %v", got, err)
			}
			left := []string{"1/" + someRun + "0/a.txt", "1/" + otherRun + "/artifacts/a.txt"}
			if diff := cmp.Diff(left, rows(t, s)); diff != "" {
				t.Error(diff)
			}
			var found []string
			if err := s.walk(t.Context(), "", func(key string, size int64) error {
				found = append(found, key)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			slices.Sort(found)
			if diff := cmp.Diff(left, found); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNoTreeIsRemovedThatIsNotItsOwners(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "artifacts")
	s := openStore(t, sqldbtest.SQLite(t), Options{Root: root})
	outside := filepath.Join(dir, someRun, "artifacts")
	for _, folder := range []string{outside, filepath.Join(root, "1")} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(root, "1", someRun)); err != nil {
		t.Fatal(err)
	}
	put(t, s, "2/"+someRun+"/artifacts/a", "x")
	put(t, s, "2/b", "x")
	before := snapshot(t, dir)
	for uri, owner := range map[string]string{
		"mlflow-artifacts:/":                    someRun,
		"mlflow-artifacts:/2":                   someRun,
		"mlflow-artifacts:/2/":                  "",
		"mlflow-artifacts:/2/" + someRun:        otherRun,
		"mlflow-artifacts:/2/../" + someRun:     someRun,
		"mlflow-artifacts:/.weir/" + someRun:    someRun,
		"mlflow-artifacts:/2/%2e%2e/" + someRun: someRun,
		outside:                                 someRun,
		"file://" + outside:                     someRun,
		"s3://bucket/" + someRun:                someRun,
		"mlflow-artifacts:/1/" + someRun + "/" + someRun + "/artifacts": someRun, // through a link that leads out
		"": someRun,
	} {
		if _, err := s.RemoveTree(t.Context(), uri, owner); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("%q of %q: %v", uri, owner, err)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("something is gone: %s", diff)
	}
}

func TestEmptyFoldersGoWithTheLastTree(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "artifacts")
	s := openStore(t, sqldbtest.SQLite(t), Options{Root: root})
	put(t, s, "1/"+someRun+"/artifacts/a", "x")
	put(t, s, "1/"+otherRun+"/artifacts/a", "x")
	put(t, s, "1/"+otherRun+"/note.txt", "x")
	for _, run := range []string{someRun, otherRun} {
		if _, err := s.RemoveTree(t.Context(), "mlflow-artifacts:/1/"+run+"/artifacts", run); err != nil {
			t.Fatal(err)
		}
	}
	s.RemoveEmpty("mlflow-artifacts:/1")
	s.RemoveEmpty("mlflow-artifacts:/")
	if _, err := os.Stat(filepath.Join(root, "1", someRun)); !os.IsNotExist(err) {
		t.Errorf("the empty folder is there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "1", otherRun, "note.txt")); err != nil {
		t.Error(err)
	}
}
