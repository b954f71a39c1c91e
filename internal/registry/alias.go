package registry

import (
	"context"
	"errors"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// SetRegisteredModelAlias points an alias at a version, and moves it if it exists.
func (s *Store) SetRegisteredModelAlias(ctx context.Context, req *mlflow.SetRegisteredModelAliasRequest) (*mlflow.Empty, error) {
	if err := checkAlias(req.Alias); err != nil {
		return nil, err
	}
	return empty, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		v, err := lockVersion(tx, req.Name, req.Version)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`
			insert into registered_model_alias (model_id, alias, version_id) values ($1, $2, $3)
			on conflict (model_id, alias) do update set version_id = excluded.version_id`, v.model, req.Alias, v.id)
		if err != nil {
			return err
		}
		return s.record(ctx, tx, entry{action: "set_alias", name: req.Name, version: v.number, detail: req.Alias})
	})
}

// DeleteRegisteredModelAlias removes an alias; an absent one is no fault.
func (s *Store) DeleteRegisteredModelAlias(ctx context.Context, req *mlflow.RegisteredModelAliasRequest) (*mlflow.Empty, error) {
	if err := checkAliasName(req.Alias); err != nil {
		return nil, err
	}
	return empty, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		model, err := findModel(tx, req.Name, tx.ForUpdate())
		if err != nil {
			return err
		}
		n, err := tx.Exec(`delete from registered_model_alias where model_id = $1 and alias = $2`, model, req.Alias)
		if err != nil || n == 0 {
			return err
		}
		return s.record(ctx, tx, entry{action: "delete_alias", name: req.Name, detail: req.Alias})
	})
}

// GetModelVersionByAlias finds the version that an alias points at; "latest" is the highest version there is.
func (s *Store) GetModelVersionByAlias(ctx context.Context, req *mlflow.RegisteredModelAliasRequest) (*mlflow.ModelVersionResponse, error) {
	if err := checkAliasName(req.Alias); err != nil {
		return nil, err
	}
	var resp *mlflow.ModelVersionResponse
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		id, err := findAlias(tx, req.Name, req.Alias)
		if err != nil {
			return err
		}
		resp, err = versionResponse(tx, id)
		return err
	})
	return resp, err
}

// findAlias gives the id of the version that an alias points at.
func findAlias(tx *sqldb.Tx, name, alias string) (int64, error) {
	model, err := findModel(tx, name, "")
	if err != nil {
		return 0, err
	}
	var id int64
	if strings.EqualFold(alias, "latest") {
		err = tx.QueryRow(`select id from model_version where model_id = $1 and deleted = 0 order by version desc limit 1`, model).Scan(&id)
		if errors.Is(err, sqldb.ErrNoRows) {
			return 0, mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Latest version not found for model %s.", name)
		}
		return id, err
	}
	err = tx.QueryRow(`select version_id from registered_model_alias where model_id = $1 and alias = $2`, model, alias).Scan(&id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return 0, invalid("Registered model alias %s not found.", alias)
	}
	return id, err
}
