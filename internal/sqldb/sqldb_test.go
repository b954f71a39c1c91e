package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func exec(t *testing.T, db *sqldb.DB, sql string, args ...any) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(sql, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *sqldb.DB, table string) (n int) {
	t.Helper()
	if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`select count(*) from ` + table).Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSQLiteHasTheFixOfTheWALCorruption(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	var version string
	if err := db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`select sqlite_version()`).Scan(&version) }); err != nil {
		t.Fatal(err)
	}
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		t.Fatal(err)
	}
	if major*1_000_000+minor*1000+patch < 3_051_003 {
		t.Errorf("SQLite %s is older than 3.51.3", version)
	}
}

func TestSQLiteIsSetUpForDurability(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	got := map[string]string{}
	read := func(tx *sqldb.Tx) error {
		for _, name := range []string{"journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint", "cache_size"} {
			var value sql.Null[string]
			rows, err := tx.Query(`pragma ` + name)
			if err != nil {
				return err
			}
			for rows.Next() {
				var v any = &value
				if name != "journal_mode" {
					n := new(int64)
					if err := rows.Scan(n); err != nil {
						return err
					}
					value.V = fmt.Sprint(*n)
				} else if err := rows.Scan(v); err != nil {
					return err
				}
			}
			if err := rows.Close(); err != nil {
				return err
			}
			got[name] = value.V
		}
		return nil
	}
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "wal_autocheckpoint": "4000"}
	for name, run := range map[string]func(context.Context, func(*sqldb.Tx) error) error{"writer": db.Write, "reader": db.Read} {
		want["cache_size"] = map[string]string{"writer": "-8192", "reader": "-16384"}[name]
		clear(got)
		if err := run(t.Context(), read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		real, blob := "real", "blob"
		if db.Dialect() == sqldb.Postgres {
			real, blob = "double precision", "bytea"
		}
		exec(t, db, `create table v (s text, i bigint, f `+real+`, b bigint, d `+blob+`)`)
		text, number := "ü'\"%_\\", int64(7)
		exec(t, db, `insert into v values ($1, $2, $3, $4, $5)`, text, int64(math.MinInt64), math.Inf(-1), true, []byte{0, 1, 255})
		exec(t, db, `insert into v values ($1, $2, $3, $4, $5)`, nil, nil, (*float64)(nil), (*bool)(nil), []byte(nil))
		exec(t, db, `insert into v values ($2, $1, $5, $3, $4)`, &number, &text, false, []byte{}, 7.0)
		type row struct {
			S *string
			I *int64
			F *float64
			B *bool
			D []byte
		}
		var got []row
		if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			rows, err := tx.Query(`select s, i, f, d from v order by i is null, i`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var r row
				if err := rows.Scan(&r.S, &r.I, &r.F, &r.D); err != nil {
					return err
				}
				got = append(got, r)
			}
			if err := rows.Close(); err != nil {
				return err
			}
			for i := range got {
				if got[i].I == nil {
					continue
				}
				got[i].B = new(bool)
				if err := tx.QueryRow(`select b from v where i = $1`, *got[i].I).Scan(got[i].B); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		minimum, seven, inf, yes, no := int64(math.MinInt64), 7.0, math.Inf(-1), true, false
		want := []row{{&text, &minimum, &inf, &yes, []byte{0, 1, 255}}, {&text, &number, &seven, &no, []byte{}}, {}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTextThatOneDatabaseCannotStoreIsRefusedByBoth(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, `create table v (s text)`)
		for _, bad := range []string{"a\x00b", "\xff"} {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`insert into v values ($1)`, bad)
				return err
			})
			if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if n := count(t, db, "v"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestAReadSeesOneSnapshot(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		db, other := sqldbtest.Open(t, uri), sqldbtest.Open(t, uri)
		exec(t, db, `create table v (i bigint)`)
		if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			var before, after int
			if err := tx.QueryRow(`select count(*) from v`).Scan(&before); err != nil {
				return err
			}
			done := make(chan error)
			go func() {
				done <- other.Write(t.Context(), func(tx *sqldb.Tx) error {
					_, err := tx.Exec(`insert into v values (1)`)
					return err
				})
			}()
			if err := <-done; err != nil {
				return err
			}
			if err := tx.QueryRow(`select count(*) from v`).Scan(&after); err != nil {
				return err
			}
			if before != 0 || after != 0 {
				t.Errorf("before %d, after %d", before, after)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "v"); n != 1 {
			t.Errorf("the other handle's row is not seen: %d", n)
		}
	})
}

func TestTwoHandlesWriteAtTheSameTime(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		a, b := sqldbtest.Open(t, uri), sqldbtest.Open(t, uri)
		exec(t, a, `create table v (i bigint)`)
		exec(t, a, `insert into v values (0)`)
		var wg sync.WaitGroup
		for _, db := range []*sqldb.DB{a, b} {
			for range 8 {
				wg.Go(func() {
					for range 20 {
						if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
							var i int64
							if err := tx.QueryRow(`select i from v` + tx.ForUpdate()).Scan(&i); err != nil {
								return err
							}
							_, err := tx.Exec(`update v set i = $1`, i+1)
							return err
						}); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
		}
		wg.Wait()
		var got int
		if err := b.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`select i from v`).Scan(&got) }); err != nil {
			t.Fatal(err)
		}
		if got != 2*8*20 {
			t.Errorf("%d increments are left of %d", got, 2*8*20)
		}
	})
}

func TestLockHoldsOthersOfTheSameName(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		dbs := []*sqldb.DB{sqldbtest.Open(t, uri), sqldbtest.Open(t, uri)}
		exec(t, dbs[0], `create table v (i bigint)`)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if err := dbs[i%2].Write(t.Context(), func(tx *sqldb.Tx) error {
					if err := tx.Lock("v"); err != nil {
						return err
					}
					_, err := tx.Exec(`insert into v select coalesce(max(i), 0) + 1 from v`)
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := count(t, dbs[0], `(select distinct i from v) as d`); n != 20 {
			t.Errorf("%d different numbers of 20", n)
		}
	})
}

func TestLikeIsCaseSensitiveAndHasNoEscape(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for _, tc := range []struct {
			value, pattern string
			like, ilike    bool
		}{
			{"Abc", "A%", true, true},
			{"Abc", "a%", false, true},
			{"Abc", "A_c", true, true},
			{`a\%`, `a\%`, true, true},
			{`a%`, `a\%`, false, false},
			{"Übung", "_bung", true, true},
		} {
			for fold, want := range map[bool]bool{false: tc.like, true: tc.ilike} {
				var got bool
				if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
					return tx.QueryRow(`select case when `+tx.Like(`cast($1 as text)`, `$2`, fold)+` then 1 else 0 end`, tc.value, tc.pattern).Scan(&got)
				}); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%q like %q (fold %v): %v", tc.value, tc.pattern, fold, got)
				}
			}
		}
	})
}

func TestNoRowsIsAnError(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			var i int
			return tx.QueryRow(`select 1 where 1 = 0`).Scan(&i)
		})
		if !errors.Is(err, sqldb.ErrNoRows) {
			t.Errorf("got %v", err)
		}
	})
}

func TestATransactionInsideATransactionFailsInTests(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Write(t.Context(), func(*sqldb.Tx) error {
			return db.Read(t.Context(), func(*sqldb.Tx) error { return nil })
		})
		if err == nil || !strings.Contains(err.Error(), "inside the function of a Write") {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheSameStatementMayRunWhileItsRowsAreRead(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t) // PostgreSQL's connection takes one statement at a time
	exec(t, db, `create table v (i bigint)`)
	exec(t, db, `insert into v values (1), (2), (3)`)
	pairs := 0
	if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		outer, err := tx.Query(`select i from v`)
		if err != nil {
			return err
		}
		for outer.Next() {
			inner, err := tx.Query(`select i from v`)
			if err != nil {
				return err
			}
			for inner.Next() {
				pairs++
			}
			if err := inner.Close(); err != nil {
				return err
			}
		}
		return outer.Close()
	}); err != nil {
		t.Fatal(err)
	}
	if pairs != 9 {
		t.Errorf("%d pairs, want 9", pairs)
	}
}

func TestManyShapesOfStatementsDoNotPileUp(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		for i := range 1000 {
			var got int
			if err := tx.QueryRow(fmt.Sprintf(`select %d + $1`, i), 1).Scan(&got); err != nil {
				return err
			}
			if got != i+1 {
				t.Fatalf("%d: got %d", i, got)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAClosedDatabaseRefuses(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(t.Context(), sqldbtest.SQLiteURI(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func(context.Context, func(*sqldb.Tx) error) error{"Write": db.Write, "Read": db.Read} {
		if err := run(t.Context(), func(*sqldb.Tx) error { return nil }); mlflow.CodeOf(err) != mlflow.CodeTemporarilyUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"sqlite:///no/such/folder/x.db": "does its folder exist",
		"sqlite://x.db":                 "write sqlite:///file.db",
		"mysql://host/db":               "scheme must be sqlite or postgresql",
		"postgresql:///x?host=/nowhere": "open database",
	} {
		_, err := sqldb.Open(t.Context(), uri)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", uri, err)
		}
	}
}
