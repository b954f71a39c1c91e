package registry

import (
	"context"
	"errors"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// CreateRegisteredModel makes a name for versions; a taken one is RESOURCE_ALREADY_EXISTS.
func (s *Store) CreateRegisteredModel(ctx context.Context, req *mlflow.CreateRegisteredModelRequest) (*mlflow.RegisteredModelResponse, error) {
	if err := checkName("name", req.Name); err != nil {
		return nil, err
	}
	tags, err := checkTags(req.Tags)
	if err != nil {
		return nil, err
	}
	return s.writeModel(ctx, func(tx *sqldb.Tx) (int64, error) {
		var id int64
		now := s.now()
		err := tx.QueryRow(`
			insert into registered_model (name, created_at, updated_at, description)
			values ($1, $2, $3, $4) on conflict (name) do nothing returning id`,
			req.Name, now, now, req.Description).Scan(&id)
		if errors.Is(err, sqldb.ErrNoRows) {
			return 0, nameTaken(tx, req.Name, isPrompt(tags))
		}
		if err != nil {
			return 0, err
		}
		for _, t := range tags {
			if err := setModelTag(tx, id, t.Key, t.Value); err != nil {
				return 0, err
			}
		}
		return id, s.record(ctx, tx, entry{action: "create", name: req.Name})
	})
}

// nameTaken says what has the name that somebody wants for a model or a prompt.
func nameTaken(tx *sqldb.Tx, name string, prompt bool) error {
	var value string
	err := tx.QueryRow(`
		select t.value from registered_model_tag t join registered_model m on m.id = t.model_id
		where m.name = $1 and t.key = $2`, name, promptTag).Scan(&value)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return err
	}
	has := err == nil && isPrompt([]mlflow.KeyValue{{Key: promptTag, Value: value}})
	word := map[bool]string{false: "registered model", true: "prompt"}
	title := map[bool]string{false: "Registered Model", true: "Prompt"}
	if has != prompt {
		return mlflow.Errorf(mlflow.CodeResourceAlreadyExists, "Tried to create a %s with name '%s', but the name is already taken by a %s. "+
			"A model and a prompt cannot have the same name.", word[prompt], name, word[has])
	}
	return mlflow.Errorf(mlflow.CodeResourceAlreadyExists, "%s (name=%s) already exists.", title[prompt], name)
}

// GetRegisteredModel finds a model by its name.
func (s *Store) GetRegisteredModel(ctx context.Context, req *mlflow.RegisteredModelRequest) (*mlflow.RegisteredModelResponse, error) {
	var resp *mlflow.RegisteredModelResponse
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		id, err := findModel(tx, req.Name, "")
		if err != nil {
			return err
		}
		resp, err = modelResponse(tx, id)
		return err
	})
	return resp, err
}

// RenameRegisteredModel gives a model a new name; versions, tags and aliases follow. Its own name is no change.
func (s *Store) RenameRegisteredModel(ctx context.Context, req *mlflow.RenameRegisteredModelRequest) (*mlflow.RegisteredModelResponse, error) {
	if err := checkName("new_name", req.NewName); err != nil {
		return nil, err
	}
	taken := mlflow.Errorf(mlflow.CodeResourceAlreadyExists, "Registered Model (name=%s) already exists. Choose another name.", req.NewName)
	resp, err := s.writeModel(ctx, func(tx *sqldb.Tx) (int64, error) {
		id, err := findModel(tx, req.Name, tx.ForUpdate())
		if err != nil {
			return 0, err
		}
		switch other, err := findModel(tx, req.NewName, ""); {
		case err == nil && other != id:
			return 0, taken
		case err != nil && mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist:
			return 0, err
		}
		_, err = tx.Exec(`update registered_model set name = $1, updated_at = $2 where id = $3`, req.NewName, s.now(), id)
		if err != nil {
			return 0, err
		}
		return id, s.record(ctx, tx, entry{action: "rename", name: req.Name, detail: req.NewName})
	})
	if sqldb.IsUnique(err) { // somebody took the name in the meantime
		return nil, taken
	}
	return resp, err
}

// UpdateRegisteredModel replaces the description; an absent one clears it.
func (s *Store) UpdateRegisteredModel(ctx context.Context, req *mlflow.UpdateRegisteredModelRequest) (*mlflow.RegisteredModelResponse, error) {
	return s.writeModel(ctx, func(tx *sqldb.Tx) (int64, error) {
		id, err := findModel(tx, req.Name, tx.ForUpdate())
		if err != nil {
			return 0, err
		}
		_, err = tx.Exec(`update registered_model set description = $1, updated_at = $2 where id = $3`, req.Description, s.now(), id)
		if err != nil {
			return 0, err
		}
		return id, s.record(ctx, tx, entry{action: "update", name: req.Name})
	})
}

// DeleteRegisteredModel removes a model for good, with its versions, tags and aliases, in whatever stage they are.
func (s *Store) DeleteRegisteredModel(ctx context.Context, req *mlflow.RegisteredModelRequest) (*mlflow.Empty, error) {
	return empty, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		id, err := findModel(tx, req.Name, tx.ForUpdate())
		if err != nil {
			return err
		}
		for _, sql := range []string{
			`delete from registered_model_alias where model_id = $1`,
			`delete from model_version_tag where version_id in (select id from model_version where model_id = $1)`,
			`delete from model_version where model_id = $1`,
			`delete from registered_model_tag where model_id = $1`,
			`delete from registered_model where id = $1`,
		} {
			if _, err := tx.Exec(sql, id); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, entry{action: "delete", name: req.Name})
	})
}

// SetRegisteredModelTag sets or replaces a model's tag.
func (s *Store) SetRegisteredModelTag(ctx context.Context, req *mlflow.SetRegisteredModelTagRequest) (*mlflow.Empty, error) {
	if err := checkTag(req.Key, req.Value); err != nil {
		return nil, err
	}
	return empty, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		id, err := findModel(tx, req.Name, tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := setModelTag(tx, id, req.Key, req.Value); err != nil {
			return err
		}
		return s.record(ctx, tx, entry{action: "set_tag", name: req.Name, detail: req.Key})
	})
}

// DeleteRegisteredModelTag removes a model's tag; an absent one is no fault.
func (s *Store) DeleteRegisteredModelTag(ctx context.Context, req *mlflow.DeleteRegisteredModelTagRequest) (*mlflow.Empty, error) {
	if err := checkTag(req.Key, ""); err != nil {
		return nil, err
	}
	return empty, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		id, err := findModel(tx, req.Name, tx.ForUpdate())
		if err != nil {
			return err
		}
		n, err := tx.Exec(`delete from registered_model_tag where model_id = $1 and key = $2`, id, req.Key)
		if err != nil || n == 0 {
			return err
		}
		return s.record(ctx, tx, entry{action: "delete_tag", name: req.Name, detail: req.Key})
	})
}

func setModelTag(tx *sqldb.Tx, id int64, key, value string) error {
	_, err := tx.Exec(`
		insert into registered_model_tag (model_id, key, value) values ($1, $2, $3)
		on conflict (model_id, key) do update set value = excluded.value`, id, key, value)
	return err
}

// findModel gives a model's id; lock is tx.ForUpdate() in a write that rests on the model's state, and "" else.
func findModel(tx *sqldb.Tx, name, lock string) (int64, error) {
	var id int64
	err := tx.QueryRow(`select id from registered_model where name = $1`+lock, name).Scan(&id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return 0, modelNotFound(name)
	}
	return id, err
}

// writeModel runs a write that ends with a model, and answers with that model as the write left it.
func (s *Store) writeModel(ctx context.Context, fn func(tx *sqldb.Tx) (id int64, err error)) (*mlflow.RegisteredModelResponse, error) {
	var resp *mlflow.RegisteredModelResponse
	err := s.db.WriteOnce(ctx, sqldb.Idempotency(api.IdempotencyOf(ctx)), &resp, func(tx *sqldb.Tx) error {
		id, err := fn(tx)
		if err != nil {
			return err
		}
		resp, err = modelResponse(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func modelResponse(tx *sqldb.Tx, id int64) (*mlflow.RegisteredModelResponse, error) {
	models, err := readModels(tx, []int64{id})
	if err != nil {
		return nil, err
	}
	return &mlflow.RegisteredModelResponse{RegisteredModel: models[0]}, nil
}
