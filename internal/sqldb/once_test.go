package sqldb_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

type made struct{ N int64 }

// make1 adds a row once for each request and answers with how many there are then.
func make1(t *testing.T, db *sqldb.DB, request sqldb.Idempotency) (int64, error) {
	t.Helper()
	var answer made
	err := db.WriteOnce(t.Context(), request, &answer, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`insert into made (n) values (1)`); err != nil {
			return err
		}
		return tx.QueryRow(`select count(*) from made`).Scan(&answer.N)
	})
	return answer.N, err
}

func eachOnce(t *testing.T, f func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		files := domain("001_made.sql", "create table made (n bigint not null)")
		if err := db.Migrate(t.Context(), "test", files); err != nil {
			t.Fatal(err)
		}
		f(t, db)
	})
}

func TestWriteOnceGivesTheFirstAnswerAgain(t *testing.T) {
	t.Parallel()
	eachOnce(t, func(t *testing.T, db *sqldb.DB) {
		one := sqldb.Idempotency{ID: []byte("one"), Body: []byte("a")}
		for _, tt := range []struct {
			request sqldb.Idempotency
			want    int64
		}{
			{one, 1}, {one, 1},
			{sqldb.Idempotency{}, 2}, {sqldb.Idempotency{}, 3},
			{sqldb.Idempotency{ID: []byte("two"), Body: []byte("a")}, 4},
			{one, 1},
		} {
			if n, err := make1(t, db, tt.request); err != nil || n != tt.want {
				t.Errorf("%q: %d, %v; want %d", tt.request.ID, n, err, tt.want)
			}
		}
		_, err := make1(t, db, sqldb.Idempotency{ID: []byte("one"), Body: []byte("b")})
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("the same id with another body: %v", err)
		}
		if n := count(t, db, "made"); n != 4 {
			t.Errorf("%d rows, want 4", n)
		}
	})
}

func TestWriteOnceForgetsWhatFailed(t *testing.T) {
	t.Parallel()
	eachOnce(t, func(t *testing.T, db *sqldb.DB) {
		request := sqldb.Idempotency{ID: []byte("x"), Body: []byte("x")}
		failed := errors.New("failed")
		err := db.WriteOnce(t.Context(), request, new(made), func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(`insert into made (n) values (1)`); err != nil {
				return err
			}
			return failed
		})
		if !errors.Is(err, failed) || count(t, db, "made") != 0 || count(t, db, "idempotency") != 0 {
			t.Fatalf("a failed write left something: %v", err)
		}
		if n, err := make1(t, db, request); err != nil || n != 1 {
			t.Errorf("its repetition: %d, %v", n, err)
		}
	})
}

func TestWriteOnceForgetsAfterADay(t *testing.T) {
	t.Parallel()
	eachOnce(t, func(t *testing.T, db *sqldb.DB) {
		old := sqldb.Idempotency{ID: []byte("\x01old"), Body: []byte("x")}
		if _, err := make1(t, db, old); err != nil {
			t.Fatal(err)
		}
		exec(t, db, `update idempotency set at = at - 86399 + 60`)
		if n, err := make1(t, db, old); err != nil || n != 1 {
			t.Fatalf("a minute before the day is over: %d, %v", n, err)
		}
		exec(t, db, `update idempotency set at = at - 61`)
		if n, err := make1(t, db, sqldb.Idempotency{ID: old.ID, Body: []byte("y")}); err != nil || n != 2 {
			t.Fatalf("after a day: %d, %v", n, err)
		}
		exec(t, db, `update idempotency set at = at - 90000`)
		if _, err := make1(t, db, sqldb.Idempotency{ID: []byte("\x00sweeps"), Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "idempotency"); n != 1 {
			t.Errorf("%d answers are kept after the sweep, want 1", n)
		}
	})
}

func TestWriteOnceAtTheSameTimeHappensOnce(t *testing.T) {
	t.Parallel()
	eachOnce(t, func(t *testing.T, db *sqldb.DB) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				n, err := make1(t, db, sqldb.Idempotency{ID: []byte("x"), Body: []byte("x")})
				if err != nil || n != 1 {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, db, "made"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}
