package tracking

import (
	"context"
	"math"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

const (
	defaultBuckets = 600
	maxBuckets     = 4000
)

// ChartRequest asks for one metric of several runs, in at most so many buckets along the axis. Axis is "step" or "time";
// without From and To it spans the points of all the runs, so that their curves share their buckets.
type ChartRequest struct {
	RunID     []string          `json:"run_id" api:"required"`
	MetricKey string            `json:"metric_key" api:"required"`
	Buckets   mlflow.Opt[int64] `json:"buckets,omitzero"`
	Axis      string            `json:"axis,omitempty"`
	From      mlflow.Opt[int64] `json:"from,omitzero"`
	To        mlflow.Opt[int64] `json:"to,omitzero"`
}

// ChartResponse has a curve for each run that exists and has the metric, in the order of the request.
type ChartResponse struct {
	From   int64        `json:"from"`
	To     int64        `json:"to"`
	Curves []ChartCurve `json:"curves"`
}

// ChartCurve is a run's metric.
type ChartCurve struct {
	RunID   string        `json:"run_id"`
	Points  int64         `json:"points"` // how many points the buckets stand for
	Buckets []ChartBucket `json:"buckets"`
}

// ChartBucket is one column of a chart: the range of steps or times of the points in it, their least, greatest and last
// value. Min and max leave NaN out and are NaN when there is nothing else.
type ChartBucket struct {
	From int64        `json:"from"`
	To   int64        `json:"to"`
	Min  mlflow.Float `json:"min"`
	Max  mlflow.Float `json:"max"`
	Last mlflow.Float `json:"last"`
}

// Chart gives metric curves that are small enough to draw and keep every spike.
func (s *Store) Chart(ctx context.Context, req *ChartRequest) (*ChartResponse, error) {
	if len(req.RunID) > maxHistoryRuns {
		return nil, invalid("A chart can show at most %d runs. Received %d run_ids.", maxHistoryRuns, len(req.RunID))
	}
	n := int64(defaultBuckets)
	if req.Buckets.Set {
		n = req.Buckets.Value
	}
	if n < 1 || n > maxBuckets {
		return nil, invalid("Invalid value %d for parameter 'buckets' supplied. It must be between 1 and %d.", n, maxBuckets)
	}
	axis := series.ByStep
	switch req.Axis {
	case "", "step":
	case "time":
		axis = series.ByTime
	default:
		return nil, invalid("Invalid value '%s' for parameter 'axis' supplied. It must be 'step' or 'time'.", req.Axis)
	}
	resp := &ChartResponse{From: req.From.Value, To: req.To.Value, Curves: []ChartCurve{}}
	if !req.From.Set || !req.To.Set {
		if err := s.chartRange(ctx, req, axis, resp); err != nil {
			return nil, err
		}
	}
	return resp, s.eachSeries(ctx, req.RunID, req.MetricKey, func(tx *sqldb.Tx, runID string, run, key int64) error {
		b := series.Downsample(axis, resp.From, resp.To, int(n))
		if err := fillBuckets(tx, run, key, b); err != nil {
			return err
		}
		curve := ChartCurve{RunID: runID, Buckets: []ChartBucket{}}
		for _, k := range b.List() {
			curve.Points += int64(k.N)
			curve.Buckets = append(curve.Buckets, ChartBucket{k.From, k.To, mlflow.Float(k.Min), mlflow.Float(k.Max), mlflow.Float(k.Last)})
		}
		resp.Curves = append(resp.Curves, curve)
		return nil
	})
}

// chartRange finds the range of the axis over all runs, as far as the request leaves it open.
func (s *Store) chartRange(ctx context.Context, req *ChartRequest, axis series.Axis, resp *ChartResponse) error {
	low, high := "step0", "step1"
	point := "step"
	if axis == series.ByTime {
		low, high, point = "ts0", "ts1", "ts"
	}
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	err := s.eachSeries(ctx, req.RunID, req.MetricKey, func(tx *sqldb.Tx, _ string, run, key int64) error {
		for _, sql := range []string{
			`select min(` + low + `), max(` + high + `) from seg where run_id = $1 and key_id = $2`,
			`select min(` + point + `), max(` + point + `) from tail where run_id = $1 and key_id = $2`,
		} {
			var a, b *int64
			if err := tx.QueryRow(sql, run, key).Scan(&a, &b); err != nil {
				return err
			}
			if a != nil {
				from, to = min(from, *a), max(to, *b)
			}
		}
		packed, err := readPacks(tx, run, key, math.MinInt64)
		for _, p := range packed {
			x := p.Step
			if axis == series.ByTime {
				x = p.Time
			}
			from, to = min(from, x), max(to, x)
		}
		return err
	})
	if !req.From.Set && from <= to {
		resp.From = from
	}
	if !req.To.Set && from <= to {
		resp.To = to
	}
	return err
}

// fillBuckets puts a metric's points into buckets; a block that falls into one bucket whole is not decoded.
func fillBuckets(tx *sqldb.Tx, run, key int64, b *series.Buckets) error {
	rows, err := tx.Query(`
		select id, n, step0, step1, ts0, ts1, vmin, vmax, vfirst, vlast from seg where run_id = $1 and key_id = $2 order by seq`, run, key)
	if err != nil {
		return err
	}
	defer rows.Close()
	var decode []int64
	for rows.Next() {
		var id int64
		var sum series.Summary
		var low, high, first, last *float64
		if err := rows.Scan(&id, &sum.N, &sum.MinStep, &sum.MaxStep, &sum.MinTime, &sum.MaxTime, &low, &high, &first, &last); err != nil {
			return err
		}
		sum.Min, sum.Max, sum.First, sum.Last = float(low), float(high), float(first), float(last)
		if !b.AddSummary(sum) {
			decode = append(decode, id)
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	var points []series.Point
	for _, id := range decode {
		var data []byte
		if err := tx.QueryRow(`select data from seg where id = $1`, id).Scan(&data); err != nil {
			return err
		}
		if points, err = series.Decode(points[:0], data); err != nil {
			return err
		}
		for _, p := range points {
			b.Add(p)
		}
	}
	tail, err := readTail(tx, run, key)
	if err != nil {
		return err
	}
	packed, err := readPacks(tx, run, key, math.MinInt64)
	if err != nil {
		return err
	}
	for _, p := range append(tail, packed...) {
		b.Add(p)
	}
	return nil
}
