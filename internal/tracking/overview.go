package tracking

import (
	"context"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// mountOverview offers the numbers that the web page shows and that MLflow's own routes do not give.
func (s *Store) mountOverview(rt *api.Router) {
	run := api.Resource{Kind: "run", Field: "run_id"}
	api.Handle(rt, "GET /api/weir/v1/experiments/overview", api.List("experiment"), s.Overview)
	api.Handle(rt, "POST /api/weir/v1/runs/count", api.List("experiment"), s.CountRuns)
	api.Handle(rt, "GET /api/weir/v1/runs/overview", api.Read(run), s.RunOverview)
}

// OverviewRequest chooses experiments by their lifecycle stage; active ones when it is empty.
type OverviewRequest struct {
	ViewType mlflow.ViewType `json:"view_type,omitempty"`
}

// OverviewResponse has an entry for each experiment that has runs.
type OverviewResponse struct {
	Experiments []ExperimentOverview `json:"experiments"`
}

// ExperimentOverview counts an experiment's runs: the active ones of an active experiment, the deleted ones of a deleted
// one. LastRunTime is when the latest of them started, in milliseconds since the epoch.
type ExperimentOverview struct {
	ExperimentID string `json:"experiment_id"`
	Runs         int64  `json:"runs"`
	Failed       int64  `json:"failed"`
	LastRunTime  int64  `json:"last_run_time"`
}

// Overview counts the runs of the experiments that the caller may read.
func (s *Store) Overview(ctx context.Context, req *OverviewRequest) (*OverviewResponse, error) {
	q := &query{}
	where := ""
	switch req.ViewType {
	case mlflow.DeletedOnly:
		where = " and e.deleted = 1"
	case mlflow.All:
	default:
		where = " and e.deleted = 0"
	}
	l := experimentList{scope: api.ScopeOf(ctx, "experiment")}
	if !l.scope.All {
		where += " and " + l.inScope(q)
	}
	resp := &OverviewResponse{Experiments: []ExperimentOverview{}}
	return resp, s.db.Search(ctx, func(tx *sqldb.Tx) error {
		resp.Experiments = resp.Experiments[:0]
		rows, err := tx.Query(`
			select e.public_id, count(*), sum(case when r.status = 'FAILED' then 1 else 0 end), max(r.start_time)
			from experiment e join run r on r.exp_id = e.id and r.deleted = e.deleted
			where 1 = 1`+where+` group by e.id, e.public_id order by e.id`, q.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o ExperimentOverview
			if err := rows.Scan(&o.ExperimentID, &o.Runs, &o.Failed, &o.LastRunTime); err != nil {
				return err
			}
			resp.Experiments = append(resp.Experiments, o)
		}
		return rows.Close()
	})
}
