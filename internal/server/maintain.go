package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/registry"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking"
)

// Upgrade is what one domain's tables went through.
type Upgrade struct {
	Tables string   `json:"tables"`
	From   int64    `json:"from"`
	To     int64    `json:"to"`
	By     []string `json:"by"` // the migrations
}

// UpgradeStore brings a store's tables to the version of this program, each domain's in one transaction under a lock, and
// says what it did. A store that is not there is made, as `mlflow db upgrade` does. A newer program's store is an error.
func UpgradeStore(ctx context.Context, config Config) (done []Upgrade, err error) {
	store, err := ParseStore(config.BackendStoreURI, config.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, store: store}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := store.prepare(); err != nil {
		return nil, err
	}
	if err := s.noArtifacts(ctx); err != nil {
		return nil, err
	}
	before, err := s.versions(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.openDomains(ctx); err != nil {
		return nil, err
	}
	after, err := s.parts.db.Versions(ctx)
	if err != nil {
		return nil, err
	}
	return upgradesBetween(before, after), nil
}

// versions reads what a database is before anything changes it.
func (s *Server) versions(ctx context.Context) ([]sqldb.Version, error) {
	db, err := s.openDatabase(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w", s.store, err)
	}
	list, err := db.Versions(ctx)
	return list, errors.Join(err, db.Close())
}

func upgradesBetween(before, after []sqldb.Version) []Upgrade {
	done := []Upgrade{}
	had := map[sqldb.Version]bool{}
	for _, v := range before {
		had[v] = true
	}
	for _, v := range after {
		if had[v] {
			continue
		}
		if n := len(done); n == 0 || done[n-1].Tables != v.Domain {
			done = append(done, Upgrade{Tables: v.Domain, From: v.Number - 1})
		}
		last := &done[len(done)-1]
		last.To, last.By = v.Number, append(last.By, v.Name)
	}
	return done
}

// programSchemas gives the schemas of all domains of this program. A store that is thrown away tells them, so that there
// is no second list of the domains.
func programSchemas(ctx context.Context) (schemas []sqldb.Schema, err error) {
	dir, err := os.MkdirTemp("", "weir-schema-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := &Server{config: Config{Dir: dir}, store: Store{Folder: dir}}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := s.openDomains(ctx); err != nil {
		return nil, err
	}
	return s.parts.db.Schemas(), nil
}

// CheckReport says what CheckStore looked at and found.
type CheckReport struct {
	Findings []Finding `json:"findings"`
	tracking.CheckCounts
	// Files and Bytes are what was read of artifacts, OtherFiles and OtherBytes what nobody put through a server: nothing
	// is known of it. All are zero when artifacts were not checked.
	Files      int64 `json:"files"`
	Bytes      int64 `json:"bytes"`
	OtherFiles int64 `json:"other_files"`
	OtherBytes int64 `json:"other_bytes"`
}

// Finding is something in a store that is not as it should be.
type Finding struct {
	Part string `json:"part"` // database, runs, models or artifacts
	What string `json:"what"`
}

func (r *CheckReport) found(part string) func(string) {
	return func(what string) { r.Findings = append(r.Findings, Finding{part, what}) }
}

// CheckStore looks whether a store is whole: the database by itself, what is kept twice against each other, and with
// artifacts set every file against its record. It changes nothing but the version of the tables, and runs beside servers.
func CheckStore(ctx context.Context, config Config, artifacts bool) (report *CheckReport, err error) {
	s, err := openStore(ctx, config, artifacts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report = &CheckReport{Findings: []Finding{}}
	if err := checkDatabase(ctx, s.parts.db, report); err != nil {
		return report, err
	}
	if !artifacts {
		return report, nil
	}
	read, others, err := s.parts.files.CheckFiles(ctx, func(path, what string) { report.found("artifacts")(path + " " + what) })
	report.Files, report.Bytes, report.OtherFiles, report.OtherBytes = read.Files, read.Bytes, others.Files, others.Bytes
	return report, err
}

func checkDatabase(ctx context.Context, db *sqldb.DB, report *CheckReport) error {
	faults, err := db.Check(ctx)
	if err != nil {
		return err
	}
	for _, f := range faults {
		report.found("database")(f)
	}
	if report.CheckCounts, err = tracking.Check(ctx, db, report.found("runs")); err != nil {
		return err
	}
	return registry.Check(ctx, db, report.found("models"))
}

// openFiles opens an artifact store over a database that is not a server's, for a backup.
func openFiles(ctx context.Context, db *sqldb.DB, root string, cloud artifact.CloudOptions) (*artifact.Store, error) {
	return artifact.New(ctx, db, artifact.Options{Root: root, Cloud: cloud})
}

// inside reports whether a path is a folder or lies below it.
func inside(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}
