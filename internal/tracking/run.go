package tracking

import (
	"context"
	"errors"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// tagRunName is the tag that holds a run's name a second time.
const tagRunName = "mlflow.runName"

// run is a row of the table.
type run struct {
	id, exp int64
	deleted bool
	mlflow.RunInfo
}

const runColumns = `r.id, r.exp_id, r.uuid, r.name, r.user_id, r.status, r.start_time, r.end_time, r.artifact_uri, r.deleted, e.public_id`

func scanRun(scan func(...any) error) (r run, err error) {
	var end *int64
	var status string
	err = scan(&r.id, &r.exp, &r.RunID, &r.RunName, &r.UserID, &status, &r.StartTime, &end, &r.ArtifactURI, &r.deleted, &r.ExperimentID)
	r.RunUUID, r.Status, r.LifecycleStage = r.RunID, mlflow.RunStatus(status), stage(r.deleted)
	if end != nil {
		r.EndTime = *end
	}
	return r, err
}

func findRun(tx *sqldb.Tx, id string) (run, error) {
	r, err := scanRun(tx.QueryRow(`select `+runColumns+` from run r join experiment e on e.id = r.exp_id where r.uuid = $1`, id).Scan)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = runNotFound(id)
	}
	return r, err
}

// lockedRun is what a change needs to know of a run.
type lockedRun struct {
	id, exp int64
	deleted bool
}

// lockRun finds a run, keeps other changes of it out until the transaction ends, and drops its cached document.
func lockRun(tx *sqldb.Tx, id string) (r lockedRun, err error) {
	err = tx.QueryRow(`select id, exp_id, deleted from run where uuid = $1`+tx.ForUpdate(), id).Scan(&r.id, &r.exp, &r.deleted)
	if errors.Is(err, sqldb.ErrNoRows) {
		return r, runNotFound(id)
	}
	if err != nil {
		return r, err
	}
	_, err = tx.Exec(`delete from run_doc where run_id = $1`, r.id)
	return r, err
}

// lockActiveRun is lockRun for what a deleted run refuses.
func lockActiveRun(tx *sqldb.Tx, id string) (lockedRun, error) {
	r, err := lockRun(tx, id)
	if err == nil && r.deleted {
		err = notActive("run", id)
	}
	return r, err
}

// CreateRun starts a run in an active experiment, "0" when none is named.
func (s *Store) CreateRun(ctx context.Context, req *mlflow.CreateRunRequest) (*mlflow.RunResponse, error) {
	exp := req.ExperimentID
	if exp == "" {
		exp = "0"
	}
	name, tags, err := s.nameAndTags(req)
	if err != nil {
		return nil, err
	}
	uuid, err := s.newRunID()
	if err != nil {
		return nil, err
	}
	start := req.StartTime.Value
	if !req.StartTime.Set {
		start = s.now()
	}
	resp := &mlflow.RunResponse{}
	var keys keyIDs
	err = s.db.WriteOnce(ctx, sqldb.Idempotency(api.IdempotencyOf(ctx)), resp, func(tx *sqldb.Tx) error {
		keys = keyIDs{cache: &s.keys}
		e, err := openExperiment(tx, exp)
		if err != nil {
			return err
		}
		info := mlflow.RunInfo{
			RunID: uuid, RunUUID: uuid, RunName: name, ExperimentID: e.ExperimentID, UserID: req.UserID, Status: mlflow.RunRunning,
			StartTime: start, ArtifactURI: joinURI(e.ArtifactLocation, uuid, "artifacts"), LifecycleStage: mlflow.StageActive,
		}
		var id int64
		err = tx.QueryRow(`
			insert into run (uuid, exp_id, name, user_id, status, start_time, artifact_uri)
			values ($1, $2, $3, $4, $5, $6, $7) returning id`,
			uuid, e.id, name, req.UserID, string(info.Status), start, info.ArtifactURI).Scan(&id)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			if err := setTag(tx, &keys, lockedRun{id: id, exp: e.id}, tag); err != nil {
				return err
			}
		}
		resp.Run = mlflow.Run{Info: info, Data: mlflow.RunData{Tags: tags}}
		return nil
	})
	if err == nil {
		s.keys.add(keys.fresh)
	}
	return resp, err
}

// nameAndTags gives a new run's name and its tags, each key once, the name among them.
func (s *Store) nameAndTags(req *mlflow.CreateRunRequest) (name string, tags []mlflow.KeyValue, err error) {
	at := make(map[string]int)
	for i, tag := range req.Tags {
		if tag.Key == "" {
			return "", nil, invalid("Missing value for required parameter 'tags[%d].key'. See the API docs for more information about request parameters.", i)
		}
		if err := validateLength(tag.Key, "key", maxKey); err != nil {
			return "", nil, err
		}
		if tag.Value, err = s.cut(tag.Value, "Tag value", maxTagValue); err != nil {
			return "", nil, err
		}
		if j, ok := at[tag.Key]; ok {
			tags[j] = tag // the last one wins
			continue
		}
		at[tag.Key] = len(tags)
		tags = append(tags, tag)
	}
	name = truncate(req.RunName, maxRunName)
	if j, ok := at[tagRunName]; ok {
		tags[j].Value = truncate(tags[j].Value, maxRunName)
		switch {
		case name == "":
			name = tags[j].Value
		case name != tags[j].Value:
			return "", nil, invalid("Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='%s', mlflow.runName='%s').",
				name, tags[j].Value)
		}
	}
	if name == "" {
		if name, err = newRunName(s.o.Random); err != nil {
			return "", nil, err
		}
	}
	if j, ok := at[tagRunName]; ok {
		tags[j].Value = name
	} else {
		tags = append(tags, mlflow.KeyValue{Key: tagRunName, Value: name})
	}
	return name, tags, nil
}

// setTag sets a tag of a locked run; the run's name follows its tag.
func setTag(tx *sqldb.Tx, keys *keyIDs, r lockedRun, tag mlflow.KeyValue) error {
	if tag.Key == tagRunName {
		tag.Value = truncate(tag.Value, maxRunName)
		if _, err := tx.Exec(`update run set name = $1 where id = $2`, tag.Value, r.id); err != nil {
			return err
		}
	}
	key, err := keys.of(tx, keyRef{r.exp, kindTag, tag.Key})
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
		insert into tag (run_id, key_id, value) values ($1, $2, $3)
		on conflict (run_id, key_id) do update set value = excluded.value`, r.id, key, tag.Value)
	return err
}

// GetRun gives a run, active or deleted.
func (s *Store) GetRun(ctx context.Context, req *mlflow.RunRequest) (*mlflow.RunResponse, error) {
	resp := &mlflow.RunResponse{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		r, err := findRun(tx, req.RunID)
		if err != nil {
			return err
		}
		runs, err := s.fullRuns(tx, []run{r})
		if err == nil {
			resp.Run = runs[0]
		}
		return err
	})
	return resp, err
}

// UpdateRun changes an active run's status, end time and name, as far as they are given.
func (s *Store) UpdateRun(ctx context.Context, req *mlflow.UpdateRunRequest) (*mlflow.UpdateRunResponse, error) {
	resp := &mlflow.UpdateRunResponse{}
	var keys keyIDs
	var id int64
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		keys = keyIDs{cache: &s.keys}
		locked, err := lockActiveRun(tx, req.RunID)
		if err != nil {
			return err
		}
		id = locked.id
		if req.Status != "" {
			if _, err := tx.Exec(`update run set status = $1 where id = $2`, string(req.Status), id); err != nil {
				return err
			}
		}
		if req.EndTime.Set {
			if _, err := tx.Exec(`update run set end_time = $1 where id = $2`, req.EndTime.Value, id); err != nil {
				return err
			}
		}
		if req.RunName != "" {
			if err := setTag(tx, &keys, locked, mlflow.KeyValue{Key: tagRunName, Value: req.RunName}); err != nil {
				return err
			}
		}
		r, err := findRun(tx, req.RunID)
		resp.RunInfo = r.RunInfo
		return err
	})
	if err != nil {
		return nil, err
	}
	s.keys.add(keys.fresh)
	if resp.RunInfo.EndTime != 0 || ended(resp.RunInfo.Status) {
		s.wantDoc(id)
	}
	return resp, nil
}

func ended(status mlflow.RunStatus) bool {
	return status == mlflow.RunFinished || status == mlflow.RunFailed || status == mlflow.RunKilled
}

// DeleteRun marks a run as deleted. A deleted run stays so.
func (s *Store) DeleteRun(ctx context.Context, req *mlflow.RunRequest) (*mlflow.Empty, error) {
	return &mlflow.Empty{}, s.markRun(ctx, req.RunID, true)
}

// RestoreRun makes a deleted run active again. An active run stays so.
func (s *Store) RestoreRun(ctx context.Context, req *mlflow.RunRequest) (*mlflow.Empty, error) {
	return &mlflow.Empty{}, s.markRun(ctx, req.RunID, false)
}

func (s *Store) markRun(ctx context.Context, id string, deleted bool) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		r, err := lockRun(tx, id)
		if err != nil || r.deleted == deleted {
			return err
		}
		now := s.now()
		at, action := &now, actionDelete
		if !deleted {
			at, action = nil, actionRestore
		}
		if _, err := tx.Exec(`update run set deleted = $1, deleted_at = $2 where id = $3`, deleted, at, r.id); err != nil {
			return err
		}
		return record(tx, now, api.ActorOf(ctx), "run", id, action)
	})
}
