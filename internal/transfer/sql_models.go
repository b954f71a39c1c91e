package transfer

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// LoggedModels gives the logged models of an experiment in the order of their ids.
func (d *Database) LoggedModels(ctx context.Context, e Experiment, faults Faults, fn func(*LoggedModel) error) error {
	if d.columns["logged_models"] == nil {
		return nil
	}
	exp, err := strconv.ParseInt(e.ExperimentID, 10, 64)
	if err != nil {
		return err
	}
	for after := ""; ; {
		var page []*LoggedModel
		err := d.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			page, err = d.loggedModels(tx, exp, after, faults)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Info.ModelID
		for _, m := range page {
			if m.Info.Status == "" {
				continue // named already
			}
			m.Info.ExperimentID = e.ExperimentID
			if err := fn(m); err != nil {
				return err
			}
		}
	}
}

func (d *Database) loggedModels(tx *sqldb.Tx, exp int64, after string, faults Faults) (page []*LoggedModel, err error) {
	err = each(tx, func(scan func(...any) error) error {
		m := &LoggedModel{}
		i := &m.Info
		var status, stage string
		err := scan(&i.ModelID, &i.Name, &i.ArtifactURI, &i.CreationTimestamp, &i.LastUpdatedTimestamp, &status, &stage, &i.ModelType,
			&i.SourceRunID, &i.StatusMessage)
		if err != nil {
			return err
		}
		if i.Status, err = modelStatusOf(status); err != nil {
			faults("logged model "+i.ModelID, err)
		}
		m.Deleted = stageOf(stage) == mlflow.StageDeleted
		m.Files, i.ArtifactURI = d.files(i.ArtifactURI), d.location(i.ArtifactURI)
		page = append(page, m)
		return nil
	}, `select model_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, cast(status as text),
			coalesce(lifecycle_stage, ''), coalesce(model_type, ''), coalesce(source_run_id, ''), coalesce(status_message, '')
		from logged_models where experiment_id = $1 and model_id > $2 order by model_id limit 100`, exp, after)
	if err != nil {
		return nil, err
	}
	for _, m := range page {
		id := m.Info.ModelID
		if m.Data.Params, err = pairs(tx, `select param_key, param_value from logged_model_params where model_id = $1 order by param_key`, id); err != nil {
			return nil, err
		}
		if m.Info.Tags, err = pairs(tx, `select tag_key, tag_value from logged_model_tags where model_id = $1 order by tag_key`, id); err != nil {
			return nil, err
		}
		err := each(tx, func(scan func(...any) error) error {
			var p mlflow.Metric
			var v float64
			err := scan(&p.Key, &p.Timestamp, &p.Step, &v, &p.RunID, &p.DatasetName, &p.DatasetDigest)
			p.Value = mlflow.Float(v)
			m.Data.Metrics = append(m.Data.Metrics, p)
			return err
		}, `select metric_name, metric_timestamp_ms, metric_step, coalesce(metric_value, 0), run_id, coalesce(dataset_name, ''), coalesce(dataset_digest, '')
			from logged_model_metrics where model_id = $1 order by metric_name, metric_timestamp_ms, metric_step, run_id`, id)
		if err != nil {
			return nil, err
		}
	}
	return page, nil
}

// RegisteredModels gives the registered models of the default workspace in the order of their names.
func (d *Database) RegisteredModels(ctx context.Context, faults Faults, fn func(*RegisteredModel) error) error {
	if d.columns["registered_models"] == nil {
		return nil
	}
	var all []*RegisteredModel
	err := d.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		all, err = d.registeredModels(tx, faults)
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}

func (d *Database) registeredModels(tx *sqldb.Tx, faults Faults) (all []*RegisteredModel, err error) {
	err = each(tx, func(scan func(...any) error) error {
		m := &RegisteredModel{}
		var workspace string
		if err := scan(&m.Name, &m.CreationTimestamp, &m.LastUpdatedTimestamp, &m.Description, &workspace); err != nil {
			return err
		}
		if workspace != "" && workspace != foreignWorkspace {
			faults("registered model "+m.Name, fmt.Errorf("it is in the workspace %q, and this store has no workspaces", workspace))
			return nil
		}
		all = append(all, m)
		return nil
	}, `select name, `+d.number("registered_models", "creation_time")+`, `+d.number("registered_models", "last_updated_time")+`, `+
		d.text("registered_models", "description")+`, `+d.text("registered_models", "workspace")+` from registered_models order by name`)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if err := d.readModel(tx, m); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readModel reads what belongs to a registered model.
func (d *Database) readModel(tx *sqldb.Tx, m *RegisteredModel) (err error) {
	inWorkspace := func(table string) string {
		if d.columns[table]["workspace"] {
			return ` and workspace = '` + foreignWorkspace + `'`
		}
		return ""
	}
	if d.columns["registered_model_tags"] != nil {
		m.Tags, err = pairs(tx, `select key, coalesce(value, '') from registered_model_tags where name = $1`+inWorkspace("registered_model_tags")+` order by key`, m.Name)
		if err != nil {
			return err
		}
	}
	aliases := make(map[string][]string)
	if d.columns["registered_model_aliases"] != nil {
		list, err := pairs(tx, `select alias, cast(version as text) from registered_model_aliases where name = $1`+
			inWorkspace("registered_model_aliases")+` order by alias`, m.Name)
		if err != nil {
			return err
		}
		for _, a := range list {
			aliases[a.Value] = append(aliases[a.Value], a.Key)
		}
	}
	const t = "model_versions"
	err = each(tx, func(scan func(...any) error) error {
		v := ModelVersion{}
		v.Name = m.Name
		var description, run, link *string
		err := scan(&v.Version, &v.CreationTimestamp, &v.LastUpdatedTimestamp, &v.CurrentStage, &v.Source, &v.Storage, &v.Status, &v.StatusMessage,
			&description, &run, &link)
		for _, o := range []struct {
			from *string
			to   *mlflow.Opt[string]
		}{{description, &v.Description}, {run, &v.RunID}, {link, &v.RunLink}} {
			if o.from != nil {
				*o.to = mlflow.Some(*o.from)
			}
		}
		if v.CurrentStage == "" {
			v.CurrentStage = mlflow.StageNone
		}
		v.Aliases = aliases[v.Version]
		if strings.Contains(v.Source, "/") { // that of a prompt is a placeholder
			v.Source, v.Storage = d.location(v.Source), d.location(v.Storage)
		}
		v.Files = modelFolder(&v)
		if uri, err := mlflow.ParseModelURI(v.Source); err == nil {
			v.LoggedModel = uri.ModelID
		}
		m.Versions = append(m.Versions, v)
		return err
	}, `select cast(version as text), `+d.number(t, "creation_time")+`, `+d.number(t, "last_updated_time")+`, `+d.text(t, "current_stage")+`, `+
		d.text(t, "source")+`, `+d.text(t, "storage_location")+`, `+d.text(t, "status")+`, `+d.text(t, "status_message")+`, `+
		d.optional(t, "description")+`, `+d.optional(t, "run_id")+`, `+d.optional(t, "run_link")+`
		from model_versions where name = $1`+inWorkspace(t)+` order by version`, m.Name)
	if err != nil || d.columns["model_version_tags"] == nil {
		return err
	}
	for i := range m.Versions {
		number, err := versionNumber(m.Versions[i].Version)
		if err != nil {
			return err
		}
		m.Versions[i].Tags, err = pairs(tx, `select key, coalesce(value, '') from model_version_tags where name = $1 and version = $2`+
			inWorkspace("model_version_tags")+` order by key`, m.Name, number)
		if err != nil {
			return err
		}
	}
	return nil
}
