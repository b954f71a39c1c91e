package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/sqldb"
)

// A backup is a folder: weir.db, a SQLite database whatever the store has; manifestFile, which says what is in it and
// comes last; and, if they were asked for, the artifacts, as a folder store has them.
const manifestFile = "weir.backup.json"

// BackupManifest says what a backup is.
type BackupManifest struct {
	Format       int             `json:"format"`
	Weir         string          `json:"weir"` // the version of the program that made it
	At           time.Time       `json:"at"`   // what was acknowledged before is in it
	Store        string          `json:"store"`
	Versions     []sqldb.Version `json:"versions"` // of the tables
	SHA256       string          `json:"sha256"`   // of weir.db
	Bytes        int64           `json:"bytes"`    // of weir.db
	Experiments  int64           `json:"experiments"`
	Runs         int64           `json:"runs"`
	Points       int64           `json:"points"`
	HasArtifacts bool            `json:"has_artifacts"`
	Files        int64           `json:"files"`
	FileBytes    int64           `json:"file_bytes"`
	// Elsewhere is what a backup with artifacts does not hold: they are not in the server's artifact root.
	Elsewhere []ArtifactsElsewhere `json:"elsewhere,omitempty"`
	// Findings are what is wrong with the store that was backed up, and so with the backup.
	Findings []Finding `json:"findings"`
}

// BackupOptions say what Backup writes where.
type BackupOptions struct {
	Config    Config
	To        string // a folder that does not exist or is empty
	Artifacts bool   // the files too
}

// Backup copies a store while servers write to it. The database is that of one moment, and is checked after it was copied:
// every value that is kept twice is computed again. Artifacts are copied after it, so each that was stored before is
// there, and compared with their SHA-256. The folder appears under its name when all of it is on disk.
func Backup(ctx context.Context, o BackupOptions) (m *BackupManifest, err error) {
	store, err := existingStore(o.Config)
	if err != nil {
		return nil, err
	}
	to := absolute(o.To, o.Config.Dir)
	if err := freeFolder(to); err != nil {
		return nil, err
	}
	s := &Server{config: o.Config, store: store}
	if o.Artifacts {
		if err := s.findArtifacts(ctx); err != nil {
			return nil, err
		}
		if _, root := s.config.artifactPlaces(store); !hasScheme(root) && inside(to, root) {
			return nil, fmt.Errorf("back up to %s: it lies inside the artifacts, %s", to, root)
		}
	}
	part := to + ".part-" + randomName()
	if err := os.MkdirAll(part, 0o700); err != nil {
		return nil, fmt.Errorf("make the backup's folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	m = &BackupManifest{Format: 1, Weir: o.Config.Version, Store: store.String(), HasArtifacts: o.Artifacts, Findings: []Finding{}}
	path := filepath.Join(part, "weir.db")
	if err := s.backupDatabase(ctx, path, m); err != nil {
		return nil, err
	}
	if err := s.completeBackup(ctx, path, part, m); err != nil {
		return nil, err
	}
	if m.SHA256, m.Bytes, err = hashFile(path); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := writeSynced(filepath.Join(part, manifestFile), append(text, '\n')); err != nil {
		return nil, err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.Rename(part, to); err != nil {
		return nil, err
	}
	syncFolder(filepath.Dir(to))
	return m, nil
}

// freeFolder refuses a folder in which there is something.
func freeFolder(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("back up to %s: %w", path, rootCause(err))
	}
	if len(entries) > 0 {
		return fmt.Errorf("back up to %s: the folder is not empty; name a new one", path)
	}
	return nil
}

func randomName() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

func (s *Server) backupDatabase(ctx context.Context, path string, m *BackupManifest) (err error) {
	schemas, err := programSchemas(ctx)
	if err != nil {
		return err
	}
	db, err := s.openDatabase(ctx)
	if err != nil {
		return fmt.Errorf("open the store %s: %w", s.store, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if m.Versions, err = db.Versions(ctx); err != nil {
		return err
	}
	if len(m.Versions) == 0 {
		return fmt.Errorf("%s is not a store of weir's", s.store)
	}
	if _, err := sqldb.CheckVersions(m.Versions, schemas); err != nil {
		return err
	}
	m.At = time.Now().UTC()
	return db.Backup(ctx, path, schemas)
}

// completeBackup checks the copied database and adds the artifacts.
func (s *Server) completeBackup(ctx context.Context, path, part string, m *BackupManifest) (err error) {
	db, err := sqldb.OpenFile(ctx, path)
	if err != nil {
		return err
	}
	// Closing folds the log into the file, whose digest is taken next.
	defer func() { err = errors.Join(err, db.Close()) }()
	report := &CheckReport{Findings: []Finding{}}
	defer func() { m.Findings = report.Findings }()
	if m.Versions, err = db.Versions(ctx); err != nil {
		return err
	}
	schemas, err := programSchemas(ctx)
	if err != nil {
		return err
	}
	current, err := sqldb.CheckVersions(m.Versions, schemas)
	if err != nil {
		return err
	}
	if current {
		if err := checkDatabase(ctx, db, report); err != nil {
			return err
		}
		m.Experiments, m.Runs, m.Points = report.Experiments, report.Runs, report.Points
	} else {
		// An older program's tables: they are whole, but what they mean is its business.
		faults, err := db.Check(ctx)
		if err != nil {
			return err
		}
		for _, f := range faults {
			report.found("database")(f)
		}
	}
	if !m.HasArtifacts {
		return nil
	}
	beside, root := s.config.artifactPlaces(s.store)
	from, err := artifact.New(ctx, db, artifact.Options{Root: root, Beside: beside, Cloud: s.config.Cloud})
	if err != nil {
		return err
	}
	defer from.Close()
	if current {
		if m.Elsewhere, err = artifactsElsewhere(ctx, db, from); err != nil {
			return err
		}
	}
	to, err := openFiles(ctx, db, part, s.config.Cloud)
	if err != nil {
		return err
	}
	defer to.Close()
	var mu sync.Mutex
	copied, err := from.CopyTo(ctx, to, false, func(path, what string) {
		mu.Lock()
		defer mu.Unlock()
		report.found("artifacts")(path + ": " + what)
	})
	m.Files, m.FileBytes = copied.Files, copied.Bytes
	return errors.Join(err, os.RemoveAll(filepath.Join(part, ".weir"))) // where files were while they were written
}

func hashFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, f)
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

func writeSynced(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// syncFolder makes names in a folder last where the system can.
func syncFolder(dir string) {
	if f, err := os.Open(dir); err == nil {
		_ = f.Sync()
		f.Close()
	}
}
