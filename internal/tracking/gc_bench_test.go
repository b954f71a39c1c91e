package tracking_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/mlflow"
)

// BenchmarkGC removes 2,000 runs, each with ten metrics, ten params and five tags, and tells how many a second that is. A gc
// leaves others half of the time.
func BenchmarkGC(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		const runs = 2000
		for b.Loop() {
			b.StopTimer()
			for range runs {
				batch := mlflow.LogBatchRequest{RunID: s.run("0")}
				for k := range 10 {
					batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: fmt.Sprint("m", k), Value: mlflow.Float(k), Timestamp: 1, Step: 1})
					batch.Params = append(batch.Params, mlflow.KeyValue{Key: fmt.Sprint("p", k), Value: "v"})
				}
				for k := range 5 {
					batch.Tags = append(batch.Tags, mlflow.KeyValue{Key: fmt.Sprint("t", k), Value: "v"})
				}
				ok[empty](s, "POST", "runs/log-batch", batch)
				ok[empty](s, "POST", "runs/delete", mlflow.RunRequest{RunID: batch.RunID})
			}
			b.StartTimer()
			began := time.Now()
			report, err := s.store.CollectGarbage(b.Context(), tracking.GCOptions{Files: &trees{}})
			if err != nil || report.Runs != runs {
				b.Fatalf("%+v, %v", report, err)
			}
			b.ReportMetric(runs/time.Since(began).Seconds(), "runs/s")
		}
	})
}
