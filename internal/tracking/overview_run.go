package tracking

import (
	"context"
	"errors"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

const (
	parentTag   = "mlflow.parentRunId"
	maxChildren = 200 // of which a run's overview gives the names
)

// RunOverviewRequest names a run.
type RunOverviewRequest struct {
	RunID string `json:"run_id" api:"required"`
}

// RunOverviewResponse is what surrounds a run and what its metrics came to, sorted by key. Parent and children are of the
// same experiment; of many children the first that were started are listed.
type RunOverviewResponse struct {
	ExperimentName string          `json:"experiment_name"`
	Parent         *RunLink        `json:"parent,omitempty"`
	Children       []RunLink       `json:"children"`
	ChildrenTotal  int64           `json:"children_total"`
	Metrics        []MetricSummary `json:"metrics"`
}

// RunLink is what a link to a run shows.
type RunLink struct {
	RunID   string           `json:"run_id"`
	RunName string           `json:"run_name"`
	Status  mlflow.RunStatus `json:"status"`
}

// MetricSummary is what a metric came to: its value at the greatest (step, time) with that step, its value at the least
// one, and the extremes of all its points. Min and max leave NaN out and are NaN when there is nothing else.
type MetricSummary struct {
	Key   string       `json:"key"`
	Value mlflow.Float `json:"value"`
	Step  int64        `json:"step"`
	First mlflow.Float `json:"first"`
	Min   mlflow.Float `json:"min"`
	Max   mlflow.Float `json:"max"`
}

// RunOverview describes a run's place among others and sums up its metrics without reading their histories.
func (s *Store) RunOverview(ctx context.Context, req *RunOverviewRequest) (*RunOverviewResponse, error) {
	resp := &RunOverviewResponse{}
	return resp, s.db.Read(ctx, func(tx *sqldb.Tx) error {
		*resp = RunOverviewResponse{Children: []RunLink{}, Metrics: []MetricSummary{}}
		var run, exp int64
		err := tx.QueryRow(`select r.id, r.exp_id, e.name from run r join experiment e on e.id = r.exp_id where r.uuid = $1`,
			req.RunID).Scan(&run, &exp, &resp.ExperimentName)
		if errors.Is(err, sqldb.ErrNoRows) {
			return runNotFound(req.RunID)
		}
		if err != nil {
			return err
		}
		if err := s.relatives(tx, run, exp, req.RunID, resp); err != nil {
			return err
		}
		resp.Metrics, err = metricSummaries(tx, run, resp.Metrics)
		return err
	})
}

// relatives finds the run in which a run is nested, and those that are nested in it and are not deleted.
func (s *Store) relatives(tx *sqldb.Tx, run, exp int64, runID string, resp *RunOverviewResponse) error {
	key, ok, err := s.lookupKey(tx, keyRef{exp, kindTag, parentTag})
	if err != nil || !ok {
		return err
	}
	var parent RunLink
	var status string
	err = tx.QueryRow(`
		select p.uuid, p.name, p.status from tag t join run p on p.uuid = t.value and p.exp_id = $3
		where t.run_id = $1 and t.key_id = $2`, run, key, exp).Scan(&parent.RunID, &parent.RunName, &status)
	switch {
	case err == nil:
		parent.Status = mlflow.RunStatus(status)
		resp.Parent = &parent
	case !errors.Is(err, sqldb.ErrNoRows):
		return err
	}
	const nested = ` from tag t join run r on r.id = t.run_id
		where t.key_id = $1 and substr(t.value, 1, 128) = $2 and t.value = $2 and r.deleted = 0`
	if err := tx.QueryRow(`select count(*)`+nested, key, runID).Scan(&resp.ChildrenTotal); err != nil {
		return err
	}
	rows, err := tx.Query(`select r.uuid, r.name, r.status`+nested+` order by r.start_time, r.uuid limit $3`, key, runID, int64(maxChildren))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var child RunLink
		if err := rows.Scan(&child.RunID, &child.RunName, &status); err != nil {
			return err
		}
		child.Status = mlflow.RunStatus(status)
		resp.Children = append(resp.Children, child)
	}
	return rows.Close()
}

func metricSummaries(tx *sqldb.Tx, run int64, list []MetricSummary) ([]MetricSummary, error) {
	rows, err := tx.Query(`
		select k.name, l.value, l.step, l.vfirst, l.vmin, l.vmax from latest l join key k on k.id = l.key_id
		where l.run_id = $1 order by k.name`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var m MetricSummary
		var value, first, low, high *float64
		if err := rows.Scan(&m.Key, &value, &m.Step, &first, &low, &high); err != nil {
			return nil, err
		}
		m.Value, m.First = mlflow.Float(float(value)), mlflow.Float(float(first))
		m.Min, m.Max = mlflow.Float(float(low)), mlflow.Float(float(high))
		list = append(list, m)
	}
	return list, rows.Close()
}
