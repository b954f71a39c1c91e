package transfer

import (
	"context"
	"math"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// point is a point in little memory.
type point struct {
	time, step int64
	value      float64
}

// points reads the metrics of a run one by one.
func (d *Database) points(run string, faults Faults, emit func([]mlflow.Metric) error) error {
	ctx := context.Background() // the importer ends it by an error of emit
	var keys []string
	err := d.db.Read(ctx, func(tx *sqldb.Tx) error {
		keys = nil
		return each(tx, func(scan func(...any) error) error {
			var key string
			err := scan(&key)
			keys = append(keys, key)
			return err
		}, `select distinct key from metrics where run_uuid = $1 order by key`, run)
	})
	if err != nil {
		faults("run "+run+", metrics", err)
		return nil
	}
	for _, key := range keys {
		var list []point
		err := d.db.Read(ctx, func(tx *sqldb.Tx) error {
			list = nil
			return each(tx, func(scan func(...any) error) error {
				var p point
				var nan int64
				err := scan(&p.value, &p.time, &p.step, &nan)
				if nan != 0 {
					p.value = math.NaN()
				}
				list = append(list, p)
				return err
			}, `select coalesce(value, 0), timestamp, `+d.number("metrics", "step")+`, `+d.isNaN()+`
				from metrics where run_uuid = $1 and key = $2 order by timestamp`, run, key)
		})
		if err != nil {
			faults("run "+run+", metric "+key, err)
			continue
		}
		for len(list) > 0 {
			part := list[:min(len(list), piece)]
			list = list[len(part):]
			metrics := make([]mlflow.Metric, len(part))
			for i, p := range part {
				metrics[i] = mlflow.Metric{Key: key, Value: mlflow.Float(p.value), Timestamp: p.time, Step: p.step}
			}
			if err := emit(metrics); err != nil {
				return err
			}
		}
	}
	return nil
}

// isNaN selects 1 for points that are NaN, which the value's column cannot hold.
func (d *Database) isNaN() string {
	if !d.columns["metrics"]["is_nan"] {
		return `0`
	}
	return `case when is_nan then 1 else 0 end`
}
