package sqldb_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

func TestMetricsCountWritesAndCommits(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, `create table a (i bigint)`)
		base := numbers(t, db)
		q := sqldb.NewQueue(db, func(tx *sqldb.Tx, ops []int) []error {
			for _, op := range ops {
				if _, err := tx.Exec(`insert into a (i) values ($1)`, op); err != nil {
					return []error{err}
				}
			}
			return nil
		})
		defer q.Close()
		// The queue is held up by a write, so that what waits is committed together.
		held, enough := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = db.Write(t.Context(), func(*sqldb.Tx) error {
				close(held)
				<-enough
				return nil
			})
		})
		<-held
		const writes = 40
		for i := range writes {
			wg.Go(func() {
				if err := q.Do(t.Context(), i); err != nil {
					t.Error(err)
				}
			})
		}
		if db.Dialect() == sqldb.SQLite { // where nothing overtakes the write that holds
			for numbers(t, db)["weir_db_write_queue"] < writes {
			}
		}
		close(enough)
		wg.Wait()
		got := numbers(t, db)
		if got["weir_db_write_queue"] != 0 {
			t.Errorf("%v writes wait", got["weir_db_write_queue"])
		}
		if n := got["weir_db_write_batch_size_sum"] - base["weir_db_write_batch_size_sum"]; n < writes || n > writes+1 {
			t.Errorf("%v writes are counted, %d were made", n, writes)
		}
		batches := got["weir_db_write_batch_size_count"] - base["weir_db_write_batch_size_count"]
		if commits := got["weir_db_commit_seconds_count"] - base["weir_db_commit_seconds_count"]; batches == 0 || commits < batches {
			t.Errorf("%v commits of %v batches", commits, batches)
		}
		if db.Dialect() == sqldb.SQLite && batches > 3 {
			t.Errorf("%d writes that waited together were %v batches", writes, batches)
		}
	})
}

// numbers reads the metrics that have no labels.
func numbers(t *testing.T, db *sqldb.DB) map[string]float64 {
	t.Helper()
	var text bytes.Buffer
	db.WriteMetrics(&text)
	n := map[string]float64{}
	for line := range strings.Lines(text.String()) {
		var name string
		var value float64
		if _, err := fmt.Sscan(line, &name, &value); err == nil {
			n[name] = value
		}
	}
	return n
}
