package sqldb_test

import (
	"errors"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

func TestTheDatabaseOfPythonsMLflowIsNotOpened(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		db, err := sqldb.Open(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`create table alembic_version (version_num varchar(32) not null)`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err := sqldb.Open(t.Context(), uri); !errors.Is(err, sqldb.ErrMLflowDatabase) {
			t.Errorf("got %v", err)
			if err == nil {
				db.Close()
			}
		}
	})
}
