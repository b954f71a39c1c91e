package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// openStore opens an existing store for maintenance, without listening, beside servers that work on it. Without artifacts
// it does not ask where they are. The caller closes what it gets.
func openStore(ctx context.Context, config Config, artifacts bool) (*Server, error) {
	store, err := existingStore(config)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, store: store}
	find := s.findArtifacts
	if !artifacts {
		find = s.noArtifacts
	}
	if err := find(ctx); err != nil {
		return nil, err
	}
	if _, err := s.openDomains(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// existingStore finds the store that a Config names; a command that maintains one makes none.
func existingStore(config Config) (Store, error) {
	store, err := ParseStore(config.BackendStoreURI, config.Dir)
	if err != nil {
		return store, err
	}
	if !store.Local() {
		return store, nil
	}
	if _, err := os.Stat(store.Database()); errors.Is(err, fs.ErrNotExist) {
		return store, fmt.Errorf("there is no store at %s: %s does not exist", store, store.Database())
	} else if err != nil {
		return store, fmt.Errorf("open the store %s: %w", store, err)
	}
	host, err := os.Hostname()
	if err != nil {
		return store, fmt.Errorf("name of this host: %w", err)
	}
	return store, checkForeign(store, host)
}

// findArtifacts settles where the artifacts of a database are when nobody has said it. A server keeps them in its working
// directory, or beside the database when it was started for clients; this command may run elsewhere, and must not take an
// empty folder for them.
func (s *Server) findArtifacts(ctx context.Context) error {
	if s.config.ArtifactsDestination != "" || s.store.Folder != "" {
		return nil
	}
	if root := s.config.DefaultArtifactRoot; hasScheme(root) {
		if _, local := mlflow.LocalPath(root); !local && !strings.HasPrefix(root, "mlflow-artifacts:") {
			s.config.ArtifactsDestination = root // a bucket that clients write to without the server
			return nil
		}
	}
	places := []string{filepath.Join(s.config.Dir, "mlartifacts")}
	if s.store.File != "" {
		places = append(places, filepath.Join(s.store.dir(), "mlartifacts"))
	}
	for _, place := range places {
		if isDir(place) {
			s.config.ArtifactsDestination = place
			return nil
		}
	}
	known, err := s.knowsFiles(ctx)
	if err != nil {
		return err
	}
	if known {
		return fmt.Errorf("where are the artifacts of %s? they are not in %s; say it with --artifacts-destination, as to its server", s.store, places[0])
	}
	s.config.ArtifactsDestination = places[len(places)-1]
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// noArtifacts has an empty folder stand for the artifacts when nobody has said where they are.
func (s *Server) noArtifacts(context.Context) error {
	if s.config.ArtifactsDestination != "" || s.store.Folder != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "weir-maintain-")
	if err != nil {
		return err
	}
	s.config.ArtifactsDestination = dir
	s.closers = append(s.closers, closerFunc(func() error { return os.RemoveAll(dir) }))
	return nil
}

// knowsFiles tells whether artifacts were ever put into the store.
func (s *Server) knowsFiles(ctx context.Context) (known bool, err error) {
	db, err := s.openDatabase(ctx)
	if err != nil {
		return false, fmt.Errorf("open the store %s: %w", s.store, err)
	}
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		if there, err := tx.HasTable("file"); err != nil || !there {
			return err
		}
		var n int
		err := tx.QueryRow(`select count(*) from (select 1 from file limit 1) f`).Scan(&n)
		known = n > 0
		return err
	})
	return known, errors.Join(err, db.Close())
}
