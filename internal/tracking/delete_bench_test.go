package tracking_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// BenchmarkLargeExperimentIsDeletedAndRestored measures what 16 clients that log metrics notice while an experiment of
// 100,000 runs is deleted and restored: the 99th percentile of their calls, in milliseconds.
func BenchmarkLargeExperimentIsDeletedAndRestored(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		exp := s.experiment("large")
		err := db.Write(b.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`
				with recursive n (i) as (select 1 union all select i + 1 from n where i < 100000)
				insert into run (uuid, exp_id, name, user_id, status, start_time, artifact_uri)
				select 'r' || (i * cast(7919 as bigint) % 100003), (select id from experiment where public_id = $1), 'n', 'u', 'FINISHED', 1700000000000 + (i * cast(104729 as bigint) % 1000003), 'x' from n`, exp)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		var runs []string
		for range 16 {
			runs = append(runs, s.run("0"))
		}
		for b.Loop() {
			for _, action := range []func(context.Context, *mlflow.ExperimentRequest) (*mlflow.Empty, error){s.store.DeleteExperiment, s.store.RestoreExperiment} {
				ctx, stop := context.WithCancel(b.Context())
				var mu sync.Mutex
				var took []time.Duration
				var wg sync.WaitGroup
				for _, run := range runs {
					wg.Go(func() {
						for i := int64(0); ctx.Err() == nil; i++ {
							at := time.Now()
							if _, err := s.store.LogMetric(b.Context(), &mlflow.LogMetricRequest{RunID: run, Key: "m", Value: mlflow.Float(i), Timestamp: i, Step: i}); err != nil {
								b.Error(err)
								return
							}
							mu.Lock()
							took = append(took, time.Since(at))
							mu.Unlock()
						}
					})
				}
				began := time.Now()
				if _, err := action(b.Context(), &mlflow.ExperimentRequest{ExperimentID: exp}); err != nil {
					b.Fatal(err)
				}
				all := time.Since(began)
				stop()
				wg.Wait()
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
				b.ReportMetric(all.Seconds(), "s/100k-runs")
			}
		}
	})
}
