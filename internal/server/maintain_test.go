package server

import (
	"strings"
	"testing"

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
