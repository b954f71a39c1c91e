package sqldb

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
)

// Schema is what a domain gave Migrate: its name and its migrations for both dialects.
type Schema struct {
	Domain string
	Files  fs.FS
}

// Schemas gives the schemas of the domains that have called Migrate on this DB, in the order in which they did.
func (db *DB) Schemas() []Schema {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.schemas)
}

// remember notes a domain's schema.
func (db *DB) remember(domain string, files fs.FS) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if !slices.ContainsFunc(db.schemas, func(s Schema) bool { return s.Domain == domain }) {
		db.schemas = append(db.schemas, Schema{domain, files})
	}
}

// Version is a migration that a database has had.
type Version struct {
	Domain string `json:"domain"`
	Number int64  `json:"number"`
	Name   string `json:"name"`
}

// Versions lists the migrations that the database has had, by domain and number. A database that no program of ours has
// opened has none.
func (db *DB) Versions(ctx context.Context) (list []Version, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		list, err = tx.versions()
		return err
	})
	return list, err
}

func (tx *Tx) versions() (list []Version, err error) {
	if there, err := tx.HasTable("schema_migration"); err != nil || !there {
		return nil, err
	}
	rows, err := tx.Query(`select domain, version, name from schema_migration order by domain, version`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v Version
		if err := rows.Scan(&v.Domain, &v.Number, &v.Name); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Close()
}

// CheckVersions refuses a database whose tables a newer program has changed. current tells whether they are those of the
// schemas. Tables of domains that are not among them are not judged.
func CheckVersions(have []Version, schemas []Schema) (current bool, err error) {
	current = true
	for _, s := range schemas {
		migrations, err := readMigrations(s.Files, SQLite.String())
		if err != nil {
			return false, fmt.Errorf("migrations of %s: %w", s.Domain, err)
		}
		n := 0
		for _, v := range have {
			if v.Domain == s.Domain {
				n++
			}
		}
		if n > len(migrations) {
			return false, fmt.Errorf("the tables of %s are at version %d, this program knows versions up to %d; use a newer weir", s.Domain, n, len(migrations))
		}
		current = current && n == len(migrations)
	}
	return current, nil
}

// buildSchema makes the tables of a database as they were after the migrations that it is to have had.
func buildSchema(tx *Tx, have []Version, schemas []Schema) error {
	if _, err := CheckVersions(have, schemas); err != nil {
		return err
	}
	for _, v := range have {
		if !slices.ContainsFunc(schemas, func(s Schema) bool { return s.Domain == v.Domain }) {
			return fmt.Errorf("this program knows no tables of %s; use a newer weir", v.Domain)
		}
	}
	for _, s := range schemas {
		migrations, err := readMigrations(s.Files, tx.Dialect().String())
		if err != nil {
			return fmt.Errorf("migrations of %s: %w", s.Domain, err)
		}
		n := 0
		for _, v := range have {
			if v.Domain == s.Domain {
				n++
			}
		}
		if err := migrate(tx, s.Domain, migrations[:n]); err != nil {
			return err
		}
	}
	return nil
}

// HasTable tells whether there is a table of a name.
func (tx *Tx) HasTable(name string) (there bool, err error) {
	query := `select count(*) from sqlite_master where type = 'table' and name = $1`
	if tx.lite == nil {
		query = `select count(*) from pg_catalog.pg_tables where schemaname = current_schema() and tablename = $1`
	}
	var n int
	err = tx.QueryRow(query, name).Scan(&n)
	return n > 0, err
}

// Tables lists the database's tables by name, SQLite's own left out.
func (tx *Tx) Tables() ([]string, error) {
	query := `select name from sqlite_master where type = 'table' and substr(name, 1, 7) <> 'sqlite_' order by name`
	if tx.lite == nil {
		query = `select cast(tablename as text) from pg_catalog.pg_tables where schemaname = current_schema() order by tablename`
	}
	return tx.texts(query)
}

func (tx *Tx) texts(query string, args ...any) (list []string, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Close()
}
