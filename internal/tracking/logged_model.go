package tracking

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

const (
	maxModelName = 500
	maxModelKey  = 255
	maxModelType = 500
	maxID        = 256
)

// mountModels offers the routes of logged models.
func (s *Store) mountModels(rt *api.Router) {
	experiment := api.Resource{Kind: "experiment", Field: "experiment_id"}
	model := api.Resource{Kind: "logged_model", Field: "model_id"}

	api.Handle(rt, "POST mlflow/logged-models", api.Edit(experiment), s.CreateLoggedModel)
	api.Handle(rt, "POST mlflow/logged-models/search", api.List("experiment"), s.SearchLoggedModels)
	api.Handle(rt, "GET mlflow/logged-models/{model_id}", api.Read(model), s.GetLoggedModel)
	api.Handle(rt, "PATCH mlflow/logged-models/{model_id}", api.Edit(model), s.FinalizeLoggedModel)
	api.Handle(rt, "DELETE mlflow/logged-models/{model_id}", api.Delete(model), s.DeleteLoggedModel)
	api.Handle(rt, "PATCH mlflow/logged-models/{model_id}/tags", api.Edit(model), s.SetLoggedModelTags)
	api.Handle(rt, "DELETE mlflow/logged-models/{model_id}/tags/{tag_key...}", api.Edit(model), s.DeleteLoggedModelTag)
	api.Handle(rt, "POST mlflow/logged-models/{model_id}/params", api.Edit(model), s.LogLoggedModelParams)
}

// model is a row of the table logged_model.
type model struct {
	id, exp int64
	deleted bool
	mlflow.LoggedModelInfo
}

const modelColumns = `l.id, l.exp_id, l.public_id, l.name, l.model_type, l.source_run_id, l.artifact_uri, l.status, l.status_message,
	l.created_at, l.updated_at, l.deleted`

func scanModel(scan func(...any) error) (m model, err error) {
	var status string
	err = scan(&m.id, &m.exp, &m.ModelID, &m.Name, &m.ModelType, &m.SourceRunID, &m.ArtifactURI, &status, &m.StatusMessage,
		&m.CreationTimestamp, &m.LastUpdatedTimestamp, &m.deleted, &m.ExperimentID)
	m.Status = mlflow.LoggedModelStatus(status)
	return m, err
}

func findModel(tx *sqldb.Tx, id string) (model, error) {
	m, err := scanModel(tx.QueryRow(`
		select `+modelColumns+`, e.public_id from logged_model l join experiment e on e.id = l.exp_id where l.public_id = $1`, id).Scan)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = modelNotFound(id)
	}
	return m, err
}

// lockModel finds a logged model, deleted or not, and keeps other changes of it out until the transaction ends.
func lockModel(tx *sqldb.Tx, id string) (m model, err error) {
	err = tx.QueryRow(`select id, exp_id, deleted from logged_model where public_id = $1`+tx.ForUpdate(), id).Scan(&m.id, &m.exp, &m.deleted)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = modelNotFound(id)
	}
	return m, err
}

func modelNotFound(id string) error { return notFound("Logged model with ID '%s' not found.", id) }

// CreateLoggedModel starts a logged model in an active experiment. Names may repeat; without a name it gets one.
func (s *Store) CreateLoggedModel(ctx context.Context, req *mlflow.CreateLoggedModelRequest) (*mlflow.LoggedModelResponse, error) {
	if err := validateModel(req); err != nil {
		return nil, err
	}
	if err := validateModelKeys(req.Params, "params"); err != nil {
		return nil, err
	}
	if err := duplicateParams(req.Params); err != nil {
		return nil, err
	}
	if err := validateModelKeys(req.Tags, "tags"); err != nil {
		return nil, err
	}
	name := req.Name
	if name == "" {
		var err error
		if name, err = newRunName(s.o.Random); err != nil {
			return nil, err
		}
	}
	random, err := s.newRunID()
	if err != nil {
		return nil, err
	}
	id := "m-" + random
	resp := &mlflow.LoggedModelResponse{}
	again := sqldb.Idempotency(api.IdempotencyOf(ctx))
	return resp, s.writeModelOnce(ctx, again, resp, func(tx *sqldb.Tx, keys *keyIDs) error {
		e, err := openExperiment(tx, req.ExperimentID)
		if err != nil {
			return err
		}
		m := model{exp: e.id}
		now := s.now()
		err = tx.QueryRow(`
			insert into logged_model (public_id, exp_id, name, model_type, source_run_id, artifact_uri, status, created_at, updated_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $8) returning id`,
			id, e.id, name, req.ModelType, req.SourceRunID, joinURI(e.ArtifactLocation, "models", id, "artifacts"),
			string(mlflow.LoggedModelPending), now).Scan(&m.id)
		if err != nil {
			return err
		}
		if err := setModelParams(tx, keys, m, id, req.Params); err != nil {
			return err
		}
		if err := setModelTags(tx, keys, m, req.Tags); err != nil {
			return err
		}
		return s.readModel(tx, id, resp)
	})
}

// openExperiment finds an active experiment in which something is to be made. Its row is read, not locked for change, so
// that runs and models are made side by side; deleting the experiment waits for them.
func openExperiment(tx *sqldb.Tx, id string) (experiment, error) {
	suffix := ""
	if tx.Dialect() == sqldb.Postgres {
		suffix = " for share"
	}
	e, err := scanExperiment(tx.QueryRow(`select `+experimentColumns+` from experiment e where e.public_id = $1`+suffix, id).Scan)
	if errors.Is(err, sqldb.ErrNoRows) {
		e, err = findExperiment(tx, id, false)
	}
	if err == nil && e.deleted {
		err = notActive("experiment", id)
	}
	return e, err
}

func validateModel(req *mlflow.CreateLoggedModelRequest) error {
	if strings.ContainsAny(req.Name, `/:.%"'`) {
		return invalid("Invalid model name (%s) provided. Model name must be a non-empty string and cannot contain the following characters: "+
			`('/', ':', '.', '%%', '"', "'")`, pyQuote(req.Name))
	}
	for _, part := range []struct {
		what, text string
		most       int
	}{{"name", req.Name, maxModelName}, {"model_type", req.ModelType, maxModelType}, {"source_run_id", req.SourceRunID, maxID}} {
		if err := validateLength(part.text, part.what, part.most); err != nil {
			return err
		}
	}
	return nil
}

// validateModelKeys checks the keys of params or tags of a logged model, which may be any text. Their values are kept
// whole, unlike those of runs: MLflow has no limit for them.
func validateModelKeys(list []mlflow.KeyValue, field string) error {
	for i, v := range list {
		if err := validateLength(v.Key, field+"["+strconv.Itoa(i)+"].key", maxModelKey); err != nil {
			return err
		}
	}
	return nil
}

// writeModel runs a write that may make keys.
func (s *Store) writeModel(ctx context.Context, fn func(tx *sqldb.Tx, keys *keyIDs) error) error {
	return s.writeModelOnce(ctx, sqldb.Idempotency{}, nil, fn)
}

// writeModelOnce is writeModel for what must not happen twice.
func (s *Store) writeModelOnce(ctx context.Context, again sqldb.Idempotency, answer any, fn func(tx *sqldb.Tx, keys *keyIDs) error) error {
	var keys keyIDs
	err := s.db.WriteOnce(ctx, again, answer, func(tx *sqldb.Tx) error {
		keys = keyIDs{cache: &s.keys}
		return fn(tx, &keys)
	})
	if err == nil {
		s.keys.add(keys.fresh)
	}
	return err
}

// setModelParams adds params to a locked model: the same value again changes nothing, another one is refused.
func setModelParams(tx *sqldb.Tx, keys *keyIDs, m model, id string, params []mlflow.KeyValue) error {
	for _, p := range params {
		key, err := keys.of(tx, keyRef{m.exp, kindParam, p.Key})
		if err != nil {
			return err
		}
		n, err := tx.Exec(`insert into model_param (model_id, key_id, value) values ($1, $2, $3) on conflict do nothing`, m.id, key, p.Value)
		if err != nil {
			return err
		}
		if n == 1 {
			continue
		}
		var old string
		if err := tx.QueryRow(`select value from model_param where model_id = $1 and key_id = $2`, m.id, key).Scan(&old); err != nil {
			return err
		}
		if old != p.Value {
			return invalid("Changing param values is not allowed. Param with key='%s' was already logged with value='%s' for model ID='%s'. Attempted logging new value '%s'.",
				p.Key, old, id, p.Value)
		}
	}
	return nil
}

func setModelTags(tx *sqldb.Tx, keys *keyIDs, m model, tags []mlflow.KeyValue) error {
	for _, t := range tags {
		key, err := keys.of(tx, keyRef{m.exp, kindTag, t.Key})
		if err != nil {
			return err
		}
		_, err = tx.Exec(`
			insert into model_tag (model_id, key_id, value) values ($1, $2, $3)
			on conflict (model_id, key_id) do update set value = excluded.value`, m.id, key, t.Value)
		if err != nil {
			return err
		}
	}
	return nil
}

// GetLoggedModel gives a logged model; a deleted one only when the caller allows for it.
func (s *Store) GetLoggedModel(ctx context.Context, req *mlflow.GetLoggedModelRequest) (*mlflow.LoggedModelResponse, error) {
	resp := &mlflow.LoggedModelResponse{}
	return resp, s.db.Read(ctx, func(tx *sqldb.Tx) error {
		m, err := findModel(tx, req.ModelID)
		if err == nil && m.deleted && !req.AllowDeleted {
			err = modelNotFound(req.ModelID)
		}
		if err != nil {
			return err
		}
		return s.readModels(tx, []model{m}, func(full mlflow.LoggedModel) { resp.Model = full })
	})
}

func (s *Store) readModel(tx *sqldb.Tx, id string, resp *mlflow.LoggedModelResponse) error {
	m, err := findModel(tx, id)
	if err != nil {
		return err
	}
	return s.readModels(tx, []model{m}, func(full mlflow.LoggedModel) { resp.Model = full })
}

// FinalizeLoggedModel sets a logged model's status.
func (s *Store) FinalizeLoggedModel(ctx context.Context, req *mlflow.FinalizeLoggedModelRequest) (*mlflow.LoggedModelResponse, error) {
	resp := &mlflow.LoggedModelResponse{}
	return resp, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		m, err := lockModel(tx, req.ModelID)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`update logged_model set status = $1, updated_at = $2 where id = $3`, string(req.Status), s.now(), m.id); err != nil {
			return err
		}
		return s.readModel(tx, req.ModelID, resp)
	})
}

// DeleteLoggedModel marks a logged model as deleted. A deleted one stays so.
func (s *Store) DeleteLoggedModel(ctx context.Context, req *mlflow.LoggedModelRequest) (*mlflow.Empty, error) {
	return &mlflow.Empty{}, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		m, err := lockModel(tx, req.ModelID)
		if err != nil || m.deleted {
			return err
		}
		now := s.now()
		if _, err := tx.Exec(`update logged_model set deleted = 1, deleted_at = $1, updated_at = $1 where id = $2`, now, m.id); err != nil {
			return err
		}
		return record(tx, now, api.ActorOf(ctx), "logged_model", req.ModelID, actionDelete)
	})
}

// SetLoggedModelTags sets or replaces tags, deleted models included.
func (s *Store) SetLoggedModelTags(ctx context.Context, req *mlflow.SetLoggedModelTagsRequest) (*mlflow.Empty, error) {
	if err := validateModelKeys(req.Tags, "tags"); err != nil {
		return nil, err
	}
	return &mlflow.Empty{}, s.writeModel(ctx, func(tx *sqldb.Tx, keys *keyIDs) error {
		m, err := lockModel(tx, req.ModelID)
		if err != nil {
			return err
		}
		return setModelTags(tx, keys, m, req.Tags)
	})
}

// DeleteLoggedModelTag removes a tag.
func (s *Store) DeleteLoggedModelTag(ctx context.Context, req *mlflow.DeleteLoggedModelTagRequest) (*mlflow.Empty, error) {
	return &mlflow.Empty{}, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		m, err := lockModel(tx, req.ModelID)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`
			delete from model_tag where model_id = $1 and key_id in (select id from key where exp_id = $2 and kind = $3 and name = $4)`,
			m.id, m.exp, kindTag, req.TagKey)
		if err == nil && n == 0 {
			return notFound("No tag with key %s found for model with ID %s.", pyQuote(req.TagKey), pyQuote(req.ModelID))
		}
		return err
	})
}

// LogLoggedModelParams adds params, all or none.
func (s *Store) LogLoggedModelParams(ctx context.Context, req *mlflow.LogLoggedModelParamsRequest) (*mlflow.Empty, error) {
	if err := validateModelKeys(req.Params, "params"); err != nil {
		return nil, err
	}
	return &mlflow.Empty{}, s.writeModel(ctx, func(tx *sqldb.Tx, keys *keyIDs) error {
		m, err := lockModel(tx, req.ModelID)
		if err != nil {
			return err
		}
		return setModelParams(tx, keys, m, req.ModelID, req.Params)
	})
}
