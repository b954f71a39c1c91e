package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// What a deleted version has in the tables, here as in MLflow.
const (
	stageDeleted   = "Deleted_Internal"
	redactedSource = "REDACTED-SOURCE-PATH"
	redactedRun    = "REDACTED-RUN-ID"
	redactedLink   = "REDACTED-RUN-LINK"
)

// ErrDiffers says that a version which an import brings is here already, made at another time.
var ErrDiffers = errors.New("another version has this number")

// HasModelVersion says whether a model has a version with this number, deleted or not.
func (s *Store) HasModelVersion(ctx context.Context, name string, number int64) (has bool, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		var n int
		err := tx.QueryRow(`
			select count(*) from model_version v join registered_model m on m.id = v.model_id where m.name = $1 and v.version = $2`,
			name, number).Scan(&n)
		has = n > 0
		return err
	})
	return has, err
}

// HasRegisteredModel says whether a name is taken.
func (s *Store) HasRegisteredModel(ctx context.Context, name string) (has bool, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := findModel(tx, name, "")
		has = err == nil
		if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
			err = nil
		}
		return err
	})
	return has, err
}

// ImportRegisteredModel brings in a model of another store with its times, description and tags, as they were there; one
// of that name that is here already stays as it is. Its versions come by ImportModelVersion.
func (s *Store) ImportRegisteredModel(ctx context.Context, m mlflow.RegisteredModel) (added bool, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		added = false
		var id int64
		err := tx.QueryRow(`
			insert into registered_model (name, created_at, updated_at, description)
			values ($1, $2, $3, $4) on conflict (name) do nothing returning id`,
			m.Name, m.CreationTimestamp, m.LastUpdatedTimestamp, m.Description).Scan(&id)
		if errors.Is(err, sqldb.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		added = true
		for _, t := range m.Tags {
			if err := setModelTag(tx, id, t.Key, t.Value); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, entry{action: "import", name: m.Name})
	})
	return added, err
}

// ImportModelVersion brings in a version of a model that is here, with its number, times, stage, tags and those of its
// aliases that the model does not use yet. A version that is here already stays as it is; when it was made at another
// time the error is ErrDiffers. The number is never given again, deleted versions included.
func (s *Store) ImportModelVersion(ctx context.Context, v mlflow.ModelVersion, storage, loggedModel string) (added bool, err error) {
	number, err := parseVersion(v.Version)
	if err != nil {
		return false, err
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		added = false
		model, err := findModel(tx, v.Name, tx.ForUpdate())
		if err != nil {
			return err
		}
		if v.CurrentStage == stageDeleted { // keeps its number and nothing else
			v.Source, storage, loggedModel, v.Description, v.Tags, v.Aliases = redactedSource, "", "", mlflow.Opt[string]{}, nil, nil
			v.RunID, v.RunLink = mlflow.Some(redactedRun), mlflow.Some(redactedLink)
		}
		var description, runID, runLink *string
		for _, o := range []struct {
			from mlflow.Opt[string]
			to   **string
		}{{v.Description, &description}, {v.RunID, &runID}, {v.RunLink, &runLink}} {
			if o.from.Set {
				*o.to = &o.from.Value
			}
		}
		var id int64
		err = tx.QueryRow(`
			insert into model_version (model_id, version, created_at, updated_at, stage, description,
				source, storage, run_id, run_link, logged_model_id, deleted)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (model_id, version) do nothing returning id`,
			model, number, v.CreationTimestamp, v.LastUpdatedTimestamp, v.CurrentStage, description,
			v.Source, storage, runID, runLink, loggedModel, v.CurrentStage == stageDeleted).Scan(&id)
		if errors.Is(err, sqldb.ErrNoRows) {
			return sameVersion(tx, model, number, v)
		}
		if err != nil {
			return err
		}
		added = true
		_, err = tx.Exec(`update registered_model set last_version = $1 where id = $2 and last_version < $1`, number, model)
		if err != nil {
			return err
		}
		for _, t := range v.Tags {
			if err := setVersionTag(tx, id, t.Key, t.Value); err != nil {
				return err
			}
		}
		for _, alias := range v.Aliases {
			_, err := tx.Exec(`
				insert into registered_model_alias (model_id, alias, version_id) values ($1, $2, $3) on conflict do nothing`, model, alias, id)
			if err != nil {
				return err
			}
		}
		return s.record(ctx, tx, entry{action: "import_version", name: v.Name, version: number, detail: v.Source})
	})
	return added, err
}

// sameVersion tells whether the version that has a number is the one that an import brings. A deleted one has forgotten its
// source, so its time of creation decides.
func sameVersion(tx *sqldb.Tx, model, number int64, v mlflow.ModelVersion) error {
	var created int64
	err := tx.QueryRow(`select created_at from model_version where model_id = $1 and version = $2`, model, number).Scan(&created)
	if err == nil && created != v.CreationTimestamp {
		err = fmt.Errorf("version %d of %s: %w", number, v.Name, ErrDiffers)
	}
	return err
}
