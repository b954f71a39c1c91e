package sqldb_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func TestWritesThatWaitAreCommittedAndABadOneFailsAlone(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, `create table v (i bigint primary key)`)
		const n = 200
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				errs[i] = db.Write(t.Context(), func(tx *sqldb.Tx) error {
					if _, err := tx.Exec(`insert into v values ($1)`, i); err != nil {
						return err
					}
					switch i % 4 {
					case 1:
						return errors.New("refused")
					case 2:
						panic("boom")
					case 3:
						_, err := tx.Exec(`insert into v values ($1)`, i)
						return err
					}
					return nil
				})
			})
		}
		wg.Wait()
		for i, err := range errs {
			if ok := i%4 == 0; ok != (err == nil) {
				t.Errorf("operation %d: %v", i, err)
			}
			if i%4 == 3 && !sqldb.IsUnique(err) {
				t.Errorf("operation %d: %v is not about a unique constraint", i, err)
			}
			if i%4 == 2 && !strings.Contains(err.Error(), "boom") {
				t.Errorf("operation %d: %v", i, err)
			}
		}
		if got := count(t, db, "v"); got != n/4 {
			t.Errorf("%d rows remain, want %d", got, n/4)
		}
	})
}

func TestAWriteWhoseCallerHasGoneDoesNotRun(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := db.Write(ctx, func(*sqldb.Tx) error { t.Error("it ran"); return nil })
		if mlflow.CodeOf(err) != mlflow.CodeCancelled || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAQueuedWriteIsGivenUpWhenItsCallerGoesOnSQLiteWhichQueues(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	started, release, first := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		first <- db.Write(t.Context(), func(*sqldb.Tx) error {
			close(started)
			<-release
			return nil
		})
	}()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error)
	go func() {
		second <- db.Write(ctx, func(*sqldb.Tx) error { t.Error("it ran"); return nil })
	}()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestTheWriterOutlivesAnOperationThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	exec(t, db, `create table v (i bigint)`)
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`insert into v values (1)`); err != nil {
			return err
		}

		runtime.Goexit() // as the t.Fatal of a test does
		return nil
	})
	if err == nil {
		t.Error("the operation has no error")
	}
	exec(t, db, `insert into v values (2)`)
	if n := count(t, db, "v"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestAQueueGivesEachOperationItsOwnAnswer(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, `create table v (i bigint primary key)`)
		q := sqldb.NewQueue(db, func(tx *sqldb.Tx, ops []int) []error {
			errs := make([]error, len(ops))
			for i, op := range ops {
				if op%5 == 1 {
					errs[i] = sqldb.Refused(mlflow.Errorf(mlflow.CodeInvalidParameterValue, "no %d", op))
					continue
				}
				if _, err := tx.Exec(`insert into v values ($1)`, op-op%5); err != nil {
					errs[i] = err
					return errs
				}
			}
			return errs
		})
		defer q.Close()
		const n = 300
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { errs[i] = q.Do(t.Context(), i) })
		}
		wg.Wait()
		for group := 0; group < n; group += 5 {
			stored := 0
			for i := group; i < group+5; i++ {
				switch {
				case i%5 == 1:
					if mlflow.CodeOf(errs[i]) != mlflow.CodeInvalidParameterValue {
						t.Errorf("%d: %v", i, errs[i])
					}
				case errs[i] == nil:
					stored++
				case !sqldb.IsUnique(errs[i]):
					t.Errorf("%d: %v", i, errs[i])
				}
			}
			if stored != 1 {
				t.Errorf("group %d: %d operations say that they stored the one row", group, stored)
			}
		}
		if got := count(t, db, "v"); got != n/5 {
			t.Errorf("%d rows, want %d", got, n/5)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		if err := db.Write(b.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`create table v (i bigint, s text)`)
			return err
		}); err != nil {
			b.Fatal(err)
		}
		b.SetParallelism(8) // 16 clients on two cores
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
					_, err := tx.Exec(`insert into v values ($1, $2)`, int64(1), "some text")
					return err
				}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
