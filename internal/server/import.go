package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/registry"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

// imports is what an import into a server's store needs.
type imports struct {
	log    *transfer.Log
	target transfer.Target
}

func newImports(ctx context.Context, store Store, db *sqldb.DB, root string, runs *tracking.Store, models *registry.Store, files *artifact.Store) (*imports, error) {
	log, err := transfer.OpenLog(ctx, db)
	if err != nil {
		return nil, err
	}
	target := transfer.Target{
		Name: store.String(), Experiments: runs, Runs: runs, LoggedModels: runs, Registry: models, Files: importedFiles{files},
	}
	if !hasScheme(root) {
		target.Root = root
	}
	return &imports{log, target}, nil
}

// importedFiles stores artifacts that an import brings, and reads those that an export takes.
type importedFiles struct{ files *artifact.Store }

func (f importedFiles) KeyOfURI(uri string) (string, error) { return f.files.KeyOfOwner(uri) }

func (f importedFiles) List(ctx context.Context, path string) ([]mlflow.FileInfo, error) {
	return f.files.ListKey(ctx, path)
}

func (f importedFiles) Open(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	file, err := f.files.OpenKey(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	return file, file.Size, nil
}

func (f importedFiles) Size(ctx context.Context, path string) (int64, error) {
	file, err := f.files.Get(ctx, path)
	if err != nil {
		if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
			return -1, nil
		}
		return 0, err
	}
	return file.Size, file.Close()
}

func (f importedFiles) Put(ctx context.Context, path string, r io.Reader, size int64) error {
	_, err := f.files.Put(ctx, path, r, artifact.Expect{Size: size})
	return err
}

// ImportOptions say what Import does.
type ImportOptions struct {
	// Config names the store to import into, as for a server.
	Config Config
	// Source is what is imported. Import closes it.
	Source   transfer.Source
	DryRun   bool
	Progress func(runs, files int)
}

// Import brings another store's data into the store that the Config names, whether or not a server works on it. A dry run
// makes and changes nothing.
func Import(ctx context.Context, o ImportOptions) (report *transfer.Report, err error) {
	defer func() { err = errors.Join(err, o.Source.Close()) }()
	store, err := ParseStore(o.Config.BackendStoreURI, o.Config.Dir)
	if err != nil {
		return nil, err
	}
	do := transfer.Options{DryRun: o.DryRun, Progress: o.Progress}
	if _, err := os.Stat(store.Database()); o.DryRun && store.Local() && err != nil {
		_, root := o.Config.artifactPlaces(store)
		target := transfer.EmptyTarget(store.String(), artifact.CheckPath)
		if !hasScheme(root) {
			target.Root = root
		}
		return transfer.Import(ctx, o.Source, target, do)
	}
	s := &Server{config: o.Config, store: store}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := store.prepare(); err != nil {
		return nil, err
	}
	if _, err := s.openDomains(ctx); err != nil {
		return nil, err
	}
	if o.DryRun {
		return transfer.Import(ctx, o.Source, s.imports.target, do)
	}
	name := o.Source.Name()
	if s.ownTree(name) {
		name = ownTree
	}
	report, err = s.imports.patientRun(ctx, name, func(ctx context.Context) (*transfer.Report, error) {
		return transfer.Import(ctx, o.Source, s.imports.target, do)
	})
	if err == nil && report.Added() > 0 {
		err = s.parts.db.Analyze(ctx)
	}
	return report, err
}

// patientRun is Run of the log, which waits for as long as an import that was killed keeps others out.
func (i *imports) patientRun(ctx context.Context, name string, fn func(context.Context) (*transfer.Report, error)) (*transfer.Report, error) {
	for end := time.Now().Add(transfer.DeadAfter + 2*time.Second); ; {
		report, err := i.log.Run(ctx, name, fn)
		if !errors.Is(err, transfer.ErrBusy) || time.Now().After(end) {
			return report, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Second / 2):
		}
	}
}

// ownTree is the name, in the log of imports, of the file tree that lies in the store's own folder: it may be moved.
const ownTree = "."

func (s *Server) ownTree(dir string) bool {
	if s.store.Folder == "" {
		return false
	}
	a, errA := os.Stat(dir)
	b, errB := os.Stat(s.store.Folder)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// treeWait is how long a server that opens MLflow's folder waits for its import before it answers; the rest then comes in
// while it serves. Clients wait longer than that for a server to start.
const treeWait = 5 * time.Second

// importTree brings in, once, the runs that MLflow's file store left in the folder.
func (s *Server) importTree(ctx context.Context) error {
	if s.store.Folder == "" || s.config.ArtifactsOnly {
		return nil
	}
	if found, err := transfer.IsTree(s.store.Folder); err != nil || !found {
		return err
	}
	if done, err := s.imports.log.Finished(ctx, ownTree); err != nil || done {
		return err
	}
	tree, err := transfer.OpenTree(s.store.Folder)
	if err != nil {
		return err
	}
	slog.Info("importing the runs of MLflow's file store; the files stay as they are", "folder", s.store.Folder)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	done := make(chan struct{})
	work.Go(func() {
		defer close(done)
		s.runTreeImport(ctx, tree)
	})
	s.closers = append(s.closers, closerFunc(func() error {
		cancel()
		work.Wait()
		return nil
	}))
	select {
	case <-done:
	case <-time.After(treeWait):
		slog.Info("the import goes on while the server answers", "folder", s.store.Folder)
	}
	return nil
}

// runTreeImport imports until it has worked; another process may be at it, or may have been killed while it was.
func (s *Server) runTreeImport(ctx context.Context, tree *transfer.Tree) {
	for {
		report, err := s.imports.log.Run(ctx, ownTree, func(ctx context.Context) (*transfer.Report, error) {
			return transfer.Import(ctx, tree, s.imports.target, transfer.Options{})
		})
		switch {
		case err == nil:
			slog.Info("imported", "folder", s.store.Folder, "experiments", report.Experiments.Added, "runs", report.Runs.Added,
				"registered_models", report.RegisteredModels.Added, "skipped", len(report.Faults))
			for _, f := range report.Faults {
				slog.Warn("not imported, because it cannot be read or stored", "what", f.Where, "error", f.Why)
			}
			return
		case ctx.Err() != nil:
			return
		case !errors.Is(err, transfer.ErrBusy):
			slog.Error("the import was broken off; it goes on when the folder is opened again", "error", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		if done, err := s.imports.log.Finished(ctx, ownTree); err == nil && done {
			return
		}
	}
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

// ImportDestination gives the store that an import goes to when none is named: the source's own folder for MLflow's file
// tree, so that it opens as it did before, and else the default store.
func ImportDestination(source string) string {
	if found, err := transfer.IsTree(source); err == nil && found {
		return source
	}
	return DefaultStore
}

// FileTreeNotice gives what to tell whoever opens a folder for the first time that holds experiments as MLflow's own file
// store writes them; empty for other stores.
func (s Store) FileTreeNotice() string {
	if s.Folder == "" {
		return ""
	}
	if _, err := os.Stat(s.Database()); err == nil {
		return ""
	}
	if found, err := transfer.IsTree(s.Folder); err != nil || !found {
		return ""
	}
	return fmt.Sprintf("%s holds runs in MLflow's file format; they are imported once into %s, and the files stay as they are",
		s.Folder, filepath.Base(s.Database()))
}
