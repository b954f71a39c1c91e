package tracking_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

// TestTailsAreFoldedWhicheverServerAddsToThem: two servers take turns with one metric, of which each request has too few
// points for a block. No point is lost or stored under the number of another, and the tail does not grow for ever.
func TestTailsAreFoldedWhicheverServerAddsToThem(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		db := sqldbtest.Open(t, uri)
		servers := []*server{newServer(t, db), newServer(t, sqldbtest.Open(t, uri))}
		run := servers[0].run("0")
		const few, requests = 31, 200
		var want []series.Point
		for n := range requests {
			batch := mlflow.LogBatchRequest{RunID: run}
			for range few {
				at := int64(len(want))
				batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: "m", Value: mlflow.Float(at), Timestamp: at, Step: at})
				want = append(want, series.Point{Step: at, Time: at, Value: float64(at)})
			}
			batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: "other", Value: 1, Timestamp: int64(n), Step: int64(n)})
			// A request that is refused counts for nothing.
			who := servers[n%3%2]
			who.fails("POST", "runs/log-batch", `{"run_id":"`+run+`","metrics":[{"key":"m","value":1,"timestamp":1}],"params":[{"key":"a","value":"1"},{"key":"a","value":"2"}]}`,
				mlflow.CodeInvalidParameterValue)
			ok[empty](who, "POST", "runs/log-batch", batch)
		}
		if diff := cmp.Diff(want, history(servers[0], run, "m", 0)); diff != "" {
			t.Error(diff)
		}
		agree(t, db)
		var tail, blocks int
		err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			if err := tx.QueryRow(`select count(*) from tail`).Scan(&tail); err != nil {
				return err
			}
			return tx.QueryRow(`select count(*) from seg`).Scan(&blocks)
		})
		if err != nil || tail > requests+2*1024 || blocks < 2 {
			t.Errorf("%d points in tails, %d blocks, %v", tail, blocks, err)
		}
	})
}
