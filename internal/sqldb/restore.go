package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
)

// ErrInUse says that other programs have a database open that is to be replaced.
var ErrInUse = errors.New("other programs have the database open; stop the servers that work on it")

// ReplaceFile puts the SQLite database in the file at path in the place of the one at target, in one step: a program that
// opens target sees the old one or the new one. What was at target is kept beside it, under the name that is given back
// ("" when there was nothing). Both files must be in one folder, and nobody may have either open: that is ErrInUse.
func ReplaceFile(path, target string) (kept string, err error) {
	if err := settle(path); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if err := syncFile(path); err != nil {
		return "", err
	}
	if _, err := os.Lstat(target); err == nil {
		if err := settle(target); err != nil {
			return "", fmt.Errorf("%s: %w", target, err)
		}
		kept = target + ".before-" + time.Now().UTC().Format("20060102T150405.000")
		if err := os.Link(target, kept); err != nil {
			// A file system without links: for a moment there is no database.
			if err := os.Rename(target, kept); err != nil {
				return "", err
			}
		}
	}
	if err := os.Rename(path, target); err != nil {
		return "", err
	}
	return kept, syncFile(target)
}

// settle folds a database's log into its file, so that the file alone is the database. It works only while nobody else has
// the database open.
func settle(path string) error {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return explainOpen(err)
	}
	c := &liteConn{Conn: conn, stmts: make(map[string]*liteStmt)}
	defer c.close()
	c.SetBusyTimeout(2 * time.Second)
	stmt, _, err := c.PrepareTransient(`pragma journal_mode = delete`)
	if err != nil {
		return err
	}
	defer stmt.Finalize()
	row, err := stmt.Step()
	switch {
	case liteCode(err).ToPrimary() == sqlite.ResultBusy || liteCode(err).ToPrimary() == sqlite.ResultLocked:
		return ErrInUse
	case err != nil:
		return err
	case row && stmt.ColumnText(0) != "delete":
		return ErrInUse
	}
	return nil
}

// Restore makes a PostgreSQL database what the SQLite file at path is, a Backup, in one transaction: others see what was
// there before or all of it. The schemas must be those of this program. It is ErrInUse while servers of ours are connected:
// they remember ids. Tables that are none of ours stay.
func (db *DB) Restore(ctx context.Context, path string, schemas []Schema) error {
	p, ok := db.backend.(*pgDB)
	if !ok {
		return errors.New("restore: a SQLite database is replaced as a file")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	source, err := OpenReadOnly(ctx, abs)
	if err != nil {
		return err
	}
	defer source.Close()
	err = source.Read(ctx, func(from *Tx) error {
		return p.within(ctx, toWrite, func(to *Tx) error {
			if err := to.Lock("weir migrations"); err != nil {
				return err
			}
			var others int
			err := to.QueryRow(`
				select count(*) from pg_catalog.pg_stat_activity
				where datname = current_database() and application_name = $1 and pid <> pg_backend_pid()`, applicationName).Scan(&others)
			if err != nil {
				return err
			}
			if others > 0 {
				return ErrInUse
			}
			return replaceTables(from, to, schemas)
		})
	})
	if err != nil {
		return fold(fmt.Errorf("restore the database: %w", err))
	}
	return nil
}

func replaceTables(from, to *Tx, schemas []Schema) error {
	have, err := from.versions()
	if err != nil {
		return err
	}
	if err := dropTables(to, schemas); err != nil {
		return err
	}
	if err := buildSchema(to, have, schemas); err != nil {
		return err
	}
	tables, err := from.copiedTables()
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := to.Exec(`delete from ` + quote(t.name)); err != nil { // a migration may have made rows
			return err
		}
	}
	for _, t := range tables {
		if err := copyToPostgres(from, to, t); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return nil
}

// dropTables removes the tables that the schemas make, of whatever version the database is.
func dropTables(to *Tx, schemas []Schema) error {
	lite, err := newFile(":memory:")
	if err != nil {
		return err
	}
	defer lite.close()
	scratch := &Tx{ctx: to.ctx, lite: lite}
	for _, s := range schemas {
		migrations, err := readMigrations(s.Files, SQLite.String())
		if err != nil {
			return err
		}
		if err := migrate(scratch, s.Domain, migrations); err != nil {
			return err
		}
	}
	tables, err := scratch.Tables()
	if err != nil {
		return err
	}
	for _, name := range tables {
		if _, err := to.Exec(`drop table if exists ` + quote(name) + ` cascade`); err != nil {
			return err
		}
	}
	return nil
}

// copyToPostgres copies the rows of a table, and how far its ids have been given out.
func copyToPostgres(from, to *Tx, t copiedTable) error {
	var want int64
	if err := from.QueryRow(`select count(*) from ` + quote(t.name)).Scan(&want); err != nil {
		return err
	}
	rows, err := from.Query(`select ` + t.columnList() + ` from ` + quote(t.name))
	if err != nil {
		return err
	}
	defer rows.Close()
	source := &liteRows{rows: rows}
	if err := to.pg.flush(to.ctx); err != nil {
		return err
	}
	n, err := to.pg.conn.CopyFrom(to.ctx, pgx.Identifier{t.name}, t.columns, source)
	if err != nil {
		return err
	}
	if n != want {
		return fmt.Errorf("%d of %d rows were written", n, want)
	}
	var sequence *string
	hasID := `select pg_get_serial_sequence($1, a.attname) from pg_catalog.pg_attribute a
		where a.attrelid = cast($1 as regclass) and a.attname = 'id' and not a.attisdropped`
	err = to.QueryRow(hasID, quote(t.name)).Scan(&sequence)
	if errors.Is(err, ErrNoRows) || (err == nil && sequence == nil) {
		return nil
	}
	if err != nil {
		return err
	}
	var last int64
	if err := from.QueryRow(`select coalesce(max(id), 0) from ` + quote(t.name)).Scan(&last); err != nil {
		return err
	}
	if t.counted {
		var given int64
		err := from.QueryRow(`select seq from sqlite_sequence where name = $1`, t.name).Scan(&given)
		if err != nil && !errors.Is(err, ErrNoRows) {
			return err
		}
		last = max(last, given)
	}
	if last == 0 {
		return nil
	}
	_, err = to.Exec(`select setval(cast($1 as regclass), $2)`, *sequence, last)
	return err
}

// liteRows are the rows of a SQLite query, for PostgreSQL's COPY.
type liteRows struct{ rows *Rows }

func (r *liteRows) Next() bool { return r.rows.Next() }
func (r *liteRows) Err() error { return r.rows.err }

func (r *liteRows) Values() ([]any, error) {
	stmt := r.rows.stmt
	values := make([]any, stmt.ColumnCount())
	for i := range values {
		values[i] = stmt.value(i, stmt.ColumnType(i))
	}
	return values, nil
}
