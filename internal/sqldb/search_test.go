package sqldb_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// However many costly searches run and wait, other reads go on; and the searches end.
func TestSearchesLeaveRoomForOtherReads(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		const searches = 40 // more than there are connections
		ended := make(chan error, searches)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range searches {
			go func() {
				ended <- db.Search(ctx, func(*sqldb.Tx) error {
					<-ctx.Done()
					return ctx.Err()
				})
			}()
		}
		for range 10 {
			one := 0
			err := db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`select 1`).Scan(&one) })
			if err != nil || one != 1 {
				t.Fatalf("%d %v", one, err)
			}
		}
		cancel()
		for range searches {
			if err := <-ended; mlflow.CodeOf(err) != mlflow.CodeCancelled {
				t.Errorf("a cancelled search gives %v", err)
			}
		}
	})
}

// A query that would run for hours is given up; the fault is the client's, which must not ask again.
func TestSearchesTakeNoLongerThanTheirTime(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		db.SetSearchTime(200 * time.Millisecond)
		err := db.Search(t.Context(), func(tx *sqldb.Tx) error {
			var n int64
			return tx.QueryRow(`with recursive r(n) as (select 1 union all select n + 1 from r where n < 1000000000) select count(*) from r`).Scan(&n)
		})
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), "given up after 200ms") {
			t.Errorf("got %v", err)
		}
		fault := errors.New("of its own")
		if err := db.Search(t.Context(), func(*sqldb.Tx) error { return fault }); !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
	})
}
