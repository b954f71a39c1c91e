package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
			return (&DB{dialect: Postgres, backend: readOnly{pg}, stats: pg.stats}).withSearches(pg.searches()), nil
		}
		var err error
		if path, err = sqlitePath(rest); err != nil {
			return nil, err
		}
	}
	left, err := leftWAL(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if left {
		return openCopy(ctx, path)
	}
	return openLite(ctx, path)
}

func openLite(ctx context.Context, path string) (*DB, error) {
	lite := &liteDB{path: path, slots: make(chan struct{}, liteSearches()+1), foreign: true, stats: &stats{}}
	conn, err := lite.connect(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	lite.idle = append(lite.idle, conn)
	return (&DB{dialect: SQLite, backend: readOnly{lite}, stats: lite.stats}).withSearches(liteSearches()), nil
}

// readOnly refuses writes.
type readOnly struct{ backend }

func (readOnly) write(context.Context, func(tx *Tx) error) error { return errReadOnly }

// leftWAL says whether a program that was killed left a log which nobody has open: SQLite would make an index beside it.
func leftWAL(path string) (bool, error) {
	if !walMode(path) {
		return false, nil
	}
	for file, there := range map[string]bool{"-wal": true, "-shm": false} {
		_, err := os.Stat(path + file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
		if (err == nil) != there {
			return false, nil
		}
	}
	return true, nil
}

// openCopy opens a copy of a database and its log, which is removed when it is closed.
func openCopy(ctx context.Context, path string) (*DB, error) {
	dir, err := os.MkdirTemp("", "weir-copy-")
	if err != nil {
		return nil, err
	}
	to := filepath.Join(dir, filepath.Base(path))
	err = errors.Join(copyFile(path, to), copyFile(path+"-wal", to+"-wal"))
	var db *DB
	if err == nil {
		db, err = openLite(ctx, to)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a copy of the database %s: %w", path, err), os.RemoveAll(dir))
	}
	db.backend = copied{db.backend, dir}
	return db, nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// copied removes its folder in the end.
type copied struct {
	backend
	dir string
}

func (c copied) close() error { return errors.Join(c.backend.close(), os.RemoveAll(c.dir)) }

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
