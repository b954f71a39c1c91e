package tracking

import (
	"context"
	"fmt"

	"github.com/weir-ml/weir/internal/sqldb"
)

const (
	// sweepRows is how many rows one statement of a gc deletes on SQLite; after each the clock is looked at.
	sweepRows = 200
	// sweepMany is the same on PostgreSQL, where nobody waits for the writer: round trips count there.
	sweepMany = 20_000
)

// swept is a table with rows of what gc removes: owner is the column that names it, key its primary key.
type swept struct{ table, owner, key string }

var sweptTables = [...][]swept{
	doomedRun: {
		{"seg", "run_id", "id"}, {"tail", "run_id", "run_id, key_id, seq"}, {"latest", "run_id", "run_id, key_id"},
		{"param", "run_id", "run_id, key_id"}, {"tag", "run_id", "run_id, key_id"},
		{"run_model", "run_id", "run_id, output, model_id"}, {"model_metric", "run_id", "model_id, key_id, ts, step, run_id"},
		{"run_import", "run_id", "run_id"},
	},
	doomedModel: {
		{"model_param", "model_id", "model_id, key_id"}, {"model_tag", "model_id", "model_id, key_id"},
		{"model_metric", "model_id", "model_id, key_id, ts, step, run_id"},
	},
	doomedExperiment: {{"key", "exp_id", "id"}, {"experiment_tag", "exp_id", "exp_id, name"}, {"dataset", "exp_id", "id"}},
}

// some deletes some of the rows of a few owners; when it finds none, all are gone.
func (t swept) some(tx *sqldb.Tx, owners []int64) (n int64, err error) {
	if tx.Dialect() == sqldb.Postgres {
		// By their places: a join on the key may read the whole table.
		return tx.Exec(fmt.Sprintf(`delete from %s where ctid = any (array (select ctid from %s where %s = any($1) limit %d))`,
			t.table, t.table, t.owner, sweepMany), owners)
	}
	return tx.Exec(fmt.Sprintf(`delete from %s where (%s) in (select %s from %s where %s = $1 limit %d)`,
		t.table, t.key, t.key, t.table, t.owner, sweepRows), owners[0])
}

// sweep deletes the rows of what was taken, which is of one kind, in transactions that are short however much it is: one
// thing after the other on SQLite, all together on PostgreSQL.
func (g *gc) sweep(ctx context.Context, list []doomed) error {
	for len(list) > 0 {
		rest := list
		err := g.s.unhurried(ctx, func(tx *sqldb.Tx, late func() bool) error {
			rest = list
			for len(rest) > 0 {
				n := 1
				if tx.Dialect() == sqldb.Postgres {
					for n < len(rest) && rest[n].kind == rest[0].kind {
						n++
					}
				}
				done, err := sweepSome(tx, rest[:n], late)
				if err != nil || !done {
					return err
				}
				rest = rest[n:]
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

// sweepSome deletes rows of things of one kind until all are gone or it is late.
func sweepSome(tx *sqldb.Tx, list []doomed, late func() bool) (done bool, err error) {
	owners := make([]int64, len(list))
	for i, d := range list {
		owners[i] = d.id
	}
	kind, most := list[0].kind, int64(sweepRows)
	if tx.Dialect() == sqldb.Postgres {
		most = sweepMany
	}
	for _, t := range sweptTables[kind] {
		for n := most; n == most; {
			if n, err = t.some(tx, owners); err != nil {
				return false, err
			}
			// Something was done, so that the next transaction comes further, however slow this machine is.
			if n > 0 && late() && (most == sweepRows || n == most) {
				return false, nil
			}
		}
	}
	for _, id := range owners {
		switch kind {
		case doomedRun:
			if done, err := sweepDatasets(tx, id, late); err != nil || !done {
				return false, err
			}
		case doomedExperiment:
			if _, err := tx.Exec(`delete from experiment where id = $1`, id); err != nil {
				return false, err
			}
		}
	}
	if tx.Dialect() == sqldb.Postgres {
		_, err = tx.Exec(`delete from doomed where kind = $1 and id = any($2)`, kind, owners)
	} else {
		_, err = tx.Exec(`delete from doomed where kind = $1 and id = $2`, kind, owners[0])
	}
	return err == nil, err
}

// sweepDatasets deletes a run's uses of datasets, and the datasets that no other run uses. Datasets may be large, so they
// go one by one.
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
		if late() && tx.Dialect() == sqldb.SQLite {
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
