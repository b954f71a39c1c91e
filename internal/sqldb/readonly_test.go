package sqldb_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

func TestReadOnlyReadsMLflowsDatabaseAndWritesNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		db, err := sqldb.Open(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`create table alembic_version (version_num varchar(32) not null)`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db, err = sqldb.OpenReadOnly(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var n int
		count := func(tx *sqldb.Tx) error { return tx.QueryRow(`select count(*) from alembic_version`).Scan(&n) }
		if err := db.Read(t.Context(), count); err != nil || n != 0 {
			t.Errorf("read: %d %v", n, err)
		}
		insert := func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into alembic_version values ('x')`)
			return err
		}
		if err := db.Write(t.Context(), insert); err == nil {
			t.Error("it can be written to")
		}
		if err := db.Read(t.Context(), insert); err == nil {
			t.Error("a read can write")
		}
	})
}

// A file in WAL mode, whose folder must get no further files.
func TestReadOnlyMakesNoFilesBesideTheDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a?b %25#.db")
	db, err := sqldb.OpenFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`create table x (y integer)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = sqldb.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	err = db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`select count(*) from x`).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files (%v), want the database alone", len(entries), err)
	}
}

// A program that is killed leaves its log; its last commits are in there.
func TestReadOnlyReadsTheLogOfAProgramThatWasKilled(t *testing.T) {
	t.Parallel()
	dir, left := t.TempDir(), t.TempDir()
	db, err := sqldb.OpenFile(t.Context(), filepath.Join(dir, "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`create table x (y integer)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	for _, name := range []string{"x.db", "x.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(left, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		before[name] = string(data)
	}
	foreign, err := sqldb.OpenReadOnly(t.Context(), filepath.Join(left, "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	var n int
	err = foreign.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`select count(*) from x`).Scan(&n) })
	if err := errors.Join(err, foreign.Close()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(left)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v (%v), want the two files that were there", entries, err)
	}
	for name, want := range before {
		if data, err := os.ReadFile(filepath.Join(left, name)); err != nil || string(data) != want {
			t.Errorf("%s has changed: %v", name, err)
		}
	}
}
