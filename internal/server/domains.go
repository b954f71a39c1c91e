package server

import (
	"context"
	"io"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
)

// domain is what a store or a runner offers the server.
type domain interface{ Mount(rt *api.Router) }

// openDomains opens the database and builds every domain on it, in the order in which they need each other. What is
// given in closers is closed in reverse order, also after an error.
func (s *Server) openDomains(ctx context.Context) (domains []domain, err error) {
	db, err := s.openDatabase(ctx)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, db)
	return nil, nil
}

func (s *Server) openDatabase(ctx context.Context) (*sqldb.DB, error) {
	if s.store.Local() {
		return sqldb.OpenFile(ctx, s.store.Database())
	}
	return sqldb.Open(ctx, s.store.Database())
}

var _ io.Closer = (*sqldb.DB)(nil)
