package sqldb_test

import (
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

func domain(files ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		for _, dialect := range []string{"sqlite", "postgres"} {
			fs[dialect+"/"+files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
	}
	return fs
}

func TestMigrationsRunOnceInOrderAndTogether(t *testing.T) {
	t.Parallel()
	first := "-- the first\ncreate table a (i bigint);\ncreate index a_i on a (i);\n-- end\n"
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		var wg sync.WaitGroup
		for range 4 {
			db := sqldbtest.Open(t, uri)
			wg.Go(func() {
				if err := db.Migrate(t.Context(), "x", domain("001_a.sql", first, "002_b.sql", `insert into a values (1)`)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		db := sqldbtest.Open(t, uri)
		if n := count(t, db, "a"); n != 1 {
			t.Errorf("the second migration ran %d times", n)
		}
		err := db.Migrate(t.Context(), "x", domain("001_a.sql", first, "002_b.sql", ``, "003_c.sql", `insert into a values (2); insert into nowhere values (1)`))
		if err == nil {
			t.Error("a faulty migration succeeded")
		}
		if n := count(t, db, "a"); n != 1 {
			t.Errorf("half of a faulty migration remains: %d rows", n)
		}
		err = db.Migrate(t.Context(), "x", domain("001_a.sql", first))
		if err == nil || !strings.Contains(err.Error(), "use a newer weir") {
			t.Errorf("an older program: %v", err)
		}
		if err := db.Migrate(t.Context(), "y", domain("001_y.sql", `create table y (i bigint)`)); err != nil {
			t.Errorf("another domain: %v", err)
		}
	})
}
