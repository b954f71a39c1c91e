package tracking

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// experiment is a row of the table.
type experiment struct {
	id      int64
	deleted bool
	mlflow.Experiment
}

const experimentColumns = `e.id, e.public_id, e.name, e.artifact_location, e.deleted, e.created_at, e.updated_at`

func scanExperiment(scan func(...any) error) (e experiment, err error) {
	err = scan(&e.id, &e.ExperimentID, &e.Name, &e.ArtifactLocation, &e.deleted, &e.CreationTime, &e.LastUpdateTime)
	e.LifecycleStage = stage(e.deleted)
	return e, err
}

func stage(deleted bool) string {
	if deleted {
		return mlflow.StageDeleted
	}
	return mlflow.StageActive
}

// findExperiment finds an experiment by its public id, and locks it when lock is set.
func findExperiment(tx *sqldb.Tx, id string, lock bool) (experiment, error) {
	suffix := ""
	if lock {
		suffix = tx.ForUpdate()
	}
	query := `select ` + experimentColumns + ` from experiment e where e.public_id = $1` + suffix
	e, err := scanExperiment(tx.QueryRow(query, id).Scan)
	if errors.Is(err, sqldb.ErrNoRows) {
		// Ids are numbers to MLflow: 01 is 1.
		if n, nerr := strconv.ParseInt(id, 10, 64); nerr == nil && n >= 0 && strconv.FormatInt(n, 10) != id {
			e, err = scanExperiment(tx.QueryRow(query, strconv.FormatInt(n, 10)).Scan)
		}
	}
	if errors.Is(err, sqldb.ErrNoRows) {
		return e, experimentNotFound(id)
	}
	return e, err
}

// activeExperiment is findExperiment for changes, which a deleted experiment refuses.
func activeExperiment(tx *sqldb.Tx, id string) (experiment, error) {
	e, err := findExperiment(tx, id, true)
	if err == nil && e.deleted {
		err = notActive("experiment", id)
	}
	return e, err
}

func (s *Store) ensureDefault(ctx context.Context) error {
	exists := false
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		var n int
		err := tx.QueryRow(`select count(*) from experiment where public_id = '0' or name = 'Default'`).Scan(&n)
		exists = n > 0
		return err
	})
	if err != nil || exists {
		return err
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`
			insert into experiment (public_id, name, artifact_location, created_at, updated_at)
			values ('0', 'Default', $1, $2, $2) on conflict do nothing`, joinURI(s.o.DefaultArtifactRoot, "0"), s.now())
		return err
	})
}

// CreateExperiment makes an experiment whose name no other has, active or deleted.
func (s *Store) CreateExperiment(ctx context.Context, req *mlflow.CreateExperimentRequest) (*mlflow.CreateExperimentResponse, error) {
	if err := validateExperimentName(req.Name, "name"); err != nil {
		return nil, err
	}
	location := ""
	if req.ArtifactLocation != "" {
		var err error
		if location, err = s.artifactLocation(req.ArtifactLocation); err != nil {
			return nil, err
		}
	}
	for i, tag := range req.Tags {
		if err := validateExperimentTag(tag, "tags["+strconv.Itoa(i)+"]."); err != nil {
			return nil, err
		}
	}
	var resp mlflow.CreateExperimentResponse
	err := s.db.WriteOnce(ctx, sqldb.Idempotency(api.IdempotencyOf(ctx)), &resp, func(tx *sqldb.Tx) error {
		var n int
		if err := tx.QueryRow(`select count(*) from experiment where name = $1`, req.Name).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return experimentExists(req.Name)
		}
		if err := s.checkOwnPlace(tx, location); err != nil {
			return err
		}
		id, err := nextExperimentID(tx)
		if err != nil {
			return err
		}
		where := location
		if where == "" {
			where = joinURI(s.o.DefaultArtifactRoot, id)
		}
		var internal int64
		err = tx.QueryRow(`
			insert into experiment (public_id, name, artifact_location, created_at, updated_at)
			values ($1, $2, $3, $4, $4) returning id`, id, req.Name, where, s.now()).Scan(&internal)
		if sqldb.IsUnique(err) {
			return experimentExists(req.Name)
		}
		if err != nil {
			return err
		}
		for _, tag := range req.Tags {
			if err := setExperimentTag(tx, internal, tag.Key, tag.Value); err != nil {
				return err
			}
		}
		resp.ExperimentID = id
		return nil
	})
	return &resp, err
}

func experimentExists(name string) error {
	return mlflow.Errorf(mlflow.CodeResourceAlreadyExists,
		"Experiment '%s' already exists. If it is deleted, restore it. Experiment(name=%s) already exists.", name, name)
}

// nextExperimentID gives the next small decimal. Ids are never given twice, also when experiments with higher ones were
// imported in between.
func nextExperimentID(tx *sqldb.Tx) (string, error) {
	for {
		var n int64
		err := tx.QueryRow(`
			insert into counter (name, value) values ('experiment', 1)
			on conflict (name) do update set value = counter.value + 1 returning value`).Scan(&n)
		if err != nil {
			return "", err
		}
		id := strconv.FormatInt(n, 10)
		var taken int
		if err := tx.QueryRow(`select count(*) from experiment where public_id = $1`, id).Scan(&taken); err != nil {
			return "", err
		}
		if taken == 0 {
			return id, nil
		}
	}
}

func validateExperimentName(name, field string) error {
	if strings.TrimSpace(name) == "" {
		return invalid("Missing value for required parameter '%s'. See the API docs for more information about request parameters.", field)
	}
	return validateLength(name, "name", maxExperimentName)
}

func validateExperimentTag(tag mlflow.KeyValue, where string) error {
	if err := validateKey(tag.Key, where+"key", where+"key"); err != nil {
		return err
	}
	return validateLength(tag.Value, where+"value", maxExperimentTagValue)
}

func setExperimentTag(tx *sqldb.Tx, exp int64, key, value string) error {
	_, err := tx.Exec(`
		insert into experiment_tag (exp_id, name, value) values ($1, $2, $3)
		on conflict (exp_id, name) do update set value = excluded.value`, exp, key, value)
	return err
}

// experimentTags gives the tags of each experiment, sorted by key.
func experimentTags(tx *sqldb.Tx, ids []int64) (map[int64][]mlflow.KeyValue, error) {
	tags := make(map[int64][]mlflow.KeyValue)
	return tags, queryIn(tx, `select exp_id, name, value from experiment_tag where exp_id `, ` order by exp_id, name`, ids, func(rows *sqldb.Rows) error {
		var id int64
		var kv mlflow.KeyValue
		err := rows.Scan(&id, &kv.Key, &kv.Value)
		tags[id] = append(tags[id], kv)
		return err
	})
}

// queryIn runs a select whose condition is that the number between before and after is one of ids. PostgreSQL takes the
// list as one parameter; SQLite has no round trips to save, so one prepared statement runs for each id.
func queryIn(tx *sqldb.Tx, before, after string, ids []int64, each func(*sqldb.Rows) error) error {
	query := func(condition string, arg any) error {
		rows, err := tx.Query(before+condition+after, arg)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := each(rows); err != nil {
				return err
			}
		}
		return rows.Close()
	}
	if tx.Dialect() == sqldb.Postgres {
		return query(`= any($1)`, ids)
	}
	for _, id := range ids {
		if err := query(`= $1`, id); err != nil {
			return err
		}
	}
	return nil
}

// GetExperiment gives an experiment, active or deleted.
func (s *Store) GetExperiment(ctx context.Context, req *mlflow.ExperimentRequest) (*mlflow.ExperimentResponse, error) {
	return s.experiment(ctx, func(tx *sqldb.Tx) (experiment, error) { return findExperiment(tx, req.ExperimentID, false) })
}

// GetExperimentByName gives an experiment, active or deleted. One that the caller may not read does not exist for it.
func (s *Store) GetExperimentByName(ctx context.Context, req *mlflow.GetExperimentByNameRequest) (*mlflow.ExperimentResponse, error) {
	scope := api.ScopeOf(ctx, "experiment")
	return s.experiment(ctx, func(tx *sqldb.Tx) (experiment, error) {
		e, err := scanExperiment(tx.QueryRow(`select `+experimentColumns+` from experiment e where e.name = $1`, req.ExperimentName).Scan)
		if errors.Is(err, sqldb.ErrNoRows) || (err == nil && !visible(scope, e.ExperimentID)) {
			return e, notFound("Could not find experiment with name '%s'", req.ExperimentName)
		}
		return e, err
	})
}

func visible(scope api.Scope, id string) bool { return scope.All || slices.Contains(scope.IDs, id) }

func (s *Store) experiment(ctx context.Context, find func(*sqldb.Tx) (experiment, error)) (*mlflow.ExperimentResponse, error) {
	var resp mlflow.ExperimentResponse
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		e, err := find(tx)
		if err != nil {
			return err
		}
		tags, err := experimentTags(tx, []int64{e.id})
		e.Tags = tags[e.id]
		resp.Experiment = e.Experiment
		return err
	})
	return &resp, err
}

// UpdateExperiment renames an active experiment.
func (s *Store) UpdateExperiment(ctx context.Context, req *mlflow.UpdateExperimentRequest) (*mlflow.Empty, error) {
	if err := validateExperimentName(req.NewName, "new_name"); err != nil {
		return nil, err
	}
	return &mlflow.Empty{}, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		e, err := findExperiment(tx, req.ExperimentID, true)
		if err != nil {
			return err
		}
		if e.deleted {
			return invalid("Cannot rename a non-active experiment.")
		}
		var n int
		if err := tx.QueryRow(`select count(*) from experiment where name = $1 and id <> $2`, req.NewName, e.id).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return experimentExists(req.NewName)
		}
		_, err = tx.Exec(`update experiment set name = $1, updated_at = $2 where id = $3`, req.NewName, s.now(), e.id)
		if sqldb.IsUnique(err) {
			return experimentExists(req.NewName)
		}
		return err
	})
}

// SetExperimentTag sets or replaces a tag of an active experiment.
func (s *Store) SetExperimentTag(ctx context.Context, req *mlflow.SetExperimentTagRequest) (*mlflow.Empty, error) {
	if err := validateExperimentTag(mlflow.KeyValue{Key: req.Key, Value: req.Value}, ""); err != nil {
		return nil, err
	}
	return &mlflow.Empty{}, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		e, err := activeExperiment(tx, req.ExperimentID)
		if err != nil {
			return err
		}
		return setExperimentTag(tx, e.id, req.Key, req.Value)
	})
}

// DeleteExperimentTag removes a tag of an active experiment.
func (s *Store) DeleteExperimentTag(ctx context.Context, req *mlflow.DeleteExperimentTagRequest) (*mlflow.Empty, error) {
	return &mlflow.Empty{}, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		e, err := activeExperiment(tx, req.ExperimentID)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`delete from experiment_tag where exp_id = $1 and name = $2`, e.id, req.Key)
		if err == nil && n == 0 {
			return notFound("No tag with name: %s in experiment with id %s", req.Key, req.ExperimentID)
		}
		return err
	})
}
