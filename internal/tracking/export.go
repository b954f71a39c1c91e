package tracking

import (
	"errors"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

// exportPage is how many runs or logged models an export holds at once.
const exportPage = 200

// The methods of an export read all that this store holds, deleted things too, inside the caller's transaction: what they
// give together is one state of the store. Their callbacks may use the transaction.

// ExportExperiments gives all experiments, in the order in which they came into this store.
func (s *Store) ExportExperiments(tx *sqldb.Tx) ([]mlflow.Experiment, error) {
	rows, err := tx.Query(`select ` + experimentColumns + ` from experiment e order by e.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []mlflow.Experiment
	var ids []int64
	for rows.Next() {
		e, err := scanExperiment(rows.Scan)
		if err != nil {
			return nil, err
		}
		all, ids = append(all, e.Experiment), append(ids, e.id)
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	tags, err := experimentTags(tx, ids)
	for i, id := range ids {
		all[i].Tags = tags[id]
	}
	return all, err
}

// ExportRuns calls each with every run of an experiment, its params, tags, inputs and outputs, and when it was deleted, in
// milliseconds (0 when it is not, or nobody knows). Points gives all points of its metrics, in pieces of one metric each;
// runs whose import was broken off are not whole and are left out.
func (s *Store) ExportRuns(tx *sqldb.Tx, experimentID string,
	each func(r *mlflow.Run, deletedAt int64, points func(emit func([]mlflow.Metric) error) error) error,
) error {
	e, err := findExperiment(tx, experimentID, false)
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		page, deletedAt, err := exportedRuns(tx, e.id, after)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].id
		full, _, err := s.hydrate(tx, page)
		if err != nil {
			return err
		}
		for i := range full {
			row, metrics := page[i], full[i].Data.Metrics
			full[i].Data.Metrics = nil
			points := func(emit func([]mlflow.Metric) error) error {
				for _, m := range metrics {
					if err := s.exportPoints(tx, row, m.Key, emit); err != nil {
						return err
					}
				}
				return nil
			}
			if err := each(&full[i], deletedAt[i], points); err != nil {
				return err
			}
		}
	}
}

func exportedRuns(tx *sqldb.Tx, exp, after int64) (page []run, deletedAt []int64, err error) {
	rows, err := tx.Query(`
		select coalesce(r.deleted_at, 0), `+runColumns+` from run r join experiment e on e.id = r.exp_id
		where r.exp_id = $1 and r.id > $2 and not exists (select 1 from run_import i where i.run_id = r.id)
		order by r.id limit $3`, exp, after, exportPage)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		r, err := scanRun(func(dst ...any) error { return rows.Scan(append([]any{&at}, dst...)...) })
		if err != nil {
			return nil, nil, err
		}
		page, deletedAt = append(page, r), append(deletedAt, at)
	}
	return page, deletedAt, rows.Close()
}

// exportPoints gives the history of one metric, in pieces whose memory is used again.
func (s *Store) exportPoints(tx *sqldb.Tx, r run, name string, emit func([]mlflow.Metric) error) error {
	key, ok, err := s.lookupKey(tx, keyRef{r.exp, kindMetric, name})
	if err != nil || !ok {
		return err
	}
	sources, err := historySources(tx, r.id, key, nil)
	if err != nil {
		return err
	}
	piece := make([]mlflow.Metric, 0, importBlock)
	for p, err := range series.Merge(sources, nil) {
		if err != nil {
			return err
		}
		if len(piece) == importBlock {
			if err := emit(piece); err != nil {
				return err
			}
			piece = piece[:0]
		}
		piece = append(piece, mlflow.Metric{Key: name, Value: mlflow.Float(p.Value), Timestamp: p.Time, Step: p.Step})
	}
	if len(piece) == 0 {
		return nil
	}
	return emit(piece)
}

// ExportLoggedModels calls each with every logged model of an experiment and all its points; deletedAt is 0 for one that is
// not deleted, and at least 1 for one that is.
func (s *Store) ExportLoggedModels(tx *sqldb.Tx, experimentID string, each func(m *mlflow.LoggedModel, deletedAt int64) error) error {
	e, err := findExperiment(tx, experimentID, false)
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		page, deletedAt, err := exportedModels(tx, e.id, after)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].id
		var full []mlflow.LoggedModel
		if err := s.readModels(tx, page, func(m mlflow.LoggedModel) { full = append(full, m) }); err != nil {
			return err
		}
		for i := range full {
			if err := each(&full[i], deletedAt[i]); err != nil {
				return err
			}
		}
	}
}

func exportedModels(tx *sqldb.Tx, exp, after int64) (page []model, deletedAt []int64, err error) {
	rows, err := tx.Query(`
		select coalesce(l.deleted_at, 1), `+modelColumns+`, e.public_id from logged_model l join experiment e on e.id = l.exp_id
		where l.exp_id = $1 and l.id > $2 order by l.id limit $3`, exp, after, exportPage)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		m, err := scanModel(func(dst ...any) error { return rows.Scan(append([]any{&at}, dst...)...) })
		if err != nil {
			return nil, nil, err
		}
		if !m.deleted {
			at = 0
		}
		page, deletedAt = append(page, m), append(deletedAt, at)
	}
	return page, deletedAt, rows.Close()
}

// ExperimentOf gives the experiment of a run or, if runID is empty, of a logged model; empty when there is no such thing.
func (s *Store) ExperimentOf(tx *sqldb.Tx, runID, modelID string) (experimentID string, err error) {
	table, column, id := "run", "uuid", runID
	if runID == "" {
		table, column, id = "logged_model", "public_id", modelID
	}
	err = tx.QueryRow(`select e.public_id from `+table+` x join experiment e on e.id = x.exp_id where x.`+column+` = $1`, id).Scan(&experimentID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", nil
	}
	return experimentID, err
}
