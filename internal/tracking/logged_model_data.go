package tracking

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// modelData is what belongs to a logged model besides its row.
type modelData struct {
	tags, params []docValue
	metrics      []modelPoint
}

// modelPoint is one point of a metric.
type modelPoint struct {
	key int64
	mlflow.Metric
}

// modelRows reads the tags, params and metrics of logged models.
func modelRows(tx *sqldb.Tx, ids []int64) (map[int64]*modelData, error) {
	all := make(map[int64]*modelData, len(ids))
	for _, id := range ids {
		all[id] = &modelData{}
	}
	for _, table := range []string{"model_tag", "model_param"} {
		err := queryIn(tx, `select model_id, key_id, value from `+table+` where model_id `, ` order by model_id, key_id`, ids, func(rows *sqldb.Rows) error {
			var id int64
			var v docValue
			err := rows.Scan(&id, &v.key, &v.text)
			if d := all[id]; table == "model_tag" {
				d.tags = append(d.tags, v)
			} else {
				d.params = append(d.params, v)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, queryIn(tx, `
		select m.model_id, m.key_id, m.ts, m.step, m.value, m.dataset_name, m.dataset_digest, r.uuid
		from model_metric m join run r on r.id = m.run_id where m.model_id `, ` order by m.model_id, m.key_id, m.ts, m.step, m.run_id`, ids, func(rows *sqldb.Rows) error {
		var id int64
		var p modelPoint
		var v *float64
		err := rows.Scan(&id, &p.key, &p.Timestamp, &p.Step, &v, &p.DatasetName, &p.DatasetDigest, &p.RunID)
		p.Value = mlflow.Float(float(v))
		all[id].metrics = append(all[id].metrics, p)
		return err
	})
}

// readModels adds their data to logged models and gives them out one by one.
func (s *Store) readModels(tx *sqldb.Tx, models []model, each func(mlflow.LoggedModel)) error {
	ids := make([]int64, len(models))
	for i, m := range models {
		ids[i] = m.id
	}
	all, err := modelRows(tx, ids)
	if err != nil {
		return err
	}
	names := make(map[int64]string)
	for _, d := range all {
		for _, list := range [][]docValue{d.tags, d.params} {
			for _, v := range list {
				names[v.key] = ""
			}
		}
		for _, p := range d.metrics {
			names[p.key] = ""
		}
	}
	if err := s.keyNames(tx, names); err != nil {
		return err
	}
	for _, m := range models {
		d := all[m.id]
		full := mlflow.LoggedModel{Info: m.LoggedModelInfo}
		for _, v := range d.tags {
			full.Info.Tags = append(full.Info.Tags, mlflow.KeyValue{Key: names[v.key], Value: v.text})
		}
		for _, v := range d.params {
			full.Data.Params = append(full.Data.Params, mlflow.KeyValue{Key: names[v.key], Value: v.text})
		}
		for _, p := range d.metrics {
			p.Key, p.ModelID = names[p.key], m.ModelID
			full.Data.Metrics = append(full.Data.Metrics, p.Metric)
		}
		each(full)
	}
	return nil
}

// LoggedModelSource says, inside another domain's transaction, where a logged model's files are and which run made it.
func (s *Store) LoggedModelSource(tx *sqldb.Tx, modelID string) (location, runID string, err error) {
	err = tx.QueryRow(`select artifact_uri, source_run_id from logged_model where public_id = $1 and deleted = 0`, modelID).Scan(&location, &runID)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = modelNotFound(modelID)
	}
	return location, runID, err
}

// ModelArtifacts says where a logged model's files are and to which experiment it belongs; deleted ones have theirs too.
func (s *Store) ModelArtifacts(ctx context.Context, modelID string) (artifactURI, experimentID string, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		m, err := findModel(tx, modelID)
		artifactURI, experimentID = m.ArtifactURI, m.ExperimentID
		return err
	})
	return artifactURI, experimentID, err
}

// tagModelVersions lists, as JSON, the registry's versions that were made of a logged model. It has no length limit.
const tagModelVersions = "mlflow.modelVersions"

// LinkModelVersion adds a version, inside the registry's transaction, to the logged model's tag.
func (s *Store) LinkModelVersion(tx *sqldb.Tx, modelID, name string, version int64) error {
	m, err := lockModel(tx, modelID)
	if err != nil {
		return err
	}
	// The key is not remembered: the transaction may still fail.
	keys := keyIDs{cache: &s.keys}
	key, err := keys.of(tx, keyRef{m.exp, kindTag, tagModelVersions})
	if err != nil {
		return err
	}
	type link struct {
		Name    string `json:"name"`
		Version int64  `json:"version"`
	}
	var old string
	var links []json.RawMessage
	switch err := tx.QueryRow(`select value from model_tag where model_id = $1 and key_id = $2`, m.id, key).Scan(&old); {
	case errors.Is(err, sqldb.ErrNoRows):
	case err != nil:
		return err
	case json.Unmarshal([]byte(old), &links) != nil:
		return invalid("The tag %s of logged model %s is not a JSON list; delete it first.", tagModelVersions, modelID)
	}
	for _, raw := range links {
		var have link
		if json.Unmarshal(raw, &have) == nil && have == (link{name, version}) {
			return nil
		}
	}
	added, err := json.Marshal(link{name, version})
	if err != nil {
		return err
	}
	list, err := json.Marshal(append(links, added))
	if err != nil {
		return err
	}
	text, err := pythonJSON(list)
	if err != nil {
		return err
	}
	return setModelTags(tx, &keys, m, []mlflow.KeyValue{{Key: tagModelVersions, Value: text}})
}
