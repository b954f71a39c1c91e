package tracking

import (
	"context"
	"errors"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// mayEditModels checks that the caller may add to the logged models that metrics name.
func mayEditModels(ctx context.Context, metrics []mlflow.Metric) error {
	last := ""
	for i := range metrics {
		id := metrics[i].ModelID
		if id == "" || id == last {
			continue
		}
		last = id
		if err := api.Allow(ctx, api.Edit(api.Resource{Kind: "logged_model", Field: "model_id"}), id); err != nil {
			return err
		}
	}
	return nil
}

// findModels finds the logged models that metrics name and refuses operations that name an unknown one.
func (b *logBatch) findModels() error {
	b.models = make(map[string]lockedRun)
	var ids []string
	b.accepted(func(_ int, op *logOp, _ lockedRun) {
		for i := range op.metrics {
			id := op.metrics[i].ModelID
			if _, ok := b.models[id]; id != "" && !ok {
				b.models[id] = lockedRun{}
				ids = append(ids, id)
			}
		}
	})
	if ids == nil {
		return nil
	}
	rows, err := b.tx.Query(`select public_id, id, exp_id from logged_model where public_id = any($1)`, ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var public string
		var ref lockedRun
		if err := rows.Scan(&public, &ref.id, &ref.exp); err != nil {
			return err
		}
		b.models[public] = ref
	}
	if err := rows.Close(); err != nil {
		return err
	}
	b.accepted(func(i int, op *logOp, _ lockedRun) {
		for j := range op.metrics {
			if id := op.metrics[j].ModelID; id != "" && b.models[id].id == 0 {
				b.errs[i] = modelNotFound(id)
				return
			}
		}
	})
	return nil
}

// writeModelMetrics writes the points that were measured of logged models.
func (b *logBatch) writeModelMetrics() error {
	var models, keys, times, steps, runs []int64
	var values []*float64
	var names, digests []string
	b.accepted(func(_ int, op *logOp, r lockedRun) {
		for i := range op.metrics {
			m := &op.metrics[i]
			if m.ModelID == "" {
				continue
			}
			ref := b.models[m.ModelID]
			models, keys = append(models, ref.id), append(keys, b.keys[keyRef{ref.exp, kindMetric, m.Key}])
			times, steps, runs = append(times, m.Timestamp), append(steps, m.Step), append(runs, r.id)
			values = append(values, number(float64(m.Value)))
			names, digests = append(names, m.DatasetName), append(digests, m.DatasetDigest)
		}
	})
	if len(models) == 0 {
		return nil
	}
	return b.tx.Later(`
		insert into model_metric (model_id, key_id, ts, step, run_id, value, dataset_name, dataset_digest)
		select * from unnest(cast($1 as bigint[]), cast($2 as bigint[]), cast($3 as bigint[]), cast($4 as bigint[]), cast($5 as bigint[]),
			cast($6 as double precision[]), cast($7 as text[]), cast($8 as text[])) on conflict do nothing`,
		models, keys, times, steps, runs, values, names, digests)
}

// modelRef finds a logged model that a metric names.
func modelRef(tx *sqldb.Tx, id string) (ref lockedRun, err error) {
	err = tx.QueryRow(`select id, exp_id from logged_model where public_id = $1`, id).Scan(&ref.id, &ref.exp)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = modelNotFound(id)
	}
	return ref, err
}

// writeModelMetrics notes those of a run's new points that were measured of a logged model with that model too.
func writeModelMetrics(tx *sqldb.Tx, keys *keyIDs, run int64, metrics []mlflow.Metric) error {
	for i := range metrics {
		m := &metrics[i]
		if m.ModelID == "" {
			continue
		}
		ref, err := modelRef(tx, m.ModelID)
		if err != nil {
			return err
		}
		if err := addModelPoint(tx, keys, ref, run, m); err != nil {
			return err
		}
	}
	return nil
}

// addModelPoint notes a point of a logged model's metric that a run measured; one that is there already stays as it is.
func addModelPoint(tx *sqldb.Tx, keys *keyIDs, ref lockedRun, run int64, m *mlflow.Metric) error {
	key, err := keys.of(tx, keyRef{ref.exp, kindMetric, m.Key})
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
		insert into model_metric (model_id, key_id, ts, step, run_id, value, dataset_name, dataset_digest)
		values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
		ref.id, key, m.Timestamp, m.Step, run, number(float64(m.Value)), m.DatasetName, m.DatasetDigest)
	return err
}
