package tracking

import (
	"context"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// The two changes of an experiment's lifecycle, as they stand in its row until all its runs have followed.
const (
	actionDelete  = "delete"
	actionRestore = "restore"
)

// runsAtOnce is how many runs one statement deletes or restores; after each the clock is looked at.
const runsAtOnce = 200

// DeleteExperiment marks an active experiment and its runs as deleted. It answers when all runs are marked.
func (s *Store) DeleteExperiment(ctx context.Context, req *mlflow.ExperimentRequest) (*mlflow.Empty, error) {
	return &mlflow.Empty{}, s.changeExperiment(ctx, req.ExperimentID, actionDelete)
}

// RestoreExperiment makes a deleted experiment and all its runs active again, also runs that were deleted before it was.
func (s *Store) RestoreExperiment(ctx context.Context, req *mlflow.ExperimentRequest) (*mlflow.Empty, error) {
	return &mlflow.Empty{}, s.changeExperiment(ctx, req.ExperimentID, actionRestore)
}

func (s *Store) changeExperiment(ctx context.Context, publicID, action string) error {
	var id int64
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		e, err := findExperiment(tx, publicID, true)
		if err != nil {
			return err
		}
		if e.deleted == (action == actionDelete) {
			return experimentNotFound(publicID)
		}
		if action == actionRestore {
			var n int
			if err := tx.QueryRow(`select count(*) from doomed where kind = $1 and id = $2`, doomedExperiment, e.id).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				return experimentNotFound(publicID) // gc is removing it
			}
		}
		id = e.id
		now := s.now()
		_, err = tx.Exec(`update experiment set deleted = $1, updated_at = $2, pending = $3 where id = $4`, action == actionDelete, now, action, e.id)
		if err != nil {
			return err
		}
		return record(tx, now, api.ActorOf(ctx), "experiment", e.ExperimentID, action)
	})
	if err != nil {
		return err
	}
	// The experiment's own change is durable: its runs follow even when the caller goes, or at the next start.
	return s.carryOver(context.WithoutCancel(ctx), id, action)
}

type pendingExperiment struct {
	id     int64
	action string
}

func (s *Store) pendingExperiments(ctx context.Context) (list []pendingExperiment, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select id, pending from experiment where pending <> ''`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p pendingExperiment
			if err := rows.Scan(&p.id, &p.action); err != nil {
				return err
			}
			list = append(list, p)
		}
		return rows.Close()
	})
	return list, err
}

// carryOver applies an experiment's pending change to its runs, in pieces. It stops when the change was finished by
// another process or replaced by the opposite one.
func (s *Store) carryOver(ctx context.Context, id int64, action string) error {
	for more := true; more; {
		err := s.unhurried(ctx, func(tx *sqldb.Tx, late func() bool) error {
			more = true
			var pending string
			if err := tx.QueryRow(`select pending from experiment where id = $1`+tx.ForUpdate(), id).Scan(&pending); err != nil {
				return err
			}
			if pending != action {
				more = false
				return nil
			}
			for !late() {
				n, err := markRuns(tx, id, action == actionDelete, s.now())
				if err != nil {
					return err
				}
				if n < runsAtOnce {
					more = false
					_, err = tx.Exec(`update experiment set pending = '' where id = $1`, id)
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// markRuns marks some of an experiment's runs, whichever the index gives first: to ask for them in an order would sort all
// that are left, each time.
func markRuns(tx *sqldb.Tx, exp int64, deleted bool, now int64) (int64, error) {
	var at *int64
	if deleted {
		at = &now
	}
	if tx.Dialect() == sqldb.SQLite {
		return tx.Exec(`
			update run set deleted = $1, deleted_at = $2
			where id in (select id from run where exp_id = $3 and deleted = $4 limit $5)`, deleted, at, exp, !deleted, runsAtOnce)
	}
	some, err := ids(tx, `select id from run where exp_id = $1 and deleted = $2 limit $3`, exp, !deleted, runsAtOnce)
	if err != nil || len(some) == 0 {
		return 0, err
	}
	// In the order in which other writers lock runs.
	if _, err := ids(tx, `select id from run where id = any($1) order by id for update`, some); err != nil {
		return 0, err
	}
	_, err = tx.Exec(`update run set deleted = $1, deleted_at = $2 where id = any($3)`, deleted, at, some)
	return int64(len(some)), err // also those that gc took meanwhile: there may be more
}
