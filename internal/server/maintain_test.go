package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

// TestAnOlderProgramRefusesANewerStore opens a store that a program to come has upgraded, in each way that a store is opened.
func TestAnOlderProgramRefusesANewerStore(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		dir := t.TempDir()
		c := Config{BackendStoreURI: uri, ArtifactsDestination: dir + "/files", Dir: dir}
		done, err := UpgradeStore(t.Context(), c)
		if err != nil || len(done) < 4 {
			t.Fatalf("a new store: %+v, %v", done, err)
		}
		if done, err = UpgradeStore(t.Context(), c); err != nil || len(done) != 0 {
			t.Errorf("again: %+v, %v", done, err)
		}
		db := sqldbtest.Open(t, uri)
		before, err := db.Versions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for n := 100; n < 110; n++ {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`insert into schema_migration (domain, version, name) values ('tracking', $1, 'to_come.sql')`, n)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for name, open := range map[string]func() error{
			"server":  func() error { s, err := open(t.Context(), c); return closed(s, err) },
			"upgrade": func() error { _, err := UpgradeStore(t.Context(), c); return err },
			"check":   func() error { _, err := CheckStore(t.Context(), c, false); return err },
			"gc":      func() error { _, err := GC(t.Context(), GCOptions{Config: c}); return err },
			"backup":  func() error { _, err := Backup(t.Context(), BackupOptions{Config: c, To: dir + "/backup"}); return err },
		} {
			if err := open(); err == nil || !strings.Contains(err.Error(), "use a newer weir") || !strings.Contains(err.Error(), "tracking") {
				t.Errorf("%s: %v", name, err)
			}
		}
		after, err := db.Versions(t.Context())
		if err != nil || len(after) != len(before)+10 {
			t.Errorf("the versions were changed: %v, %v", after, err)
		}
	})
}

func closed(s *Server, err error) error {
	if err == nil {
		_ = s.close()
	}
	return err
}

// TestTablesAreTheSameOnBothDatabases guards backups, which copy tables by their names and columns.
func TestTablesAreTheSameOnBothDatabases(t *testing.T) {
	t.Parallel()
	tables := map[string]map[string][]string{}
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		dir := t.TempDir()
		if _, err := UpgradeStore(t.Context(), Config{BackendStoreURI: uri, ArtifactsDestination: dir, Dir: dir}); err != nil {
			t.Fatal(err)
		}
		db := sqldbtest.Open(t, uri)
		found := map[string][]string{}
		columns := `select name from pragma_table_info($1) order by name`
		if db.Dialect() == sqldb.Postgres {
			columns = `select cast(column_name as text) from information_schema.columns where table_schema = current_schema() and table_name = $1 order by 1`
		}
		err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			names, err := tx.Tables()
			if err != nil {
				return err
			}
			for _, name := range names {
				rows, err := tx.Query(columns, name)
				if err != nil {
					return err
				}
				for rows.Next() {
					var column string
					if err := rows.Scan(&column); err != nil {
						rows.Close()
						return err
					}
					found[name] = append(found[name], column)
				}
				if err := rows.Close(); err != nil {
					return err
				}
				slices.Sort(found[name])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		tables[db.Dialect().String()] = found
	})
	if diff := cmp.Diff(tables["sqlite"], tables["postgres"]); diff != "" || len(tables["sqlite"]) < 20 {
		t.Errorf("%d tables; (-sqlite +postgres) %s", len(tables["sqlite"]), diff)
	}
}
