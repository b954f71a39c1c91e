package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
)

// Backup writes the database, as it is at one moment, into a new SQLite file, also that of PostgreSQL; writers go on
// meanwhile. What was acknowledged before the call is in it. The schemas are needed for PostgreSQL alone: of the domains
// whose tables there are, see Schemas. The file is on disk when Backup returns; after an error there is none.
func (db *DB) Backup(ctx context.Context, path string, schemas []Schema) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("back up to %s: the file is there already", path)
	}
	defer func() {
		if err != nil {
			for _, name := range []string{path, path + "-journal", path + "-wal", path + "-shm"} {
				_ = os.Remove(name)
			}
			err = fold(fmt.Errorf("back up the database: %w", err))
		}
	}()
	switch b := db.backend.(type) {
	case *liteDB:
		err = b.vacuumInto(ctx, path)
	case *pgDB:
		err = b.copyInto(ctx, path, schemas)
	default:
		err = errors.New("it was opened for reading only")
	}
	if err != nil {
		return err
	}
	return syncFile(path)
}

// vacuumInto copies a SQLite database out of one snapshot of it, which a connection of its own holds.
func (db *liteDB) vacuumInto(ctx context.Context, path string) error {
	conn, err := sqlite.OpenConn(db.path, sqlite.OpenReadWrite)
	if err != nil {
		return explainOpen(err)
	}
	c := &liteConn{Conn: conn, stmts: make(map[string]*liteStmt)}
	defer c.close()
	c.SetBusyTimeout(busyTimeout)
	c.SetInterrupt(ctx.Done())
	_, err = c.exec(`vacuum into $1`, []any{path})
	return orCancelled(ctx, err)
}

// copyInto copies a PostgreSQL database into a new SQLite file, row by row out of one snapshot.
func (p *pgDB) copyInto(ctx context.Context, path string, schemas []Schema) error {
	lite, err := newFile(path)
	if err != nil {
		return err
	}
	defer func() {
		if lite != nil {
			lite.close()
		}
	}()
	// Not read, which protects its caller from panics only: here the connection is held for as long as it takes.
	err = p.within(ctx, toRead, func(from *Tx) error {
		to := &Tx{ctx: ctx, lite: lite}
		have, err := from.versions()
		if err != nil {
			return err
		}
		if err := lite.run(`begin immediate`); err != nil {
			return err
		}
		if err := buildSchema(to, have, schemas); err != nil {
			return err
		}
		tables, err := to.copiedTables()
		if err != nil {
			return err
		}
		for _, t := range tables {
			if err := copyToLite(from, to, t); err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
		}
		return lite.run(`commit`)
	})
	if err != nil {
		return err
	}
	err = lite.close()
	lite = nil
	return err
}

// newFile makes a SQLite file that is written by one transaction and needs no journal: after an error it is thrown away.
func newFile(path string) (*liteConn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		return nil, explainOpen(err)
	}
	c := &liteConn{Conn: conn, stmts: make(map[string]*liteStmt)}
	for _, pragma := range []string{`pragma journal_mode = off`, `pragma synchronous = off`, `pragma foreign_keys = off`} {
		if err := c.script(pragma); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// copyToLite copies the rows of a table and how far its ids have been given out. It reads as many rows as it writes, or it
// is an error.
func copyToLite(from, to *Tx, t copiedTable) error {
	rows, err := from.pg.query(from.ctx, `select `+t.columnList()+` from `+quote(t.name), nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	insert := `insert into ` + quote(t.name) + ` (` + t.columnList() + `) values (` + t.places() + `)`
	var n, written int64
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		for i, v := range values {
			if narrow, ok := v.(int32); ok {
				values[i] = int64(narrow)
			}
		}
		changed, err := to.lite.exec(insert, values)
		if err != nil {
			return err
		}
		n++
		written += changed
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if written != n {
		return fmt.Errorf("%d of %d rows were written", written, n)
	}
	if !t.counted {
		return nil
	}
	var last *int64
	if err := from.QueryRow(sequenceValue(t.name)).Scan(&last); err != nil {
		return err
	}
	if last == nil {
		return nil
	}
	changed, err := to.lite.exec(`update sqlite_sequence set seq = max(seq, $1) where name = $2`, []any{*last, t.name})
	if err == nil && changed == 0 {
		_, err = to.lite.exec(`insert into sqlite_sequence (name, seq) values ($1, $2)`, []any{t.name, *last})
	}
	return err
}

// syncFile has a file, and its name in its folder, on disk.
func syncFile(path string) error {
	for _, name := range []string{path, filepath.Dir(path)} {
		f, err := os.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		err = f.Sync()
		f.Close()
		if err != nil && name == path {
			return err // folders cannot be synced everywhere
		}
	}
	return nil
}
