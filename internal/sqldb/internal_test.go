package sqldb

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/weir-ml/weir/mlflow"
)

func TestANetworkFileSystemGetsNoWALAndOneWarning(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "weir.db")
	lite, err := openSQLite(t.Context(), path, true, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	db := &DB{dialect: SQLite, backend: lite}
	defer db.Close()
	var mode string
	if err := db.Write(t.Context(), func(tx *Tx) error {
		if _, err := tx.Exec(`create table v (i integer)`); err != nil {
			return err
		}
		return tx.QueryRow(`pragma journal_mode`).Scan(&mode)
	}); err != nil {
		t.Fatal(err)
	}
	if mode != "delete" {
		t.Errorf("journal mode %s", mode)
	}
	if n := strings.Count(log.String(), "network file system"); n != 1 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
}

func TestFaultsOfTheMomentSaySo(t *testing.T) {
	t.Parallel()
	for code, want := range map[sqlite.ResultCode]mlflow.ErrorCode{
		sqlite.ResultBusy:     mlflow.CodeTemporarilyUnavailable,
		sqlite.ResultFull:     mlflow.CodeInsufficientStorage,
		sqlite.ResultReadOnly: mlflow.CodeTemporarilyUnavailable,
		sqlite.ResultCorrupt:  mlflow.CodeInternal,
	} {
		if got := mlflow.CodeOf(fold(code.ToError())); got != want {
			t.Errorf("%v: %s, want %s", code, got, want)
		}
	}
}

func TestAFullDiskFailsTheWriteAndNotLaterOnes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "weir.db")
	db, err := OpenFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	write := func(size int) error {
		return db.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec(`insert into v values ($1)`, make([]byte, size))
			return err
		})
	}
	if err := db.Write(t.Context(), func(tx *Tx) error {
		if _, err := tx.Exec(`create table v (b blob)`); err != nil {
			return err
		}
		_, err := tx.Exec(`pragma max_page_count = 64`) // stands for a disk of 256 KB
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := write(1 << 20); mlflow.CodeOf(err) != mlflow.CodeInsufficientStorage {
		t.Errorf("got %v", err)
	}
	if err := write(10); err != nil {
		t.Errorf("after the disk was full: %v", err)
	}
}

func TestSQLitePathsAreReadAsSQLAlchemyReadsThem(t *testing.T) {
	t.Parallel()
	dir := filepath.ToSlash(t.TempDir())
	for rest, want := range map[string]string{
		"/weir.db":           "weir.db",
		"/" + dir + "/x.db":  dir + "/x.db",
		dir + "/x.db":        dir + "/x.db", // its folder exists only at the root
		"/nowhere/weir.db":   "nowhere/weir.db",
		"/" + dir + "/a%20b": dir + "/a b",
	} {
		got, err := sqlitePath(rest)
		if err != nil || got != want {
			t.Errorf("sqlite://%s: %q, %v; want %q", rest, got, err, want)
		}
	}
}

// SetSearchTime bounds searches, see Search.
func (db *DB) SetSearchTime(d time.Duration) { db.searchTime = d }
