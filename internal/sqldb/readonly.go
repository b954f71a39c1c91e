package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"zombiezen.com/go/sqlite"
)

// errReadOnly answers Write on a database that was opened with OpenReadOnly.
var errReadOnly = errors.New("the database was opened for reading only")

// OpenReadOnly opens another program's database, such as MLflow's, for Read alone. Nothing is written to it, and no files
// are made beside it. The uri is as for Open; a SQLite file must exist.
func OpenReadOnly(ctx context.Context, uri string) (*DB, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	path := uri
	if ok {
		base, _, _ := strings.Cut(scheme, "+")
		if base != "sqlite" {
			if base != "postgresql" && base != "postgres" {
				return nil, fmt.Errorf("database %q: the scheme must be sqlite or postgresql", scheme+"://…")
			}
			pg, err := openAnyPostgres(ctx, "postgresql://"+rest)
			if err != nil {
				return nil, err
			}
			return &DB{dialect: Postgres, backend: readOnly{pg}, stats: pg.stats}, nil
		}
		var err error
		if path, err = sqlitePath(rest); err != nil {
			return nil, err
		}
	}
	lite := &liteDB{path: path, slots: make(chan struct{}, min(max(runtime.GOMAXPROCS(0), 2), 4)), foreign: true, stats: &stats{}}
	conn, err := lite.connect(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	lite.idle = append(lite.idle, conn)
	return &DB{dialect: SQLite, backend: readOnly{lite}, stats: lite.stats}, nil
}

// readOnly refuses writes.
type readOnly struct{ backend }

func (readOnly) write(context.Context, func(tx *Tx) error) error { return errReadOnly }

// openForeign opens a file that stays as it is. One in WAL mode would get files for its log and its index beside it; as
// long as nobody else has made them, nobody writes, and it can be read without.
func openForeign(path string) (*sqlite.Conn, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if walMode(path) {
		if _, err := os.Stat(path + "-wal"); errors.Is(err, os.ErrNotExist) {
			escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
			return sqlite.OpenConn("file:"+escaped+"?immutable=1", sqlite.OpenReadOnly, sqlite.OpenURI)
		}
	}
	return sqlite.OpenConn(path, sqlite.OpenReadOnly)
}

// walMode reads from a file's header (https://www.sqlite.org/fileformat.html, offset 18) whether it is in WAL mode.
func walMode(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var header [20]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return false
	}
	return header[18] == 2
}
