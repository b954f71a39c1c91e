package tracking_test

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/mlflow"
)

const overviewPath = "/api/weir/v1/experiments/overview"

func TestOverviewCountsRunsOfTheSameStage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		a, b, gone := s.experiment("a"), s.experiment("b"), s.experiment("gone")
		s.experiment("without runs")
		start := func(exp string, at int64, status mlflow.RunStatus) string {
			r := ok[mlflow.RunResponse](s, "POST", "runs/create", fmt.Sprintf(`{"experiment_id": %q, "start_time": %d}`, exp, at))
			ok[empty](s, "POST", "runs/update", fmt.Sprintf(`{"run_id": %q, "status": %q}`, r.Run.Info.RunID, status))
			return r.Run.Info.RunID
		}
		start(a, 100, mlflow.RunFailed)
		start(a, 300, mlflow.RunFinished)
		start(a, 200, mlflow.RunRunning)
		deleted := start(a, 900, mlflow.RunFailed)
		ok[empty](s, "POST", "runs/delete", fmt.Sprintf(`{"run_id": %q}`, deleted))
		start(b, 50, mlflow.RunKilled)
		start(gone, 70, mlflow.RunFailed)
		ok[empty](s, "POST", "experiments/delete", fmt.Sprintf(`{"experiment_id": %q}`, gone))

		ofA := tracking.ExperimentOverview{ExperimentID: a, Runs: 3, Failed: 1, LastRunTime: 300}
		ofB := tracking.ExperimentOverview{ExperimentID: b, Runs: 1, LastRunTime: 50}
		ofGone := tracking.ExperimentOverview{ExperimentID: gone, Runs: 1, Failed: 1, LastRunTime: 70}
		for view, want := range map[string][]tracking.ExperimentOverview{
			"": {ofA, ofB}, "ACTIVE_ONLY": {ofA, ofB}, "DELETED_ONLY": {ofGone}, "ALL": {ofA, ofB, ofGone},
		} {
			got := ok[tracking.OverviewResponse](s, "GET", overviewPath, "view_type="+view)
			if diff := cmp.Diff(want, got.Experiments); diff != "" {
				t.Errorf("%q: %s", view, diff)
			}
		}
	})
}

// readers lets its caller read the listed experiments only.
type readers []string

func (readers) Allow(context.Context, api.Actor, api.Permission, string) error { return nil }
func (r readers) Scope(context.Context, api.Actor, string) api.Scope           { return api.Scope{IDs: r} }

func TestOverviewAndCountShowOnlyWhatMayBeRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		mine, other := s.experiment("mine"), s.experiment("other")
		s.run(mine)
		s.run(other)
		s.run(other)
		both := fmt.Sprintf(`{"experiment_ids": [%q, %q]}`, mine, other)
		if n := ok[tracking.CountRunsResponse](s, "POST", "/api/weir/v1/runs/count", both).Runs; n != 3 {
			t.Errorf("%d runs without accounts, want 3", n)
		}
		s.router.Policy = readers{mine}
		got := ok[tracking.OverviewResponse](s, "GET", overviewPath, "view_type=ALL")
		if len(got.Experiments) != 1 || got.Experiments[0].ExperimentID != mine {
			t.Errorf("a reader of one experiment sees %+v", got.Experiments)
		}
		if n := ok[tracking.CountRunsResponse](s, "POST", "/api/weir/v1/runs/count", both).Runs; n != 1 {
			t.Errorf("a reader of one experiment counts %d runs, want 1", n)
		}
		s.router.Policy = readers{}
		if got := ok[tracking.OverviewResponse](s, "GET", overviewPath, ""); len(got.Experiments) != 0 {
			t.Errorf("a reader of nothing sees %+v", got.Experiments)
		}
	})
}

// TestCountsAreWhatSearchesFind compares with the search itself, read to its end.
func TestCountsAreWhatSearchesFind(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exp, second := s.experiment("many"), s.experiment("few")
		for i := range 40 {
			run := s.run(exp)
			s.metric(run, "rmse", float64(i), 1, 0)
			s.param(run, "model", []string{"ranger", "gbm", "Ranger"}[i%3])
			if i%4 == 0 {
				s.tag(run, "kept", "yes")
			}
			if i%10 == 0 {
				ok[empty](s, "POST", "runs/delete", fmt.Sprintf(`{"run_id": %q}`, run))
			}
		}
		s.param(s.run(second), "model", "gbm")
		found := map[int]bool{}
		for _, filter := range []string{
			"", "metrics.rmse < 7", "metrics.rmse >= 7 and params.model = 'gbm'", "params.model ILIKE 'RANGER'",
			"params.model ILIKE '%g%' and metrics.rmse < 30 and tags.kept = 'yes'", "params.model != 'gbm'",
			"params.nothing = 'x'", "metrics.rmse < 3 or tags.kept = 'yes'", "status = 'FINISHED'", "tags.kept = 'yes'",
		} {
			for _, view := range []mlflow.ViewType{"", mlflow.ActiveOnly, mlflow.DeletedOnly, mlflow.All} {
				req := mlflow.SearchRunsRequest{ExperimentIDs: []string{exp, second, "999999"}, Filter: filter, RunViewType: view}
				runs := ok[mlflow.SearchRunsResponse](s, "POST", "runs/search", req).Runs
				n := ok[tracking.CountRunsResponse](s, "POST", "/api/weir/v1/runs/count",
					tracking.CountRunsRequest{ExperimentIDs: req.ExperimentIDs, Filter: filter, RunViewType: view}).Runs
				if int(n) != len(runs) {
					t.Errorf("%q, %s: counted %d, the search finds %d", filter, view, n, len(runs))
				}
				found[len(runs)] = true
			}
		}
		if len(found) < 8 {
			t.Errorf("the filters tell too few cases apart: %v", found)
		}
		s.fails("POST", "/api/weir/v1/runs/count", fmt.Sprintf(`{"experiment_ids": [%q], "filter": "metrics.rmse <"}`, exp),
			mlflow.CodeInvalidParameterValue)
	})
}

func TestARunsOverviewKeepsExtremes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		for i, v := range []any{4.0, "NaN", 9.0, -2.0, 5.0} {
			s.metric(run, "loss", v, 1000, int64(i))
		}
		s.metric(run, "broken", "NaN", 1000, 3)
		s.metric(run, "broken", "Infinity", 1000, 1)
		s.metric(run, "never", "NaN", 1000, 1)
		got := ok[tracking.RunOverviewResponse](s, "GET", "/api/weir/v1/runs/overview", "run_id="+run).Metrics
		nan, up := mlflow.Float(math.NaN()), mlflow.Float(math.Inf(1))
		want := []tracking.MetricSummary{
			{Key: "broken", Value: nan, Step: 3, First: up, Min: up, Max: up},
			{Key: "loss", Value: 5, Step: 4, First: 4, Min: -2, Max: 9},
			{Key: "never", Value: nan, Step: 1, First: nan, Min: nan, Max: nan},
		}
		same := cmp.Comparer(func(a, b mlflow.Float) bool {
			return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b))
		})
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Error(diff)
		}
		if bare := ok[tracking.RunOverviewResponse](s, "GET", "/api/weir/v1/runs/overview", "run_id="+s.run("0")).Metrics; bare == nil || len(bare) != 0 {
			t.Errorf("a run without metrics: %+v", bare)
		}
		s.fails("GET", "/api/weir/v1/runs/overview", "run_id=nope", mlflow.CodeResourceDoesNotExist)
		s.fails("GET", "/api/weir/v1/runs/overview", "", mlflow.CodeInvalidParameterValue)
	})
}

func TestARunsOverviewNamesItsRelatives(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exp := s.experiment("diamonds")
		parent := s.run(exp, mlflow.KeyValue{Key: "mlflow.runName", Value: "grid"})
		var children []string
		for i := range 205 {
			s.clock.Add(1)
			child := ok[mlflow.RunResponse](s, "POST", "runs/create", fmt.Sprintf(
				`{"experiment_id": %q, "start_time": %d, "run_name": "fit %d", "tags": [{"key": "mlflow.parentRunId", "value": %q}]}`, exp, i, i, parent))
			children = append(children, child.Run.Info.RunID)
		}
		ok[empty](s, "POST", "runs/delete", fmt.Sprintf(`{"run_id": %q}`, children[0]))
		overview := func(run string) tracking.RunOverviewResponse {
			return ok[tracking.RunOverviewResponse](s, "GET", "/api/weir/v1/runs/overview", "run_id="+run)
		}
		top := overview(parent)
		if top.ExperimentName != "diamonds" || top.Parent != nil || top.ChildrenTotal != 204 || len(top.Children) != 200 {
			t.Errorf("the parent: in %q below %v, %d of %d children", top.ExperimentName, top.Parent, len(top.Children), top.ChildrenTotal)
		}
		if diff := cmp.Diff(tracking.RunLink{RunID: children[1], RunName: "fit 1", Status: mlflow.RunRunning}, top.Children[0]); diff != "" {
			t.Error(diff)
		}
		want := &tracking.RunLink{RunID: parent, RunName: "grid", Status: mlflow.RunRunning}
		if child := overview(children[3]); child.ChildrenTotal != 0 || child.Children == nil || cmp.Diff(want, child.Parent) != "" {
			t.Errorf("a child: %+v", child)
		}
		other := s.run("0", mlflow.KeyValue{Key: "mlflow.parentRunId", Value: parent})
		if got := overview(other); got.Parent != nil {
			t.Errorf("a parent of another experiment: %+v", got.Parent)
		}
	})
}

// BenchmarkOverview is the list of 1,000 experiments with ten runs each; it is to take less than 15 ms.
func BenchmarkOverview(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		err := db.Write(b.Context(), func(tx *sqldb.Tx) error {
			for i := range 1000 {
				_, err := tx.Exec(`insert into experiment (id, public_id, name, artifact_location, created_at, updated_at) values ($1, $2, $3, '', 0, 0)`,
					int64(i+10), fmt.Sprint(i+10), fmt.Sprint("experiment ", i))
				if err != nil {
					return err
				}
				for j := range 10 {
					_, err := tx.Exec(`insert into run (uuid, exp_id, name, user_id, status, start_time, artifact_uri) values ($1, $2, '', '', $3, $4, '')`,
						fmt.Sprintf("%024d%08d", i, j), int64(i+10), []string{"FAILED", "FINISHED"}[j%2], int64(j))
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			w := httptest.NewRecorder()
			s.router.ServeHTTP(w, httptest.NewRequest("GET", overviewPath, nil))
			if n := strings.Count(w.Body.String(), "experiment_id"); n != 1000 {
				b.Fatalf("%d experiments", n)
			}
		}
	})
}
