package tracking_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

func TestTheLatestValueIsTheOneAtTheGreatestStepTimeAndValue(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		for _, p := range []struct {
			key      string
			step, ts int64
			value    float64
		}{{"a", -2, 300, 1.2}, {"a", 0, 100, 137.4}, {"a", 0, 200, -20}, {"b", 120, 0, 14}, {"b", 137, 0, 56}, {"b", -5, 0, 20}} {
			s.metric(run, p.key, p.value, p.ts, p.step)
		}
		got := s.get(run)
		if a, b := metricOf(got, "a"), metricOf(got, "b"); a != "-20@0/200" || b != "56@137/0" {
			t.Errorf("a is %s, b is %s", a, b)
		}
	})
}

func TestNaNAndInfinitiesTravelAsTexts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		for i, v := range []string{`"NaN"`, `"Infinity"`, `"-Infinity"`, `"24"`, `1e308`} {
			ok[empty](s, "POST", "runs/log-metric", fmt.Sprintf(`{"run_uuid":%q,"run_id":%q,"key":"m","value":%s,"timestamp":"%d","step":"-1"}`, run, run, v, i))
		}
		_, got := s.send("GET", "metrics/get-history", "metric_key=m&run_id="+run)
		want := `{"metrics":[{"key":"m","value":"NaN","timestamp":0,"step":-1},{"key":"m","value":"Infinity","timestamp":1,"step":-1},` +
			`{"key":"m","value":"-Infinity","timestamp":2,"step":-1},{"key":"m","value":24.0,"timestamp":3,"step":-1},{"key":"m","value":1e+308,"timestamp":4,"step":-1}]}`
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if _, got := s.send("GET", "metrics/get-history", "metric_key=none&run_id="+run); got != "{}" {
			t.Errorf("an unknown metric has %s", got)
		}
	})
}

// values are few, so that points repeat and ties occur.
var values = rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, -1, 0.1, 1e300, 5e-324})

func points(most int) *rapid.Generator[[]series.Point] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) series.Point {
		return series.Point{
			Step: rapid.Int64Range(-3, 40).Draw(t, "step"), Time: rapid.Int64Range(0, 40).Draw(t, "time"), Value: values.Draw(t, "value"),
		}
	}), 1, most)
}

func same(a, b series.Point) bool { return series.Compare(a, b) == 0 }

func TestWhateverIsLoggedComesBackAsASetAndItsSummaryIsRight(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		rapid.Check(t, func(r *rapid.T) {
			run := s.run("0")
			var all []series.Point
			for range rapid.IntRange(1, 5).Draw(r, "requests") {
				batch := points(rapid.SampledFrom([]int{1, 20, 300}).Draw(r, "size")).Draw(r, "points")
				all = append(all, batch...)
				if len(batch) == 1 {
					s.metric(run, "m", mlflow.Float(batch[0].Value), batch[0].Time, batch[0].Step)
					continue
				}
				req := mlflow.LogBatchRequest{RunID: run}
				for _, p := range batch {
					req.Metrics = append(req.Metrics, mlflow.Metric{Key: "m", Value: mlflow.Float(p.Value), Timestamp: p.Time, Step: p.Step})
				}
				for k := range rapid.SampledFrom([]int{0, 3, 40}).Draw(r, "other metrics") {
					req.Metrics = append(req.Metrics, mlflow.Metric{Key: fmt.Sprintf("other %d", k), Value: 1, Timestamp: 7, Step: 7})
				}
				ok[empty](s, "POST", "runs/log-batch", req)
			}
			want := series.Sort(slices.Clone(all))
			got := history(s, run, "m", rapid.SampledFrom([]int{0, 1, 7, 100}).Draw(r, "page"))
			if !slices.EqualFunc(want, got, same) {
				r.Fatalf("history: got %v, want %v", got, want)
			}
			checkLatest(r, db, run, all)
		})
	})
}

// history reads all pages of a metric.
func history(s *server, run, key string, page int) (points []series.Point) {
	s.t.Helper()
	query := url.Values{"run_id": {run}, "metric_key": {key}}
	if page > 0 {
		query.Set("max_results", fmt.Sprint(page))
	}
	for {
		resp := ok[mlflow.GetMetricHistoryResponse](s, "GET", "metrics/get-history", query.Encode())
		for _, m := range resp.Metrics {
			points = append(points, series.Point{Step: m.Step, Time: m.Timestamp, Value: float64(m.Value)})
		}
		if resp.NextPageToken == "" {
			return points
		}
		if page > 0 && len(resp.Metrics) != page {
			s.t.Fatalf("a page that is not the last has %d points of %d", len(resp.Metrics), page)
		}
		query.Set("page_token", resp.NextPageToken)
	}
}

// checkLatest compares the table of summaries with what is recomputed from all points.
func checkLatest(r *rapid.T, db *sqldb.DB, run string, all []series.Point) {
	first, last := all[0], all[0]
	for _, p := range all {
		if series.CompareSteps(p, first) < 0 {
			first = p
		}
		if series.CompareSteps(p, last) > 0 {
			last = p
		}
	}
	sum := series.Summarize(all)
	want := fmt.Sprint(last.Value+0, last.Step, last.Time, sum.Min+0, sum.Max+0, first.Value+0, first.Step, first.Time)
	var value, low, high, vfirst *float64
	var step, ts, fstep, fts int64
	if err := db.Read(r.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`select value, l.step, l.ts, vmin, vmax, vfirst, first_step, first_ts from latest l
			join run r on r.id = l.run_id join key k on k.id = l.key_id where r.uuid = $1 and k.name = 'm'`, run).Scan(&value, &step, &ts, &low, &high, &vfirst, &fstep, &fts)
	}); err != nil {
		r.Fatal(err)
	}
	float := func(v *float64) float64 {
		if v == nil {
			return math.NaN()
		}
		return *v + 0
	}
	got := fmt.Sprint(float(value), step, ts, float(low), float(high), float(vfirst), fstep, fts)
	if got != want {
		r.Fatalf("latest: got %s, want %s", got, want)
	}
}

func TestSinglePointsAreFoldedIntoBlocks(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		run := s.run("0")
		const n = 2100
		for chunk := range n / 30 {
			req := mlflow.LogBatchRequest{RunID: run}
			for i := range 30 {
				k := int64(chunk*30 + i)
				req.Metrics = append(req.Metrics, mlflow.Metric{Key: "loss", Value: mlflow.Float(k), Timestamp: k, Step: k})
			}
			ok[empty](s, "POST", "runs/log-batch", req)
		}
		var segs, tail int
		if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			if err := tx.QueryRow(`select count(*) from seg`).Scan(&segs); err != nil {
				return err
			}
			return tx.QueryRow(`select count(*) from tail`).Scan(&tail)
		}); err != nil {
			t.Fatal(err)
		}
		if segs != 2 || tail >= 1024 {
			t.Errorf("%d blocks, %d rows in the tail", segs, tail)
		}
		got := history(s, run, "loss", 0)
		if len(got) != n || got[0].Step != 0 || got[n-1].Step != n-1 {
			t.Errorf("%d points", len(got))
		}
	})
}

func TestBulkHistoriesFollowTheirRules(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		var runs []string
		for range 2 {
			run := s.run("0")
			runs = append(runs, run)
			for step := range 10 {
				s.metric(run, "m", step, int64(100-step), int64(step-2))
			}
		}
		slices.Sort(runs)
		steps := func(body string) (list []string) {
			var resp struct {
				Metrics []tracking.MetricWithRunID
			}
			if err := json.Unmarshal([]byte(body), &resp); err != nil {
				t.Fatal(err)
			}
			for _, m := range resp.Metrics {
				list = append(list, fmt.Sprintf("%d:%d", slices.Index(runs, m.RunID), m.Step))
			}
			return list
		}
		get := func(path, query string) string {
			status, body := s.send("GET", path, query)
			if status != 200 {
				t.Fatalf("%s?%s: %d %s", path, query, status, body)
			}
			return body
		}
		ids := "run_id=" + runs[1] + "&run_id=nope&run_id=" + runs[0]
		if got, want := steps(get("metrics/get-history-bulk", "metric_key=m&max_results=12&"+ids)), "0:7 0:6 0:5 0:4 0:3 0:2 0:1 0:0 0:-1 0:-2 1:7 1:6"; strings.Join(got, " ") != want {
			t.Errorf("bulk: %v", got)
		}
		if got := get("metrics/get-history-bulk", "metric_key=m&max_results=0&"+ids); got != `{"metrics":[]}` {
			t.Errorf("no points are %s", got)
		}
		ids = "run_ids=" + runs[1] + "&run_ids=" + runs[0]
		for query, want := range map[string]string{
			"":                               "1:-2 1:-1 1:0 1:1 1:2 1:3 1:4 1:5 1:6 1:7 0:-2 0:-1 0:0 0:1 0:2 0:3 0:4 0:5 0:6 0:7",
			"&max_results=1":                 "1:7 0:7",
			"&max_results=4":                 "1:-2 1:1 1:4 1:7 0:-2 0:1 0:4 0:7",
			"&start_step=0&end_step=2":       "1:0 1:1 1:2 0:0 0:1 0:2",
			"&start_step=100&end_step=99999": "",
		} {
			if got := steps(get("metrics/get-history-bulk-interval", "metric_key=m&"+ids+query)); strings.Join(got, " ") != want {
				t.Errorf("interval %s: %v, want %s", query, got, want)
			}
		}
	})
}

func TestAChartKeepsSpikesAndStandsForAllPoints(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		for chunk := range 4 {
			req := mlflow.LogBatchRequest{RunID: run}
			for i := range 500 {
				k := int64(chunk*500 + i)
				v := 1.0
				switch k {
				case 777:
					v = 1000
				case 1234:
					v = -1000
				}
				req.Metrics = append(req.Metrics, mlflow.Metric{Key: "m", Value: mlflow.Float(v), Timestamp: 5000 + k, Step: k})
			}
			ok[empty](s, "POST", "runs/log-batch", req)
		}
		s.metric(run, "m", "NaN", 7000, 2000)
		for _, axis := range []string{"step", "time"} {
			for _, buckets := range []int{1, 3, 50, 4000} {
				got := ok[tracking.ChartResponse](s, "GET", "/api/weir/v1/metrics/chart",
					fmt.Sprintf("metric_key=m&run_id=nope&run_id=%s&buckets=%d&axis=%s", run, buckets, axis))
				if len(got.Curves) != 1 || got.Curves[0].RunID != run {
					t.Fatalf("curves %+v", got.Curves)
				}
				curve := got.Curves[0]
				low, high := math.Inf(1), math.Inf(-1)
				for _, b := range curve.Buckets {
					low, high = min(low, nonNaN(b.Min, low)), max(high, nonNaN(b.Max, high))
				}
				if curve.Points != 2001 || len(curve.Buckets) > buckets || low != -1000 || high != 1000 {
					t.Errorf("%s, %d buckets: %d points in %d buckets, from %v to %v", axis, buckets, curve.Points, len(curve.Buckets), low, high)
				}
				if last := curve.Buckets[len(curve.Buckets)-1].Last; !math.IsNaN(float64(last)) {
					t.Errorf("%s, %d buckets: the last value is %v", axis, buckets, last)
				}
			}
		}
		part := ok[tracking.ChartResponse](s, "GET", "/api/weir/v1/metrics/chart", "metric_key=m&run_id="+run+"&from=777&to=778&buckets=10")
		if b := part.Curves[0].Buckets; len(b) != 2 || b[0].Max != 1000 || b[0].From != 777 {
			t.Errorf("a part of the chart: %+v", b)
		}
	})
}

func nonNaN(v mlflow.Float, other float64) float64 {
	if math.IsNaN(float64(v)) {
		return other
	}
	return float64(v)
}
