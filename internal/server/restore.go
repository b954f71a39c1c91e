package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/weir-ml/weir/internal/sqldb"
)

// RestoreOptions say what Restore makes of which backup.
type RestoreOptions struct {
	Config Config // names the store, and where its artifacts go
	From   string // the backup's folder
	Force  bool   // replace a store in which there is something
}

// RestoreReport says what Restore did.
type RestoreReport struct {
	BackupManifest
	// Kept is where the SQLite database lies that was replaced.
	Kept string `json:"kept,omitempty"`
}

// Restore makes a store what a backup is, of whichever database either was. Artifacts come first, each compared with its
// SHA-256, and the database last in one step: until then the store is what it was. Nobody may work on the store meanwhile.
func Restore(ctx context.Context, o RestoreOptions) (report *RestoreReport, err error) {
	from := absolute(o.From, o.Config.Dir)
	m, err := readManifest(from)
	if err != nil {
		return nil, err
	}
	schemas, err := programSchemas(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := sqldb.CheckVersions(m.Versions, schemas); err != nil {
		return nil, fmt.Errorf("the backup %s: %w", from, err)
	}
	store, err := ParseStore(o.Config.BackendStoreURI, o.Config.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{config: o.Config, store: store}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := store.prepare(); err != nil {
		return nil, err
	}
	if err := s.reserve(ctx, o.Force); err != nil {
		return nil, err
	}
	report = &RestoreReport{BackupManifest: *m}
	return report, s.restore(ctx, from, m, schemas, report)
}

func readManifest(from string) (*BackupManifest, error) {
	text, err := os.ReadFile(filepath.Join(from, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a backup: it holds no %s", from, manifestFile)
	}
	if err != nil {
		return nil, err
	}
	m := &BackupManifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("read %s: %w", manifestFile, err)
	}
	if m.Format != 1 {
		return nil, fmt.Errorf("the backup %s has format %d, this program reads 1; use a newer weir", from, m.Format)
	}
	sum, size, err := hashFile(filepath.Join(from, "weir.db"))
	if err != nil {
		return nil, err
	}
	if sum != m.SHA256 || size != m.Bytes {
		return nil, fmt.Errorf("the backup %s is damaged, or was changed: weir.db has not the SHA-256 that %s names", from, manifestFile)
	}
	return m, nil
}

// reserve refuses a store that holds something, unless it is to be replaced, and keeps clients from starting a server on it.
func (s *Server) reserve(ctx context.Context, force bool) error {
	if s.store.Local() {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("name of this host: %w", err)
		}
		if s.lock, err = acquireLock(s.store, host); errors.Is(err, errBusy) {
			return fmt.Errorf("a server works on %s; end the programs that use it", s.store)
		} else if err != nil {
			return err
		}
		if info, err := os.Stat(s.store.Database()); errors.Is(err, fs.ErrNotExist) || (err == nil && info.Size() == 0) {
			return nil
		}
	}
	db, err := s.openDatabase(ctx)
	if err != nil {
		return fmt.Errorf("open the store %s: %w", s.store, err)
	}
	used := ""
	err = db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		used, err = contentOf(tx)
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if used != "" && !force {
		return fmt.Errorf("%s is not empty: its table %s has rows; restore into another store, or replace it with --force", s.store, used)
	}
	return nil
}

// contentOf names a table of ours with rows that a new store does not have.
func contentOf(tx *sqldb.Tx) (table string, err error) {
	if there, err := tx.HasTable("schema_migration"); err != nil || !there {
		return "", err
	}
	tables, err := tx.Tables()
	if err != nil {
		return "", err
	}
	for _, name := range tables {
		if slices.Contains([]string{"schema_migration", "counter", "idempotency", "experiment"}, name) {
			continue
		}
		var n int
		if err := tx.QueryRow(`select count(*) from (select 1 from "` + name + `" limit 1) t`).Scan(&n); err != nil {
			return "", err
		}
		if n > 0 {
			return name, nil
		}
	}
	if there, err := tx.HasTable("experiment"); err != nil || !there {
		return "", err
	}
	var more int
	err = tx.QueryRow(`select count(*) from experiment where public_id <> '0'`).Scan(&more)
	if err == nil && more > 0 {
		return "experiment", nil
	}
	return "", err
}

func (s *Server) restore(ctx context.Context, from string, m *BackupManifest, schemas []sqldb.Schema, report *RestoreReport) (err error) {
	dir := os.TempDir()
	if s.store.Local() {
		dir = filepath.Dir(s.store.Database()) // where it can be renamed from
	}
	dir, err = os.MkdirTemp(dir, ".weir-restore-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "weir.db")
	if err := copyFile(filepath.Join(from, "weir.db"), path); err != nil {
		return err
	}
	if err := s.restoreInto(ctx, path, from, m); err != nil {
		return err
	}
	if !s.store.Local() {
		db, err := s.openDatabase(ctx)
		if err != nil {
			return fmt.Errorf("open the store %s: %w", s.store, err)
		}
		return errors.Join(db.Restore(ctx, path, schemas), db.Close())
	}
	next := s.store.Database() + ".restored-" + randomName()
	if err := os.Rename(path, next); err != nil {
		return err
	}
	if report.Kept, err = sqldb.ReplaceFile(next, s.store.Database()); err != nil {
		_ = os.Remove(next)
	}
	return err
}

// restoreInto puts a backup's artifacts where the store keeps its own, notes that in the copy of the backup's database, and
// checks it.
func (s *Server) restoreInto(ctx context.Context, path, backup string, m *BackupManifest) (err error) {
	db, err := sqldb.OpenFile(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	faults, err := db.Check(ctx)
	if err != nil {
		return err
	}
	if len(faults) > len(m.Findings) {
		return fmt.Errorf("the backup's database is damaged: %s", faults[0])
	}
	if !m.HasArtifacts {
		return nil
	}
	_, root := s.config.artifactPlaces(s.store)
	if !hasScheme(root) && inside(backup, root) && s.store.Folder == "" {
		return fmt.Errorf("restore to %s: the backup lies inside it", root)
	}
	from, err := openFiles(ctx, db, backup, s.config.Cloud)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := openFiles(ctx, db, root, s.config.Cloud)
	if err != nil {
		return err
	}
	defer to.Close()
	var missing []string
	var mu sync.Mutex
	copied, err := from.CopyTo(ctx, to, true, func(path, what string) {
		mu.Lock()
		defer mu.Unlock()
		slog.Warn("an artifact of the backup was not restored", "path", path, "why", what)
		missing = append(missing, path+" "+what)
	})
	if err != nil {
		return err
	}
	if copied.Files < m.Files {
		return fmt.Errorf("the backup is not whole: %d of %d files could be restored; the store is as it was (%s)", copied.Files, m.Files, firstOf(missing))
	}
	return nil
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return "files are missing"
	}
	return list[0]
}

// copyFile copies a file and has it on disk.
func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		w.Close()
		return err
	}
	if err := w.Sync(); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}
