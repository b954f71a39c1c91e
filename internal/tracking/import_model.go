package tracking

import (
	"context"
	"errors"
	"slices"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// HasLoggedModel says whether a logged model is here, deleted or not.
func (s *Store) HasLoggedModel(ctx context.Context, modelID string) (has bool, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := findModel(tx, modelID)
		has = err == nil
		if isUser(err) {
			err = nil
		}
		return err
	})
	return has, err
}

// ImportLoggedModel brings in a logged model of another store as it was there. One that is here already stays as it is
// and added is false; points that an import which was broken off left out are added all the same. Its runs must be here:
// lost is how many points name one that is not.
func (s *Store) ImportLoggedModel(ctx context.Context, m *mlflow.LoggedModel, deletedAt int64) (added bool, lost int, err error) {
	var id lockedRun
	err = s.writeModel(ctx, func(tx *sqldb.Tx, keys *keyIDs) error {
		added = false
		e, err := findExperiment(tx, m.Info.ExperimentID, false)
		if err != nil {
			return err
		}
		var at *int64
		if deletedAt != 0 {
			at = &deletedAt
		}
		i := &m.Info
		err = tx.QueryRow(`
			insert into logged_model (public_id, exp_id, name, model_type, source_run_id, artifact_uri, status, status_message,
				created_at, updated_at, deleted, deleted_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (public_id) do nothing returning id`,
			i.ModelID, e.id, i.Name, i.ModelType, i.SourceRunID, i.ArtifactURI, string(i.Status), i.StatusMessage,
			i.CreationTimestamp, i.LastUpdatedTimestamp, deletedAt != 0, at).Scan(&id.id)
		if errors.Is(err, sqldb.ErrNoRows) {
			id, err = modelRef(tx, i.ModelID)
			return err
		}
		if err != nil {
			return err
		}
		id.exp, added = e.id, true
		ref := model{id: id.id, exp: id.exp}
		for _, list := range []struct {
			kind   int
			insert string
			values []mlflow.KeyValue
		}{
			{kindParam, `insert into model_param (model_id, key_id, value) values ($1, $2, $3) on conflict do nothing`, m.Data.Params},
			{kindTag, `insert into model_tag (model_id, key_id, value) values ($1, $2, $3) on conflict do nothing`, i.Tags},
		} {
			for _, v := range list.values {
				key, err := keys.of(tx, keyRef{ref.exp, list.kind, v.Key})
				if err != nil {
					return err
				}
				if _, err := tx.Exec(list.insert, ref.id, key, v.Value); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return false, 0, err
	}
	for part := range slices.Chunk(m.Data.Metrics, importRows) {
		n, err := s.importModelMetrics(ctx, id, part)
		if err != nil {
			return added, lost, err
		}
		lost += n
	}
	return added, lost, nil
}

// importModelMetrics adds points of a logged model and gives how many name an unknown run.
func (s *Store) importModelMetrics(ctx context.Context, ref lockedRun, metrics []mlflow.Metric) (lost int, err error) {
	return lost, s.writeModel(ctx, func(tx *sqldb.Tx, keys *keyIDs) error {
		lost = 0
		runs := make(map[string]int64)
		for i := range metrics {
			m := &metrics[i]
			run, ok := runs[m.RunID]
			if !ok {
				err := tx.QueryRow(`select id from run where uuid = $1`, m.RunID).Scan(&run)
				if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
					return err
				}
				runs[m.RunID] = run
			}
			if run == 0 {
				lost++
				continue
			}
			if err := addModelPoint(tx, keys, ref, run, m); err != nil {
				return err
			}
		}
		return nil
	})
}
