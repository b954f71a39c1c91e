package tracking

import (
	"context"
	"errors"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// MatchExperiment gives the experiment here that an experiment of another store is: the one with its id, if it has its
// name or its time of creation too, or else the one with its name. ID is empty when there is none; idTaken then says that
// another experiment has its id.
func (s *Store) MatchExperiment(ctx context.Context, e mlflow.Experiment) (id string, idTaken bool, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		have, taken, err := matchExperiment(tx, e)
		id, idTaken = have.ExperimentID, taken
		return err
	})
	return id, idTaken, err
}

// matchExperiment is MatchExperiment inside a transaction; the experiment's internal id is 0 when there is none.
func matchExperiment(tx *sqldb.Tx, e mlflow.Experiment) (found experiment, idTaken bool, err error) {
	same, err := scanExperiment(tx.QueryRow(`select `+experimentColumns+` from experiment e where e.public_id = $1`, e.ExperimentID).Scan)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
	case err != nil:
		return found, false, err
	case same.Name == e.Name, same.CreationTime == e.CreationTime && e.CreationTime != 0:
		return same, false, nil
	default:
		idTaken = true
	}
	named, err := scanExperiment(tx.QueryRow(`select `+experimentColumns+` from experiment e where e.name = $1`, e.Name).Scan)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return found, idTaken, nil
	case err != nil:
		return found, false, err
	}
	return named, false, nil
}

// ImportExperiment brings in an experiment of another store, with its times, lifecycle stage and tags, and gives it as it
// is here. It keeps its id unless another experiment has that. One that is here already (see MatchExperiment) stays as it
// is, except that the default experiment, as long as nobody has used it, becomes what it was there. An empty artifact
// location is this store's default.
func (s *Store) ImportExperiment(ctx context.Context, e mlflow.Experiment) (here mlflow.Experiment, added bool, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		added = false
		have, idTaken, err := matchExperiment(tx, e)
		if err != nil {
			return err
		}
		if e.ExperimentID == "0" {
			took, err := s.takeOverDefault(tx, e)
			if err != nil {
				return err
			}
			if took {
				added = true
				have, err = findExperiment(tx, "0", false)
				here = have.Experiment
				return err
			}
		}
		if have.id != 0 {
			here = have.Experiment
			return nil
		}
		if idTaken || e.ExperimentID == "" {
			if e.ExperimentID, err = nextExperimentID(tx); err != nil {
				return err
			}
		}
		location := s.importedLocation(e)
		var id int64
		err = tx.QueryRow(`
			insert into experiment (public_id, name, artifact_location, deleted, created_at, updated_at)
			values ($1, $2, $3, $4, $5, $6) returning id`,
			e.ExperimentID, e.Name, location, e.LifecycleStage == mlflow.StageDeleted, e.CreationTime, e.LastUpdateTime).Scan(&id)
		if err != nil {
			return err
		}
		for _, t := range e.Tags {
			if err := setExperimentTag(tx, id, t.Key, t.Value); err != nil {
				return err
			}
		}
		added, here = true, e
		here.ArtifactLocation = location
		return nil
	})
	return here, added, err
}

func (s *Store) importedLocation(e mlflow.Experiment) string {
	if e.ArtifactLocation != "" {
		return e.ArtifactLocation
	}
	return joinURI(s.o.DefaultArtifactRoot, e.ExperimentID)
}

// takeOverDefault gives the default experiment the properties of another store's when it is as this store made it and
// nobody has used it. It says whether that changed anything.
func (s *Store) takeOverDefault(tx *sqldb.Tx, e mlflow.Experiment) (bool, error) {
	have, err := findExperiment(tx, "0", true)
	if err != nil {
		if isUser(err) {
			return false, nil
		}
		return false, err
	}
	location := s.importedLocation(e)
	if have.Name != "Default" || have.deleted || have.CreationTime == e.CreationTime && have.Name == e.Name {
		return false, nil
	}
	var used int
	err = tx.QueryRow(`
		select (select count(*) from (select 1 from run where exp_id = $1 limit 1) r)
			+ (select count(*) from (select 1 from logged_model where exp_id = $1 limit 1) m)
			+ (select count(*) from (select 1 from experiment_tag where exp_id = $1 limit 1) t)
			+ (select count(*) from experiment where name = $2 and id <> $1)`, have.id, e.Name).Scan(&used)
	if err != nil || used > 0 {
		return false, err
	}
	_, err = tx.Exec(`
		update experiment set name = $1, artifact_location = $2, deleted = $3, created_at = $4, updated_at = $5 where id = $6`,
		e.Name, location, e.LifecycleStage == mlflow.StageDeleted, e.CreationTime, e.LastUpdateTime, have.id)
	if err != nil {
		return false, err
	}
	for _, t := range e.Tags {
		if err := setExperimentTag(tx, have.id, t.Key, t.Value); err != nil {
			return false, err
		}
	}
	return true, nil
}
