package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
)

// groupCommit is what the driver does without a server around it: durable inserts of one small row by many goroutines, and
// the commits joined. No route that writes can be faster.
func groupCommit(b *bench) ([]figure, error) {
	var figures []figure
	for _, clients := range []int{16, 64} {
		rate, err := b.bareCommits(clients)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{fmt.Sprintf("%d writers", clients), "writes/s", rate})
	}
	return figures, nil
}

type bareRow struct{ run, step int64 }

func (b *bench) bareCommits(clients int) (float64, error) {
	ctx := context.Background()
	dir := fmt.Sprintf("%s/%d", b.dir, clients)
	uri := dir + ".db"
	if b.target == onPostgres {
		var err error
		if uri, err = b.pg.database(fmt.Sprintf("%s_%d", b.dir, clients)); err != nil {
			return 0, err
		}
	}
	db, err := sqldb.Open(ctx, uri)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`create table point (run bigint not null, step bigint not null, value double precision, primary key (run, step))`)
		return err
	})
	if err != nil {
		return 0, err
	}
	queue := sqldb.NewQueue(db, insertBare)
	defer queue.Close()
	var wg sync.WaitGroup
	var done atomic.Int64
	errs := make(chan error, clients)
	begin := time.Now()
	for client := range clients {
		wg.Go(func() {
			for step := int64(0); time.Since(begin) < b.seconds; step++ {
				if err := queue.Do(ctx, bareRow{int64(client), step}); err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(done.Load()) / took.Seconds(), nil
	}
}

func insertBare(tx *sqldb.Tx, rows []bareRow) []error {
	var err error
	if len(rows) == 1 {
		_, err = tx.Exec(`insert into point (run, step, value) values ($1, $2, 0.5)`, rows[0].run, rows[0].step)
	} else {
		runs, steps := make([]int64, len(rows)), make([]int64, len(rows))
		for i, r := range rows {
			runs[i], steps[i] = r.run, r.step
		}
		_, err = tx.Exec(`insert into point (run, step, value) select run, step, 0.5 from unnest(cast($1 as bigint[]), cast($2 as bigint[])) as w (run, step)`, runs, steps)
	}
	if err != nil {
		errs := make([]error, len(rows))
		errs[0] = err
		return errs
	}
	return nil
}
