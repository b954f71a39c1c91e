package sqldb_test

import (
	"os"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

func TestCheckFindsNothingInAWholeDatabase(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, `create table parent (i bigint primary key)`)
		if faults, err := db.Check(t.Context()); err != nil || len(faults) != 0 {
			t.Errorf("%q, %v", faults, err)
		}
	})
}

func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	uri := sqldbtest.SQLiteURI(t)
	db, err := sqldb.Open(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, `create table v (i bigint, s text)`)
	exec(t, db, `create index v_i on v (i)`)
	exec(t, db, `insert into v with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000) select i, 'text ' || i from n`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(uri, "sqlite:///")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[len(data)-4096:]) // the last page
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if faults, err := sqldbtest.Open(t, uri).Check(t.Context()); err == nil && len(faults) == 0 {
		t.Error("a page of zeros was not found")
	}
}
