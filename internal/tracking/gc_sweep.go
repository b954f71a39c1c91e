package tracking

import (
	"context"
	"fmt"

	"github.com/weir-ml/weir/internal/sqldb"
)

// sweepRows is how many rows one statement of a gc deletes; after each the clock is looked at.
const sweepRows = 200

// sweepStatements delete the rows of what gc took, some at a time: $1 is the id, %d the number. Datasets may be large, so
// they go one by one.
var sweepStatements = [...][]string{
	doomedRun: {
		`delete from seg where id in (select id from seg where run_id = $1 limit %d)`,
		`delete from tail where (run_id, key_id, seq) in (select run_id, key_id, seq from tail where run_id = $1 limit %d)`,
		`delete from latest where (run_id, key_id) in (select run_id, key_id from latest where run_id = $1 limit %d)`,
		`delete from param where (run_id, key_id) in (select run_id, key_id from param where run_id = $1 limit %d)`,
		`delete from tag where (run_id, key_id) in (select run_id, key_id from tag where run_id = $1 limit %d)`,
		`delete from run_model where (run_id, output, model_id) in (select run_id, output, model_id from run_model where run_id = $1 limit %d)`,
		`delete from model_metric where (model_id, key_id, ts, step, run_id) in (
			select model_id, key_id, ts, step, run_id from model_metric where run_id = $1 limit %d)`,
		`delete from run_import where run_id in (select run_id from run_import where run_id = $1 limit %d)`,
	},
	doomedModel: {
		`delete from model_param where (model_id, key_id) in (select model_id, key_id from model_param where model_id = $1 limit %d)`,
		`delete from model_tag where (model_id, key_id) in (select model_id, key_id from model_tag where model_id = $1 limit %d)`,
		`delete from model_metric where (model_id, key_id, ts, step, run_id) in (
			select model_id, key_id, ts, step, run_id from model_metric where model_id = $1 limit %d)`,
	},
	doomedExperiment: {
		`delete from key where id in (select id from key where exp_id = $1 limit %d)`,
		`delete from experiment_tag where (exp_id, name) in (select exp_id, name from experiment_tag where exp_id = $1 limit %d)`,
		`delete from dataset where id in (select id from dataset where exp_id = $1 limit %d)`,
	},
}

// sweep deletes the rows of what was taken, in transactions that are short however much it is.
func (g *gc) sweep(ctx context.Context, list []doomed) error {
	for len(list) > 0 {
		rest := list
		err := g.s.unhurried(ctx, func(tx *sqldb.Tx, late func() bool) error {
			rest = list
			for len(rest) > 0 {
				done, err := sweepOne(tx, rest[0], late)
				if err != nil || !done {
					return err
				}
				rest = rest[1:]
				if late() {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		list = rest
	}
	return nil
}

// sweepOne deletes rows of one thing until all are gone or it is late.
func sweepOne(tx *sqldb.Tx, d doomed, late func() bool) (done bool, err error) {
	for _, statement := range sweepStatements[d.kind] {
		sql := fmt.Sprintf(statement, sweepRows)
		for n := int64(sweepRows); n >= sweepRows; {
			if n, err = tx.Exec(sql, d.id); err != nil {
				return false, err
			}
			if n > 0 && late() {
				return false, nil
			}
		}
	}
	if d.kind == doomedRun {
		if done, err := sweepDatasets(tx, d.id, late); err != nil || !done {
			return false, err
		}
	}
	if d.kind == doomedExperiment {
		if _, err := tx.Exec(`delete from experiment where id = $1`, d.id); err != nil {
			return false, err
		}
	}
	_, err = tx.Exec(`delete from doomed where kind = $1 and id = $2`, d.kind, d.id)
	return err == nil, err
}

// sweepDatasets deletes a run's uses of datasets, and the datasets that no other run uses.
func sweepDatasets(tx *sqldb.Tx, run int64, late func() bool) (done bool, err error) {
	used, err := ids(tx, `select dataset_id from run_dataset where run_id = $1 order by dataset_id`, run)
	if err != nil {
		return false, err
	}
	for _, id := range used {
		// A run that is about to use it has locked its row, see findDataset, so it is either seen here or finds it gone.
		if _, err := ids(tx, `select id from dataset where id = $1`+tx.ForUpdate(), id); err != nil {
			return false, err
		}
		if _, err := tx.Exec(`delete from run_dataset where run_id = $1 and dataset_id = $2`, run, id); err != nil {
			return false, err
		}
		_, err := tx.Exec(`delete from dataset where id = $1 and not exists (select 1 from run_dataset where dataset_id = $1)`, id)
		if err != nil {
			return false, err
		}
		if late() {
			return false, nil
		}
	}
	return true, nil
}

// measure adds up the points of runs before they go.
func (g *gc) measure(ctx context.Context, list []doomed) error {
	var points, bytes int64
	err := g.s.db.Read(ctx, func(tx *sqldb.Tx) error {
		points, bytes = 0, 0
		for _, d := range list {
			if d.kind != doomedRun {
				continue
			}
			n, size, err := seriesSize(tx, `$1`, d.id)
			if err != nil {
				return err
			}
			points += n
			bytes += size
		}
		return nil
	})
	g.report.Points += points
	g.report.SeriesBytes += bytes
	return err
}

// tailBytes is about what a point takes that is not in a block yet.
const tailBytes = 32

// seriesSize says how many points runs have and about how many bytes they take; runs is what run_id is in.
func seriesSize(tx *sqldb.Tx, runs string, args ...any) (points, bytes int64, err error) {
	err = tx.QueryRow(`
		select cast(coalesce(sum(n), 0) as bigint), cast(coalesce(sum(octet_length(data)), 0) as bigint) from seg where run_id in (`+runs+`)`,
		args...).Scan(&points, &bytes)
	if err != nil {
		return 0, 0, err
	}
	var tail int64
	err = tx.QueryRow(`select count(*) from tail where run_id in (`+runs+`)`, args...).Scan(&tail)
	return points + tail, bytes + tail*tailBytes, err
}
