package sqldb

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"sort"
	"strconv"
	"strings"
)

//go:embed migrations
var ownMigrations embed.FS

// migration is one file of a domain: NNN_name.sql.
type migration struct {
	version int64
	name    string
	sql     string
}

// Migrate brings a domain's tables to the version that files describe: files holds sqlite/NNN_name.sql and
// postgres/NNN_name.sql, numbered from 001 without gaps. Each runs once, all missing ones in one transaction under a
// lock, so several processes may start together. A database that a newer program has changed is refused.
// The tables of this package come first, with whichever domain asks first.
func (db *DB) Migrate(ctx context.Context, domain string, files fs.FS) error {
	own, err := fs.Sub(ownMigrations, "migrations")
	if err != nil {
		return err
	}
	if err := db.migrate(ctx, "sqldb", own); err != nil {
		return err
	}
	return db.migrate(ctx, domain, files)
}

func (db *DB) migrate(ctx context.Context, domain string, files fs.FS) error {
	db.remember(domain, files)
	migrations, err := readMigrations(files, db.dialect.String())
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", domain, err)
	}
	// Looking first costs no write, so a program that has nothing to do starts while another one writes.
	if version, err := db.schemaVersion(ctx, domain); err == nil && version == int64(len(migrations)) {
		return nil
	}
	var done []migration
	err = db.Write(ctx, func(tx *Tx) error {
		if err := tx.Lock("weir migrations"); err != nil {
			return err
		}
		have, err := migrated(tx, domain, migrations)
		if err != nil {
			return err
		}
		done = migrations[have:]
		return migrate(tx, domain, migrations)
	})
	if err != nil {
		return fmt.Errorf("migrate %s: %w", domain, err)
	}
	// A new store says nothing: its first migrations are how it comes to be.
	if from := len(migrations) - len(done); from > 0 && len(done) > 0 {
		var names []string
		for _, m := range done {
			names = append(names, m.name)
		}
		slog.Info("the database was upgraded", "tables", domain, "from_version", from, "to_version", len(migrations), "by", strings.Join(names, ", "))
	}
	return nil
}

func (db *DB) schemaVersion(ctx context.Context, domain string) (version int64, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		return tx.QueryRow(`select coalesce(max(version), 0) from schema_migration where domain = $1`, domain).Scan(&version)
	})
	return version, err
}

// migrated makes the table of versions if need be and gives how many migrations a domain has had.
func migrated(tx *Tx, domain string, migrations []migration) (have int64, err error) {
	_, err = tx.Exec(`
		create table if not exists schema_migration (
			domain text not null,
			version bigint not null,
			name text not null,
			primary key (domain, version))`)
	if err != nil {
		return 0, err
	}
	if err := tx.QueryRow(`select coalesce(max(version), 0) from schema_migration where domain = $1`, domain).Scan(&have); err != nil {
		return 0, err
	}
	if have > int64(len(migrations)) {
		return 0, fmt.Errorf("the database was changed by a newer program: it is at version %d, this one knows versions up to %d; use a newer weir", have, len(migrations))
	}
	return have, nil
}

func migrate(tx *Tx, domain string, migrations []migration) error {
	have, err := migrated(tx, domain, migrations)
	if err != nil {
		return err
	}
	for _, m := range migrations[have:] {
		if err := tx.script(m.sql); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if _, err := tx.Exec(`insert into schema_migration (domain, version, name) values ($1, $2, $3)`, domain, m.version, m.name); err != nil {
			return err
		}
	}
	return nil
}

// script runs several statements without parameters.
func (tx *Tx) script(sql string) error {
	if tx.lite != nil {
		return tx.lite.script(sql)
	}
	if err := tx.pg.flush(tx.ctx); err != nil {
		return err
	}
	_, err := tx.pg.conn.PgConn().Exec(tx.ctx, sql).ReadAll()
	return err
}

func readMigrations(files fs.FS, dialect string) ([]migration, error) {
	entries, err := fs.ReadDir(files, dialect)
	if err != nil {
		return nil, err
	}
	var out []migration
	for _, entry := range entries {
		name := entry.Name()
		number, _, ok := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || !strings.HasSuffix(name, ".sql") {
			return nil, fmt.Errorf("%s/%s: the name must be NNN_name.sql", dialect, name)
		}
		sql, err := fs.ReadFile(files, dialect+"/"+name)
		if err != nil {
			return nil, err
		}
		out = append(out, migration{version: version, name: name, sql: string(sql)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].version < out[j].version })
	for i, m := range out {
		if m.version != int64(i+1) {
			return nil, fmt.Errorf("%s/%s: version %d is expected here", dialect, m.name, i+1)
		}
	}
	return out, nil
}
