package server

import (
	"context"
	"fmt"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/registry"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/mlflow"
)

// domain is what a store or a runner offers the server.
type domain interface{ Mount(rt *api.Router) }

// openDomains opens the database and builds every domain on it, in the order in which they need each other. What goes
// into s.closers is closed in the opposite order, also after an error.
func (s *Server) openDomains(ctx context.Context) ([]domain, error) {
	db, err := s.openDatabase(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w", s.store, err)
	}
	s.closers = append(s.closers, db)
	root, destination := s.config.artifactPlaces(s.store)

	runs, err := tracking.New(db, tracking.Options{
		DefaultArtifactRoot: root, WorkDir: s.config.Dir, RejectLongValues: s.config.RejectLongValues,
	})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, runs)
	models, err := registry.New(db, registry.Options{
		Runs: runs, Models: runs, SourcePattern: s.config.VersionSourcePattern, HostSchemes: s.config.HostSchemes, ArtifactRoot: root,
	})
	if err != nil {
		return nil, err
	}
	files, err := artifact.New(ctx, db, artifact.Options{
		Root: destination, Beside: root, Cloud: s.config.Cloud, Runs: runs, Models: runs, Versions: versions{models},
		// A folder's clients find its files through the proxy, whatever the experiments' locations say.
		Disabled: s.config.NoServeArtifacts && s.store.Folder == "",
	})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, files)
	s.parts = parts{db, runs, models, files}
	if s.imports, err = newImports(ctx, s.store, db, destination, runs, models, files); err != nil {
		return nil, err
	}

	return []domain{runs, models, files}, nil
}

// parts are the domains that maintenance works on: gc, checks, backups.
type parts struct {
	db     *sqldb.DB
	runs   *tracking.Store
	models *registry.Store
	files  *artifact.Store
}

func (s *Server) openDatabase(ctx context.Context) (*sqldb.DB, error) {
	if s.store.Local() {
		return sqldb.OpenFile(ctx, s.store.Database())
	}
	return sqldb.Open(ctx, s.store.Database())
}

// versions tells the artifact store where the files of model versions are.
type versions struct{ models *registry.Store }

func (v versions) VersionArtifacts(ctx context.Context, name, version string) (string, error) {
	answer, err := v.models.GetDownloadURI(ctx, &mlflow.ModelVersionRequest{Name: name, Version: version})
	if err != nil {
		return "", err
	}
	return answer.ArtifactURI, nil
}
