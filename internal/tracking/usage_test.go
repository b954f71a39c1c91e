package tracking_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/mlflow"
)

func TestUsageCountsWhatEachExperimentTakes(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		big, small := s.experiment("big"), s.experiment("small")
		s.fullRun(big)
		ok[empty](s, "POST", "runs/delete", mlflow.RunRequest{RunID: s.fullRun(big)})
		s.fullModel(big)
		s.fullRun(small)
		ok[empty](s, "POST", "experiments/delete", mlflow.ExperimentRequest{ExperimentID: small})
		files := func(_ context.Context, uri string) (n, bytes int64, err error) {
			if strings.HasSuffix(uri, "/"+big) {
				return 2, 20, nil
			}
			return 0, 0, nil
		}
		// As the server mounts it.
		const route = "/api/weir/v1/experiments/usage"
		api.Handle(s.router, "GET "+route, api.List("experiment"), func(ctx context.Context, req *tracking.UsageRequest) (*tracking.UsageResponse, error) {
			return s.store.Usage(ctx, req, files)
		})
		ask := func(query string) []tracking.ExperimentUsage {
			resp := ok[tracking.UsageResponse](s, "GET", route, query)
			for i := range resp.Experiments {
				u := &resp.Experiments[i]
				if (u.SeriesBytes > 500) != (u.Points > 0) {
					t.Errorf("%+v", u)
				}
				u.SeriesBytes = 0
			}
			return resp.Experiments
		}
		none := tracking.ExperimentUsage{ExperimentID: "0", Name: "Default", LifecycleStage: "active"}
		bigOne := tracking.ExperimentUsage{ExperimentID: big, Name: "big", LifecycleStage: "active", Runs: 1, DeletedRuns: 1, LoggedModels: 1, Points: 1202, Files: 2, ArtifactBytes: 20}
		smallOne := tracking.ExperimentUsage{ExperimentID: small, Name: "small", LifecycleStage: "deleted", DeletedRuns: 1, Points: 601}
		for query, want := range map[string][]tracking.ExperimentUsage{
			"":                       {none, bigOne},
			"view_type=DELETED_ONLY": {smallOne},
			"view_type=ALL":          {none, bigOne, smallOne},
			"experiment_id=" + small: {smallOne},
		} {
			if diff := cmp.Diff(want, ask(query)); diff != "" {
				t.Errorf("%q: %s", query, diff)
			}
		}
		s.fails("GET", route, "experiment_id=99", mlflow.CodeResourceDoesNotExist)
		// Who may read one experiment learns of no other.
		s.router.Policy = scoped{small}
		if diff := cmp.Diff([]tracking.ExperimentUsage{smallOne}, ask("view_type=ALL")); diff != "" {
			t.Error(diff)
		}
		s.fails("GET", route, "experiment_id="+big, mlflow.CodeResourceDoesNotExist)
	})
}
