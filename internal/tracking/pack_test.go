package tracking_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

// packs counts the packs of the store, and the blocks.
func packs(t *testing.T, db *sqldb.DB) (packs, blocks int) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		if err := tx.QueryRow(`select count(*) from seg where key_id = 0`).Scan(&packs); err != nil {
			return err
		}
		return tx.QueryRow(`select count(*) from seg where key_id <> 0`).Scan(&blocks)
	})
	if err != nil {
		t.Fatal(err)
	}
	return packs, blocks
}

// TestManyMetricsOfAStepArePackedAndFolded: what a loop logs that has 1,000 metrics reads the same before its packs are
// folded into blocks and after.
func TestManyMetricsOfAStepArePackedAndFolded(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		run := s.run("0")
		want := map[string][]series.Point{}
		log := func(step int) {
			req := mlflow.LogBatchRequest{RunID: run}
			for k := range 1000 {
				m := mlflow.Metric{Key: fmt.Sprintf("m%d", k), Value: mlflow.Float(step*1000 + k), Timestamp: int64(1000 - step), Step: int64(step)}
				if k >= 990 && step%9 != 0 { // what is logged now and then
					m.Key = "m989"
					m.Step += int64(k)
				}
				req.Metrics = append(req.Metrics, m)
				want[m.Key] = append(want[m.Key], series.Point{Step: m.Step, Time: m.Timestamp, Value: float64(m.Value)})
			}
			ok[empty](s, "POST", "runs/log-batch", req)
		}
		check := func() {
			t.Helper()
			for _, key := range []string{"m0", "m500", "m989", "m995"} {
				points := series.Sort(slices.Clone(want[key])) // each once: repeated requests change nothing
				if diff := cmp.Diff(points, history(s, run, key, 0)); diff != "" {
					t.Errorf("%s: %s", key, diff)
				}
				if diff := cmp.Diff(points, history(s, run, key, 7)); diff != "" {
					t.Errorf("%s in pages: %s", key, diff)
				}
				chart := ok[tracking.ChartResponse](s, "GET", "/api/weir/v1/metrics/chart", "metric_key="+key+"&run_id="+run)
				from, to := points[0].Step, points[0].Step
				for _, p := range points {
					from, to = min(from, p.Step), max(to, p.Step)
				}
				if chart.From != from || chart.To != to || chart.Curves[0].Points < int64(len(points)) {
					t.Errorf("chart of %s: %d to %d, %d points", key, chart.From, chart.To, chart.Curves[0].Points)
				}
			}
		}
		agrees := func() (faults []string) {
			if _, err := tracking.Check(t.Context(), db, func(what string) { faults = append(faults, what) }); err != nil {
				t.Fatal(err)
			}
			return faults
		}
		for step := range 60 {
			log(step)
		}
		log(59) // a client repeats a request
		check()
		if n, blocks := packs(t, db); n != 61 || blocks != 0 {
			t.Errorf("%d packs and %d blocks before", n, blocks)
		}
		if faults := agrees(); faults != nil {
			t.Errorf("check: %q", faults)
		}
		for step := 60; step < 70; step++ {
			log(step)
		}
		check()
		if faults := agrees(); faults != nil {
			t.Errorf("check after: %q", faults)
		}
		if n, blocks := packs(t, db); n >= 61 || blocks < 989 {
			t.Errorf("%d packs and %d blocks after", n, blocks)
		}
		for _, m := range s.get(run).Data.Metrics {
			if m.Key == "m0" && (m.Value != 69_000 || m.Step != 69) {
				t.Errorf("latest: %+v", m)
			}
		}
		for _, damage := range []struct{ sql, want string }{
			{`update seg set ts1 = ts1 + 1 where key_id = 0`, "another summary"},
			{`update seg set data = substr(data, 1, 9) where key_id = 0`, "cannot be read"},
		} {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(damage.sql)
				return err
			})
			if faults := agrees(); err != nil || !strings.Contains(strings.Join(faults, "\n"), damage.want) {
				t.Errorf("after %q: %v %q", damage.sql, err, faults)
			}
		}
	})
}
