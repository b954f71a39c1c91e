package tracking

import (
	"context"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// UsageRequest chooses what experiments take of the disk: one, or all of a lifecycle stage, which are the active ones when
// none is named.
type UsageRequest struct {
	ExperimentID string          `json:"experiment_id,omitempty"`
	ViewType     mlflow.ViewType `json:"view_type,omitempty"`
}

// UsageResponse has an entry for each experiment.
type UsageResponse struct {
	Experiments []ExperimentUsage `json:"experiments"`
}

// ExperimentUsage says what an experiment takes, the deleted runs of it included. Points are those of all metrics of all
// runs, and SeriesBytes about what they take in the database. Files and ArtifactBytes are what was put below its artifact
// location through servers; what clients write to a folder or a bucket by themselves is not in them.
type ExperimentUsage struct {
	ExperimentID   string `json:"experiment_id"`
	Name           string `json:"name"`
	LifecycleStage string `json:"lifecycle_stage"`
	Runs           int64  `json:"runs"`
	DeletedRuns    int64  `json:"deleted_runs"`
	LoggedModels   int64  `json:"logged_models"`
	Points         int64  `json:"points"`
	SeriesBytes    int64  `json:"series_bytes"`
	Files          int64  `json:"files"`
	ArtifactBytes  int64  `json:"artifact_bytes"`
}

// Usage counts what experiments that the caller may read take in the database. files says how much was put below an
// artifact location. Each experiment is looked at by itself, so the numbers of many are not of one moment.
func (s *Store) Usage(ctx context.Context, req *UsageRequest, files func(ctx context.Context, uri string) (n, bytes int64, err error)) (*UsageResponse, error) {
	found, err := s.usedExperiments(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := &UsageResponse{Experiments: []ExperimentUsage{}}
	for _, e := range found {
		u := ExperimentUsage{ExperimentID: e.ExperimentID, Name: e.Name, LifecycleStage: e.LifecycleStage}
		err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			err = tx.QueryRow(`
				select (select count(*) from run where exp_id = $1 and deleted = 0), (select count(*) from run where exp_id = $1 and deleted = 1),
					(select count(*) from logged_model where exp_id = $1)`, e.id).Scan(&u.Runs, &u.DeletedRuns, &u.LoggedModels)
			if err == nil {
				u.Points, u.SeriesBytes, err = seriesSize(tx, `select id from run where exp_id = $1`, e.id)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if u.Files, u.ArtifactBytes, err = files(ctx, e.ArtifactLocation); err != nil {
			return nil, err
		}
		resp.Experiments = append(resp.Experiments, u)
	}
	return resp, nil
}

func (s *Store) usedExperiments(ctx context.Context, req *UsageRequest) (found []experiment, err error) {
	l := experimentList{scope: api.ScopeOf(ctx, "experiment")}
	return found, s.db.Read(ctx, func(tx *sqldb.Tx) error {
		found = nil
		if req.ExperimentID != "" {
			e, err := findExperiment(tx, req.ExperimentID, false)
			if err == nil && !visible(l.scope, e.ExperimentID) {
				err = experimentNotFound(req.ExperimentID)
			}
			found = []experiment{e}
			return err
		}
		q := &query{tx: tx}
		where := "e.deleted = 0"
		switch req.ViewType {
		case mlflow.DeletedOnly:
			where = "e.deleted = 1"
		case mlflow.All:
			where = "1 = 1"
		}
		if !l.scope.All {
			where += " and " + l.inScope(q)
		}
		rows, err := tx.Query(`select `+experimentColumns+` from experiment e where `+where+` order by e.id`, q.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanExperiment(rows.Scan)
			if err != nil {
				return err
			}
			found = append(found, e)
		}
		return rows.Close()
	})
}
