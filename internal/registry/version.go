package registry

import (
	"context"
	"errors"
	"slices"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// CreateModelVersion adds the next version of a model, in the stage None and ready.
func (s *Store) CreateModelVersion(ctx context.Context, req *mlflow.CreateModelVersionRequest) (*mlflow.ModelVersionResponse, error) {
	tags, err := checkTags(req.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkLength("run_id", req.RunID, maxRunIDLength); err != nil {
		return nil, err
	}
	return s.writeVersion(ctx, func(tx *sqldb.Tx) (int64, error) {
		if _, err := findModel(tx, req.Name, ""); err != nil {
			return 0, err
		}
		from, err := s.resolveSource(tx, req, isPrompt(tags))
		if err != nil {
			return 0, err
		}
		// Raising the counter locks the model's row, so numbers are given one after the other.
		now := s.now()
		var model, number int64
		err = tx.QueryRow(`
			update registered_model set last_version = last_version + 1, updated_at = $1 where name = $2 returning id, last_version`,
			now, req.Name).Scan(&model, &number)
		if errors.Is(err, sqldb.ErrNoRows) {
			return 0, modelNotFound(req.Name)
		}
		if err != nil {
			return 0, err
		}
		var id int64
		err = tx.QueryRow(`
			insert into model_version (model_id, version, created_at, updated_at, stage, description,
				source, storage, run_id, run_link, logged_model_id)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning id`,
			model, number, now, now, mlflow.StageNone, req.Description,
			from.source, from.storage, from.runID, req.RunLink, from.modelID).Scan(&id)
		if err != nil {
			return 0, err
		}
		for _, t := range tags {
			if err := setVersionTag(tx, id, t.Key, t.Value); err != nil {
				return 0, err
			}
		}
		if from.modelID != "" && s.o.Models != nil {
			if err := s.o.Models.LinkModelVersion(tx, from.modelID, req.Name, number); err != nil {
				return 0, err
			}
		}
		return id, s.record(ctx, tx, entry{action: "create_version", name: req.Name, version: number, detail: from.source})
	})
}

// GetModelVersion finds one version.
func (s *Store) GetModelVersion(ctx context.Context, req *mlflow.ModelVersionRequest) (*mlflow.ModelVersionResponse, error) {
	var resp *mlflow.ModelVersionResponse
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		v, err := findVersion(tx, req.Name, req.Version)
		if err != nil {
			return err
		}
		resp, err = versionResponse(tx, v.id)
		return err
	})
	return resp, err
}

// UpdateModelVersion replaces the description; an absent one removes it.
func (s *Store) UpdateModelVersion(ctx context.Context, req *mlflow.UpdateModelVersionRequest) (*mlflow.ModelVersionResponse, error) {
	return s.changeVersion(ctx, req.Name, req.Version, func(tx *sqldb.Tx, v version) error {
		var description *string
		if req.Description.Set {
			description = &req.Description.Value
		}
		_, err := tx.Exec(`update model_version set description = $1, updated_at = $2 where id = $3`, description, s.now(), v.id)
		if err != nil {
			return err
		}
		return s.record(ctx, tx, entry{action: "update_version", name: req.Name, version: v.number})
	})
}

// TransitionModelVersionStage moves a version to a stage; on request the other versions in that stage become Archived.
func (s *Store) TransitionModelVersionStage(ctx context.Context, req *mlflow.TransitionModelVersionStageRequest) (*mlflow.ModelVersionResponse, error) {
	stage, err := canonicalStage(req.Stage)
	if err != nil {
		return nil, err
	}
	if req.ArchiveExistingVersions && stage != mlflow.StageStaging && stage != mlflow.StageProduction {
		return nil, invalid("Model version transition cannot archive existing model versions because '%s' is not an Active stage. "+
			"Valid stages are ['Staging', 'Production']", req.Stage)
	}
	return s.changeVersion(ctx, req.Name, req.Version, func(tx *sqldb.Tx, v version) error {
		now := s.now()
		if req.ArchiveExistingVersions {
			others, err := readIDs(tx, `
				select version from model_version where model_id = $1 and id <> $2 and stage = $3 and deleted = 0 order by version`,
				v.model, v.id, stage)
			if err != nil {
				return err
			}
			_, err = tx.Exec(`
				update model_version set stage = $1, updated_at = $2 where model_id = $3 and id <> $4 and stage = $5 and deleted = 0`,
				mlflow.StageArchived, now, v.model, v.id, stage)
			if err != nil {
				return err
			}
			for _, other := range others {
				err := s.record(ctx, tx, entry{action: "transition_stage", name: req.Name, version: other, detail: mlflow.StageArchived})
				if err != nil {
					return err
				}
			}
		}
		if _, err := tx.Exec(`update model_version set stage = $1, updated_at = $2 where id = $3`, stage, now, v.id); err != nil {
			return err
		}
		if err := touch(tx, v.model, now); err != nil {
			return err
		}
		return s.record(ctx, tx, entry{action: "transition_stage", name: req.Name, version: v.number, detail: stage})
	})
}

// DeleteModelVersion takes a version out of sight and forgets its source; its number is not given again.
func (s *Store) DeleteModelVersion(ctx context.Context, req *mlflow.ModelVersionRequest) (*mlflow.Empty, error) {
	return empty, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		v, err := lockVersion(tx, req.Name, req.Version)
		if err != nil {
			return err
		}
		now := s.now()
		if _, err := tx.Exec(`delete from registered_model_alias where version_id = $1`, v.id); err != nil {
			return err
		}
		if _, err := tx.Exec(`delete from model_version_tag where version_id = $1`, v.id); err != nil {
			return err
		}
		_, err = tx.Exec(`
			update model_version set deleted = 1, stage = 'Deleted_Internal', updated_at = $1, description = null,
				source = 'REDACTED-SOURCE-PATH', storage = '', run_id = 'REDACTED-RUN-ID', run_link = 'REDACTED-RUN-LINK', logged_model_id = ''
			where id = $2`, now, v.id)
		if err != nil {
			return err
		}
		if err := touch(tx, v.model, now); err != nil {
			return err
		}
		return s.record(ctx, tx, entry{action: "delete_version", name: req.Name, version: v.number})
	})
}

// GetDownloadURI says where a version's files are.
func (s *Store) GetDownloadURI(ctx context.Context, req *mlflow.ModelVersionRequest) (*mlflow.GetDownloadURIResponse, error) {
	resp := &mlflow.GetDownloadURIResponse{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		v, err := findVersion(tx, req.Name, req.Version)
		resp.ArtifactURI = v.storage
		return err
	})
	return resp, err
}

// GetLatestVersions gives the highest version in each stage, or in those that are named, the highest version first.
func (s *Store) GetLatestVersions(ctx context.Context, req *mlflow.GetLatestVersionsRequest) (*mlflow.ModelVersionsResponse, error) {
	wanted := stages
	if len(req.Stages) > 0 {
		wanted = nil
		for _, stage := range req.Stages {
			canonical, err := canonicalStage(stage)
			if err != nil {
				return nil, err
			}
			wanted = append(wanted, canonical)
		}
	}
	resp := &mlflow.ModelVersionsResponse{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		model, err := findModel(tx, req.Name, "")
		if err != nil {
			return err
		}
		ids, err := latestVersions(tx, []int64{model})
		if err != nil {
			return err
		}
		versions, err := readVersions(tx, ids)
		if err != nil {
			return err
		}
		resp.ModelVersions = slices.DeleteFunc(versions, func(v mlflow.ModelVersion) bool {
			return !slices.Contains(wanted, v.CurrentStage)
		})
		return nil
	})
	return resp, err
}

// SetModelVersionTag sets or replaces a version's tag.
func (s *Store) SetModelVersionTag(ctx context.Context, req *mlflow.SetModelVersionTagRequest) (*mlflow.Empty, error) {
	if err := checkTag(req.Key, req.Value); err != nil {
		return nil, err
	}
	return empty, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		v, err := lockVersion(tx, req.Name, req.Version)
		if err != nil {
			return err
		}
		if err := setVersionTag(tx, v.id, req.Key, req.Value); err != nil {
			return err
		}
		return s.record(ctx, tx, entry{action: "set_tag", name: req.Name, version: v.number, detail: req.Key})
	})
}

// DeleteModelVersionTag removes a version's tag; an absent one is no fault.
func (s *Store) DeleteModelVersionTag(ctx context.Context, req *mlflow.DeleteModelVersionTagRequest) (*mlflow.Empty, error) {
	if err := checkTag(req.Key, ""); err != nil {
		return nil, err
	}
	return empty, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		v, err := lockVersion(tx, req.Name, req.Version)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`delete from model_version_tag where version_id = $1 and key = $2`, v.id, req.Key)
		if err != nil || n == 0 {
			return err
		}
		return s.record(ctx, tx, entry{action: "delete_tag", name: req.Name, version: v.number, detail: req.Key})
	})
}

func setVersionTag(tx *sqldb.Tx, id int64, key, value string) error {
	_, err := tx.Exec(`
		insert into model_version_tag (version_id, key, value) values ($1, $2, $3)
		on conflict (version_id, key) do update set value = excluded.value`, id, key, value)
	return err
}

// touch notes that something about a model has changed.
func touch(tx *sqldb.Tx, model, now int64) error {
	_, err := tx.Exec(`update registered_model set updated_at = $1 where id = $2`, now, model)
	return err
}

// version is what a write needs to know of a version.
type version struct {
	id, model, number int64
	storage           string
	runID             *string
	modelID           string
}

func findVersion(tx *sqldb.Tx, name, text string) (version, error) {
	number, err := parseVersion(text)
	if err != nil {
		return version{}, err
	}
	v := version{number: number}
	err = tx.QueryRow(`
		select v.id, v.model_id, v.storage, v.run_id, v.logged_model_id
		from model_version v join registered_model m on m.id = v.model_id
		where m.name = $1 and v.version = $2 and v.deleted = 0`, name, number).Scan(&v.id, &v.model, &v.storage, &v.runID, &v.modelID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return version{}, versionNotFound(name, number)
	}
	return v, err
}

// lockVersion finds a version for a write. It locks the model first, as all writes do, so that none waits for another
// in a circle.
func lockVersion(tx *sqldb.Tx, name, text string) (version, error) {
	number, err := parseVersion(text)
	if err != nil {
		return version{}, err
	}
	if _, err := findModel(tx, name, tx.ForUpdate()); mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
		return version{}, versionNotFound(name, number)
	} else if err != nil {
		return version{}, err
	}
	return findVersion(tx, name, text)
}

// changeVersion runs a write on one version and answers with the version as the write left it.
func (s *Store) changeVersion(
	ctx context.Context, name, text string, fn func(tx *sqldb.Tx, v version) error,
) (*mlflow.ModelVersionResponse, error) {
	return s.writeVersion(ctx, func(tx *sqldb.Tx) (int64, error) {
		v, err := lockVersion(tx, name, text)
		if err != nil {
			return 0, err
		}
		return v.id, fn(tx, v)
	})
}

// writeVersion runs a write that ends with a version, and answers with it.
func (s *Store) writeVersion(ctx context.Context, fn func(tx *sqldb.Tx) (id int64, err error)) (*mlflow.ModelVersionResponse, error) {
	var resp *mlflow.ModelVersionResponse
	err := s.db.WriteOnce(ctx, sqldb.Idempotency(api.IdempotencyOf(ctx)), &resp, func(tx *sqldb.Tx) error {
		id, err := fn(tx)
		if err != nil {
			return err
		}
		resp, err = versionResponse(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func versionResponse(tx *sqldb.Tx, id int64) (*mlflow.ModelVersionResponse, error) {
	versions, err := readVersions(tx, []int64{id})
	if err != nil {
		return nil, err
	}
	return &mlflow.ModelVersionResponse{ModelVersion: versions[0]}, nil
}
