package tracking

import (
	"context"
	"errors"
	"slices"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

const (
	maxBulkPoints     = 25000
	maxIntervalPoints = 2500
)

// HistoryBulkRequest asks for the points of one metric in several runs, at most 25,000 altogether.
type HistoryBulkRequest struct {
	RunID      []string          `json:"run_id,omitempty"`
	MetricKey  string            `json:"metric_key,omitempty"`
	MaxResults mlflow.Opt[int64] `json:"max_results,omitzero"`
}

// HistoryIntervalRequest asks for a sample of one metric's points in several runs, at most 2,500 of each.
type HistoryIntervalRequest struct {
	RunIDs     []string          `json:"run_ids" api:"required"`
	MetricKey  string            `json:"metric_key" api:"required"`
	StartStep  mlflow.Opt[int64] `json:"start_step,omitzero"`
	EndStep    mlflow.Opt[int64] `json:"end_step,omitzero"`
	MaxResults mlflow.Opt[int64] `json:"max_results,omitzero"`
}

// MetricWithRunID is a point and the run that it belongs to.
type MetricWithRunID struct {
	Key       string       `json:"key"`
	Value     mlflow.Float `json:"value"`
	Timestamp int64        `json:"timestamp"`
	Step      int64        `json:"step"`
	RunID     string       `json:"run_id"`
}

// HistoryBulkResponse always has a list.
type HistoryBulkResponse struct {
	Metrics []MetricWithRunID `json:"metrics"`
}

// HistoryIntervalResponse leaves an empty list out.
type HistoryIntervalResponse struct {
	Metrics []MetricWithRunID `json:"metrics,omitempty"`
}

func withRun(key, run string, p series.Point) MetricWithRunID {
	return MetricWithRunID{Key: key, Value: mlflow.Float(p.Value), Timestamp: p.Time, Step: p.Step, RunID: run}
}

// GetHistoryBulk gives points sorted by run, time, step and value; runs that do not exist are left out.
func (s *Store) GetHistoryBulk(ctx context.Context, req *HistoryBulkRequest) (*HistoryBulkResponse, error) {
	switch {
	case len(req.RunID) == 0:
		return nil, invalid("GetMetricHistoryBulk request must specify at least one run_id.")
	case len(req.RunID) > maxHistoryRuns:
		return nil, invalid("GetMetricHistoryBulk request cannot specify more than %d run_ids. Received %d run_ids.", maxHistoryRuns, len(req.RunID))
	case req.MetricKey == "":
		return nil, invalid("GetMetricHistoryBulk request must specify a metric_key.")
	}
	limit := maxBulkPoints
	if req.MaxResults.Set {
		limit = int(max(0, min(req.MaxResults.Value, maxBulkPoints)))
	}
	runs := slices.Clone(req.RunID)
	slices.Sort(runs)
	resp := &HistoryBulkResponse{Metrics: []MetricWithRunID{}}
	return resp, s.eachSeries(ctx, slices.Compact(runs), req.MetricKey, func(tx *sqldb.Tx, runID string, run, key int64) error {
		if len(resp.Metrics) >= limit {
			return nil
		}
		p, err := readHistory(tx, run, key, nil, limit-len(resp.Metrics), nil)
		for _, point := range p.points {
			resp.Metrics = append(resp.Metrics, withRun(req.MetricKey, runID, point))
		}
		return err
	})
}

// eachSeries calls f for each run that exists, that the caller may read and that has the metric, in the order given.
func (s *Store) eachSeries(ctx context.Context, runs []string, name string, f func(tx *sqldb.Tx, runID string, run, key int64) error) error {
	scope := api.ScopeOf(ctx, "experiment")
	for _, runID := range runs {
		// A transaction for each run: none holds a connection for long.
		err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
			var run, exp int64
			var public string
			err := tx.QueryRow(`select r.id, r.exp_id, e.public_id from run r join experiment e on e.id = r.exp_id where r.uuid = $1`, runID).
				Scan(&run, &exp, &public)
			if errors.Is(err, sqldb.ErrNoRows) || (err == nil && !visible(scope, public)) {
				return nil
			}
			if err != nil {
				return err
			}
			key, ok, err := s.lookupKey(tx, keyRef{exp, kindMetric, name})
			if err != nil || !ok {
				return err
			}
			return f(tx, runID, run, key)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// GetHistoryInterval gives a sample of each run's points, sorted by step, time and value: the first of each of
// max_results parts of equal size, and the last point.
func (s *Store) GetHistoryInterval(ctx context.Context, req *HistoryIntervalRequest) (*HistoryIntervalResponse, error) {
	limit := int64(maxIntervalPoints)
	if req.MaxResults.Set {
		limit = req.MaxResults.Value
	}
	switch {
	case len(req.RunIDs) > maxHistoryRuns:
		return nil, invalid("GetMetricHistoryBulkInterval request must specify at most %d run_ids. Received %d run_ids. See the API docs for more information about request parameters.",
			maxHistoryRuns, len(req.RunIDs))
	case limit < 1 || limit > maxIntervalPoints:
		return nil, invalid("max_results must be between 1 and %d. See the API docs for more information about request parameters.", maxIntervalPoints)
	case req.StartStep.Set != req.EndStep.Set:
		return nil, invalid("If either start step or end step are specified, both must be specified.")
	case req.StartStep.Set && req.StartStep.Value > req.EndStep.Value:
		return nil, invalid("end_step must be greater than start_step. Found start_step=%d and end_step=%d.", req.StartStep.Value, req.EndStep.Value)
	}
	resp := &HistoryIntervalResponse{}
	return resp, s.eachSeries(ctx, req.RunIDs, req.MetricKey, func(tx *sqldb.Tx, runID string, run, key int64) error {
		sources, err := historySources(tx, run, key, nil)
		if err != nil {
			return err
		}
		var points []series.Point
		for p, err := range series.Merge(sources, nil) {
			if err != nil {
				return err
			}
			if !req.StartStep.Set || (p.Step >= req.StartStep.Value && p.Step <= req.EndStep.Value) {
				points = append(points, p)
			}
		}
		slices.SortFunc(points, series.CompareSteps)
		for _, p := range sample(points, int(limit)) {
			resp.Metrics = append(resp.Metrics, withRun(req.MetricKey, runID, p))
		}
		return nil
	})
}

// sample splits points into n parts whose sizes differ by at most one, larger ones first (SQL's ntile), and gives the
// first point of each; the very last point then takes the place of the last one, or is added while there is room.
func sample(points []series.Point, n int) []series.Point {
	if len(points) <= 1 {
		return points
	}
	parts := min(n, len(points))
	kept := make([]series.Point, 0, parts)
	size, larger := len(points)/parts, len(points)%parts
	at := 0
	for i := range parts {
		kept = append(kept, points[at])
		if at += size; i < larger {
			at++
		}
	}
	last := points[len(points)-1]
	if kept[len(kept)-1] == last {
		return kept
	}
	if len(kept) == n {
		kept[len(kept)-1] = last
		return kept
	}
	return append(kept, last)
}
