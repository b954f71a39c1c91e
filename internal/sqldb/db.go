package sqldb

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Dialect says which database a DB or a Tx talks to.
type Dialect uint8

// The two databases.
const (
	SQLite Dialect = iota + 1
	Postgres
)

// String names the dialect as the migrations' folders do.
func (d Dialect) String() string {
	if d == Postgres {
		return "postgres"
	}
	return "sqlite"
}

// backend is what a database does for a DB.
type backend interface {
	read(ctx context.Context, fn func(tx *Tx) error) error
	write(ctx context.Context, fn func(tx *Tx) error) error
	close() error
}

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	dialect Dialect
	backend backend
	nesting *nesting
	stats   *stats

	searches   chan struct{} // one for each search that runs, see Search
	searchTime time.Duration

	mu      sync.Mutex
	schemas []Schema // see Schemas
}

// Open opens the database at uri: "sqlite:///relative.db", "sqlite:////absolute.db" (as in SQLAlchemy and so in MLflow),
// a plain file path, or "postgresql://user:password@host/name" (a "+driver" behind the scheme is ignored).
// A SQLite file is made when it is absent; its folder is not.
func Open(ctx context.Context, uri string) (*DB, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return OpenFile(ctx, uri)
	}
	base, _, _ := strings.Cut(scheme, "+")
	switch base {
	case "sqlite":
		path, err := sqlitePath(rest)
		if err != nil {
			return nil, err
		}
		return OpenFile(ctx, path)
	case "postgresql", "postgres":
		pg, err := openPostgres(ctx, "postgresql://"+rest)
		if err != nil {
			return nil, err
		}
		return (&DB{dialect: Postgres, backend: pg, stats: pg.stats}).withSearches(pg.searches()), nil
	}
	return nil, fmt.Errorf("database %q: the scheme must be sqlite or postgresql", scheme+"://…")
}

// OpenFile opens the SQLite database in the file at path.
func OpenFile(ctx context.Context, path string) (*DB, error) {
	lite, err := openSQLite(ctx, path, onNetwork(filepath.Dir(path)), slog.Default())
	if err != nil {
		return nil, err
	}
	return (&DB{dialect: SQLite, backend: lite, stats: lite.stats}).withSearches(liteSearches()), nil
}

// sqlitePath reads what follows "sqlite://". SQLAlchemy takes "sqlite:///a/b.db" as relative; where a/ exists only at
// the root of the file system the absolute path was meant.
func sqlitePath(rest string) (string, error) {
	path, query, _ := strings.Cut(rest, "?")
	if !strings.HasPrefix(path, "/") || len(path) < 2 {
		return "", fmt.Errorf("database sqlite://%s: write sqlite:///file.db or sqlite:////folder/file.db", rest)
	}
	if query != "" {
		return "", fmt.Errorf("database sqlite://%s: options after ? are not supported", rest)
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return "", fmt.Errorf("database sqlite://%s: %w", rest, err)
	}
	relative := path[1:]
	if filepath.IsAbs(relative) {
		return relative, nil
	}
	if !isDir(filepath.Dir(relative)) && isDir(filepath.Dir(path)) {
		return path, nil
	}
	return relative, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Dialect says which database this is.
func (db *DB) Dialect() Dialect { return db.dialect }

// Read runs fn on one snapshot of the database. Rows of fn's queries must not be used after it returns. Keep it short:
// it holds one of a few connections, so it must not wait for a client.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fold(err)
	}
	return fold(db.backend.read(ctx, db.nesting.guard("Read", fn)))
}

// Write runs fn in a transaction of its own or, on SQLite, in a savepoint among other waiting writes that are committed
// together; it returns after the durable commit. When fn returns an error, nothing of it remains. fn may run more than
// once (after a deadlock, say), so it must set its results, not add to them. When ctx ends before fn has begun, fn does
// not run; later it no longer matters. fn must not call Read or Write, and must not hold the writer for long (50 ms).
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fold(err)
	}
	return fold(db.backend.write(ctx, db.nesting.guard("Write", fn)))
}

// Close waits for the writes that have begun, refuses later ones and closes all connections.
func (db *DB) Close() error { return db.backend.close() }
