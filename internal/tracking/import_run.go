package tracking

import (
	"context"
	"errors"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

const (
	// importRows bounds what one write of an import does, so that others never wait for it for long. A row of an index
	// costs about 20 µs, a block as much as some rows.
	importRows  = 500
	blockRows   = 4
	importBlock = 4096 // points of one block; fewer would compress worse, more would make charts decode more
)

// errThere ends a write that found its run there already.
var errThere = errors.New("the run is there already")

// HasRun says whether a run is here and whole; one whose import was broken off is not.
func (s *Store) HasRun(ctx context.Context, runID string) (has bool, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		var n int
		err := tx.QueryRow(`
			select count(*) from run r where r.uuid = $1 and not exists (select 1 from run_import i where i.run_id = r.id)`, runID).Scan(&n)
		has = n > 0
		return err
	})
	return has, err
}

// ImportRun brings in a run of another store as it was there: its id, times, lifecycle stage, params, tags, inputs and
// outputs, uncut. Points calls its argument with points of one metric at a time, as often as it likes, in any order. A
// run that is here already stays as it is, and added is false. What is written is in pieces; until the last one an import
// that is broken off can begin the run anew.
func (s *Store) ImportRun(ctx context.Context, r *mlflow.Run, deletedAt int64, points func(emit func([]mlflow.Metric) error) error) (added bool, err error) {
	has, err := s.HasRun(ctx, r.Info.RunID)
	if err != nil || has {
		return false, err
	}
	if err := s.dropImport(ctx, r.Info.RunID); err != nil {
		return false, err
	}
	im := &runImport{s: s, info: r.Info, deletedAt: deletedAt}
	err = im.all(ctx, r, points)
	if errors.Is(err, errThere) {
		return false, nil
	}
	return err == nil, err
}

// runImport is a run on its way in.
type runImport struct {
	s         *Store
	info      mlflow.RunInfo
	deletedAt int64
	row       lockedRun // once it is written
	waiting   []func(tx *sqldb.Tx, keys *keyIDs, r lockedRun) error
	size      int // of waiting, in rows
}

func (im *runImport) all(ctx context.Context, r *mlflow.Run, points func(emit func([]mlflow.Metric) error) error) error {
	for _, list := range []struct {
		kind   int
		insert string
		values []mlflow.KeyValue
	}{
		{kindParam, `insert into param (run_id, key_id, value) values ($1, $2, $3) on conflict (run_id, key_id) do update set value = excluded.value`, r.Data.Params},
		{kindTag, `insert into tag (run_id, key_id, value) values ($1, $2, $3) on conflict (run_id, key_id) do update set value = excluded.value`, r.Data.Tags},
	} {
		for _, v := range list.values {
			err := im.add(ctx, 1, func(tx *sqldb.Tx, keys *keyIDs, run lockedRun) error {
				key, err := keys.of(tx, keyRef{run.exp, list.kind, v.Key})
				if err == nil {
					_, err = tx.Exec(list.insert, run.id, key, v.Value)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	if err := im.addInputs(ctx, r); err != nil {
		return err
	}
	if err := points(func(metrics []mlflow.Metric) error { return im.addPoints(ctx, metrics) }); err != nil {
		return err
	}
	return im.flush(ctx, true)
}

func (im *runImport) addInputs(ctx context.Context, r *mlflow.Run) error {
	for _, in := range r.Inputs.DatasetInputs {
		u := use{Dataset: in.Dataset}
		if len(in.Tags) > 0 {
			text, err := plainJSON(in.Tags)
			if err != nil {
				return err
			}
			u.tags = string(text)
		}
		for _, t := range in.Tags {
			if t.Key == tagDataContext {
				u.context = &t.Value
			}
		}
		err := im.add(ctx, 2, func(tx *sqldb.Tx, _ *keyIDs, run lockedRun) error { return linkDatasets(tx, run, []use{u}) })
		if err != nil {
			return err
		}
	}
	var read []mlflow.ModelOutput
	for _, m := range r.Inputs.ModelInputs {
		read = append(read, mlflow.ModelOutput{ModelID: m.ModelID})
	}
	var made []mlflow.ModelOutput
	if r.Outputs != nil {
		made = r.Outputs.ModelOutputs
	}
	return im.add(ctx, len(read)+len(made), func(tx *sqldb.Tx, _ *keyIDs, run lockedRun) error {
		if err := linkModels(tx, run, false, read); err != nil {
			return err
		}
		return linkModels(tx, run, true, made)
	})
}

// addPoints takes points of one metric. Blocks are made here, before the writer is asked for.
func (im *runImport) addPoints(ctx context.Context, metrics []mlflow.Metric) error {
	if len(metrics) == 0 {
		return nil
	}
	points := make([]series.Point, len(metrics))
	for i := range metrics {
		points[i] = pointOf(&metrics[i])
	}
	points = series.Sort(points)
	name := metrics[0].Key
	if len(points) < blockFrom {
		return im.add(ctx, 1+len(points), func(tx *sqldb.Tx, keys *keyIDs, run lockedRun) error {
			key, err := keys.of(tx, keyRef{run.exp, kindMetric, name})
			if err == nil {
				err = writePoints(tx, run.id, key, points)
			}
			return err
		})
	}
	for len(points) > 0 {
		part := points[:min(len(points), importBlock)]
		points = points[len(part):]
		span, sum, data := spanOf(part), series.Summarize(part), series.Encode(nil, part)
		err := im.add(ctx, blockRows, func(tx *sqldb.Tx, keys *keyIDs, run lockedRun) error {
			key, err := keys.of(tx, keyRef{run.exp, kindMetric, name})
			if err != nil {
				return err
			}
			if err := widenLatest(tx, run.id, key, span); err != nil {
				return err
			}
			return storeBlock(tx, run.id, key, sum, data)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// add lets something wait for the next write.
func (im *runImport) add(ctx context.Context, rows int, fn func(tx *sqldb.Tx, keys *keyIDs, r lockedRun) error) error {
	if len(im.waiting) > 0 && im.size+rows > importRows {
		if err := im.flush(ctx, false); err != nil {
			return err
		}
	}
	im.waiting = append(im.waiting, fn)
	im.size += rows
	return nil
}

// flush writes what waits: into the run's new row the first time, and with the mark that it is not whole until the last.
func (im *runImport) flush(ctx context.Context, last bool) error {
	var keys keyIDs
	var row lockedRun
	err := im.s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		keys = keyIDs{cache: &im.s.keys}
		if row = im.row; row.id == 0 {
			row, err = im.insert(tx)
			if err == nil && !last {
				_, err = tx.Exec(`insert into run_import (run_id) values ($1)`, row.id)
			}
		} else {
			row, err = lockRun(tx, im.info.RunID)
			if err == nil && last {
				_, err = tx.Exec(`delete from run_import where run_id = $1`, row.id)
			}
		}
		if err != nil {
			return err
		}
		for _, write := range im.waiting {
			if err := write(tx, &keys, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	im.s.keys.add(keys.fresh)
	im.row, im.waiting, im.size = row, nil, 0
	return nil
}

func (im *runImport) insert(tx *sqldb.Tx) (row lockedRun, err error) {
	e, err := findExperiment(tx, im.info.ExperimentID, false)
	if err != nil {
		return row, err
	}
	row.exp = e.id
	var end, deletedAt *int64
	if im.info.EndTime != 0 {
		end = &im.info.EndTime
	}
	if im.deletedAt != 0 {
		deletedAt = &im.deletedAt
	}
	err = tx.QueryRow(`
		insert into run (uuid, exp_id, name, user_id, status, start_time, end_time, artifact_uri, deleted, deleted_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id`,
		im.info.RunID, e.id, im.info.RunName, im.info.UserID, string(im.info.Status), im.info.StartTime, end, im.info.ArtifactURI,
		im.info.LifecycleStage == mlflow.StageDeleted, deletedAt).Scan(&row.id)
	if sqldb.IsUnique(err) {
		err = errThere // another import was faster
	}
	return row, err
}

// dropImport removes what an import that was broken off left of a run, in pieces.
func (s *Store) dropImport(ctx context.Context, runID string) error {
	var id int64
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`select r.id from run r join run_import i on i.run_id = r.id where r.uuid = $1`, runID).Scan(&id)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, table := range []string{"seg", "tail", "latest", "param", "tag"} {
		for n := int64(1); n > 0; {
			err := s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
				n, err = tx.Exec(`
					delete from `+table+` where run_id = $1
					and key_id in (select distinct key_id from `+table+` where run_id = $1 order by key_id limit 20)`, id)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		for _, sql := range []string{
			`delete from run_dataset where run_id = $1`, `delete from run_model where run_id = $1`, `delete from run_doc where run_id = $1`,
			`delete from run_import where run_id = $1`, `delete from run where id = $1`,
		} {
			if _, err := tx.Exec(sql, id); err != nil {
				return err
			}
		}
		return nil
	})
}
