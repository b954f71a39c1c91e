package tracking_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

// packedKeys is how many metrics packedRun logs at each step, and packedSteps how many steps.
const packedKeys, packedSteps = 20, 9

// packedRun makes a run all of whose points are in packs.
func (s *server) packedRun(exp string) string {
	s.t.Helper()
	run := s.run(exp)
	for step := range packedSteps {
		batch := mlflow.LogBatchRequest{RunID: run}
		for k := range packedKeys {
			batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: fmt.Sprint("m", k), Value: packedValue(k, step), Timestamp: int64(1000 + step), Step: int64(step)})
		}
		ok[empty](s, "POST", "runs/log-batch", batch)
	}
	return run
}

func packedValue(k, step int) mlflow.Float { return mlflow.Float((step*7)%packedSteps*100 + k) }

// showsPacked looks at everything that answers from a run's points.
func (s *server) showsPacked(run string) {
	s.t.Helper()
	for _, k := range []int{0, 11, packedKeys - 1} {
		key := fmt.Sprint("m", k)
		var want []series.Point
		var wantBulk []tracking.MetricWithRunID
		for step := range packedSteps {
			p := series.Point{Step: int64(step), Time: int64(1000 + step), Value: float64(packedValue(k, step))}
			want = append(want, p)
			wantBulk = append(wantBulk, tracking.MetricWithRunID{Key: key, Value: mlflow.Float(p.Value), Timestamp: p.Time, Step: p.Step, RunID: run})
		}
		for _, page := range []int{0, 1, 4} {
			if diff := cmp.Diff(want, history(s, run, key, page)); diff != "" {
				s.t.Errorf("history of %s in pages of %d: %s", key, page, diff)
			}
		}
		bulk := ok[tracking.HistoryBulkResponse](s, "GET", "metrics/get-history-bulk", "metric_key="+key+"&run_id="+run)
		if diff := cmp.Diff(wantBulk, bulk.Metrics); diff != "" {
			s.t.Errorf("history in bulk of %s: %s", key, diff)
		}
		interval := ok[tracking.HistoryIntervalResponse](s, "GET", "metrics/get-history-bulk-interval",
			"metric_key="+key+"&run_ids="+run+"&start_step=2&end_step=5")
		if diff := cmp.Diff(wantBulk[2:6], interval.Metrics); diff != "" {
			s.t.Errorf("sample of %s: %s", key, diff)
		}
		for _, axis := range []string{"step", "time"} {
			chart := ok[tracking.ChartResponse](s, "GET", "/api/weir/v1/metrics/chart", "buckets=3&axis="+axis+"&metric_key="+key+"&run_id="+run)
			from := map[string]int64{"step": 0, "time": 1000}[axis]
			if chart.From != from || chart.To != from+packedSteps-1 || len(chart.Curves) != 1 || chart.Curves[0].Points != packedSteps || len(chart.Curves[0].Buckets) != 3 {
				s.t.Fatalf("chart of %s by %s: %+v", key, axis, chart)
			}
			for i, b := range chart.Curves[0].Buckets {
				three := want[3*i : 3*i+3]
				least := slices.MinFunc(three, func(a, b series.Point) int { return series.CompareValues(a.Value, b.Value) })
				most := slices.MaxFunc(three, func(a, b series.Point) int { return series.CompareValues(a.Value, b.Value) })
				if float64(b.Min) != least.Value || float64(b.Max) != most.Value || float64(b.Last) != three[2].Value {
					s.t.Errorf("bucket %d of %s by %s: %+v", i, key, axis, b)
				}
			}
		}
		last := want[packedSteps-1]
		if got := metricOf(s.get(run), key); got != fmt.Sprintf("%v@%d/%d", last.Value, last.Step, last.Time) {
			s.t.Errorf("latest of %s: %s", key, got)
		}
	}
}

func agree(t *testing.T, db *sqldb.DB) {
	t.Helper()
	if _, err := tracking.Check(t.Context(), db, func(what string) { t.Error(what) }); err != nil {
		t.Error(err)
	}
}

// TestPacksAreReadByAll: whatever shows, copies, counts or removes points knows those in packs.
func TestPacksAreReadByAll(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		exp := s.experiment("packed")
		run, other := s.packedRun(exp), s.packedRun(exp)
		if n, blocks := packs(t, db); n != 2*packedSteps || blocks != 0 {
			t.Fatalf("%d packs and %d blocks: this tests something else", n, blocks)
		}
		s.showsPacked(run)
		agree(t, db)

		usage, err := s.store.Usage(t.Context(), &tracking.UsageRequest{ExperimentID: exp}, func(context.Context, string) (int64, int64, error) { return 0, 0, nil })
		if err != nil || usage.Experiments[0].Points != 2*packedKeys*packedSteps || usage.Experiments[0].SeriesBytes < 8*2*packedKeys*packedSteps {
			t.Errorf("usage: %+v, %v", usage, err)
		}

		// A copy, and a copy of the copy in either kind of database.
		path := filepath.Join(t.TempDir(), "backup.db")
		if err := db.Backup(t.Context(), path, db.Schemas()); err != nil {
			t.Fatal(err)
		}
		newServer(t, sqldbtest.Open(t, path)).showsPacked(run)
		restored := sqldbtest.Open(t, sqldbtest.PostgresURI(t))
		plain := filepath.Join(t.TempDir(), "plain.db")
		if err := db.Backup(t.Context(), plain, db.Schemas()); err != nil {
			t.Fatal(err)
		}
		if err := restored.Restore(t.Context(), plain, db.Schemas()); err != nil {
			t.Fatal(err)
		}
		newServer(t, restored).showsPacked(run)
		agree(t, restored)

		for _, what := range []string{"runs", "experiments"} {
			body := mlflow.RunRequest{RunID: run}
			if what == "experiments" {
				ok[empty](s, "POST", "experiments/delete", mlflow.ExperimentRequest{ExperimentID: exp})
				ok[empty](s, "POST", "experiments/restore", mlflow.ExperimentRequest{ExperimentID: exp})
			} else {
				ok[empty](s, "POST", "runs/delete", body)
				ok[empty](s, "POST", "runs/restore", body)
			}
			s.showsPacked(run)
		}

		ok[empty](s, "POST", "runs/delete", mlflow.RunRequest{RunID: other})
		s.clock.Add(1000)
		for _, dry := range []bool{true, false} {
			report, err := s.store.CollectGarbage(t.Context(), tracking.GCOptions{DryRun: dry, Files: &trees{}, Users: users{}})
			if err != nil || report.Runs != 1 || report.Points != packedKeys*packedSteps || report.SeriesBytes == 0 {
				t.Errorf("gc, dry %v: %+v, %v", dry, report, err)
			}
		}
		if n, blocks := packs(t, db); n != packedSteps || blocks != 0 {
			t.Errorf("%d packs and %d blocks are left", n, blocks)
		}
		s.showsPacked(run)
		agree(t, db)
	})
}

// beforePacks are the migrations that there were when no program wrote packs.
func beforePacks(t *testing.T, all fs.FS) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for _, dialect := range []string{"sqlite", "postgres"} {
		for number := 1; number <= 4; number++ {
			found, err := fs.Glob(all, fmt.Sprintf("%s/%03d_*.sql", dialect, number))
			if err != nil || len(found) != 1 {
				t.Fatalf("%v, %v", found, err)
			}
			data, err := fs.ReadFile(all, found[0])
			if err != nil {
				t.Fatal(err)
			}
			files[found[0]] = &fstest.MapFile{Data: data}
		}
	}
	return files
}

// TestAProgramThatDoesNotKnowPacksRefuses: the version of the tables tells programs of before packs that they cannot read
// this database, also where it is a backup.
func TestAProgramThatDoesNotKnowPacksRefuses(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		db := sqldbtest.Open(t, uri)
		newServer(t, db).packedRun("0")
		older := db.Schemas()
		i := slices.IndexFunc(older, func(s sqldb.Schema) bool { return s.Domain == "tracking" })
		files := beforePacks(t, older[i].Files)
		older[i].Files = files
		before := sqldbtest.Open(t, uri)
		if err := before.Migrate(t.Context(), "tracking", files); err == nil || !strings.Contains(err.Error(), "use a newer weir") {
			t.Errorf("an older program: %v", err)
		}
		path := filepath.Join(t.TempDir(), "backup.db")
		if err := db.Backup(t.Context(), path, db.Schemas()); err != nil {
			t.Fatal(err)
		}
		target := sqldbtest.Open(t, sqldbtest.PostgresURI(t))
		if err := target.Restore(t.Context(), path, older); err == nil || !strings.Contains(err.Error(), "use a newer weir") {
			t.Errorf("a restore by an older program: %v", err)
		}

		// A database of before packs is brought up, whatever is in it.
		fresh := sqldbtest.SQLiteURI
		if db.Dialect() == sqldb.Postgres {
			fresh = sqldbtest.PostgresURI
		}
		upgraded := sqldbtest.Open(t, fresh(t))
		if err := upgraded.Migrate(t.Context(), "tracking", files); err != nil {
			t.Fatal(err)
		}
		s := newServer(t, upgraded)
		s.showsPacked(s.packedRun("0"))
	})
}
