package tracking

import (
	"context"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

const maxDatasetExperiments = 20

// SearchDatasets lists the datasets that runs of the experiments read, once for each context, at most 1,000.
func (s *Store) SearchDatasets(ctx context.Context, req *mlflow.SearchDatasetsRequest) (*mlflow.SearchDatasetsResponse, error) {
	if len(req.ExperimentIDs) == 0 {
		return nil, invalid("SearchDatasets request must specify at least one experiment_id.")
	}
	if n := len(req.ExperimentIDs); n > maxDatasetExperiments {
		return nil, invalid("SearchDatasets request cannot specify more than %d experiment_ids. Received %d experiment_ids.", maxDatasetExperiments, n)
	}
	scope := api.ScopeOf(ctx, "experiment")
	resp := &mlflow.SearchDatasetsResponse{}
	return resp, s.db.Read(ctx, func(tx *sqldb.Tx) error {
		l := modelList{s: s, tx: tx}
		if err := l.addExperiments(req.ExperimentIDs, scope); err != nil || len(l.exps) == 0 {
			return err
		}
		q := &query{tx: tx}
		rows, err := tx.Query(`
			select distinct e.public_id, d.name, d.digest, x.context
			from dataset d join run_dataset x on x.dataset_id = d.id join experiment e on e.id = d.exp_id
			where d.exp_id`+q.in(l.expIDs())+` order by e.public_id, d.name, d.digest, x.context limit 1000`, q.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var d mlflow.DatasetSummary
			var context *string
			if err := rows.Scan(&d.ExperimentID, &d.Name, &d.Digest, &context); err != nil {
				return err
			}
			if context != nil {
				d.Context = *context
			}
			resp.DatasetSummaries = append(resp.DatasetSummaries, d)
		}
		return rows.Close()
	})
}

// datasetColumns are what a filter on datasets compares.
var datasetColumns = map[string]string{"name": "d.name", "digest": "d.digest", "context": "x.context"}

// ofDataset gives the condition that a run read a dataset for which a term is true. The runs are found once, not for
// each row anew.
func (l *runList) ofDataset(q *query, t *search.Term, condition func(string) string) string {
	return "r.id in (select x.run_id from dataset d join run_dataset x on x.dataset_id = d.id where d.exp_id = " + q.arg(l.exp.id) +
		" and " + condition(datasetColumns[t.Key]) + ")"
}

// readDatasets reads what a term on datasets compares, for runs.
func (l *runList) readDatasets(t *search.Term, ids []int64, rows map[int64]*texts) error {
	at := entityKey{search.Dataset, t.Key}
	for _, id := range ids {
		delete(rows[id].texts, at) // an earlier term of the same kind
	}
	return queryIn(l.tx, `
		select x.run_id, `+datasetColumns[t.Key]+` from run_dataset x join dataset d on d.id = x.dataset_id where x.run_id `, ``, ids, func(r *sqldb.Rows) error {
		var id int64
		var text *string
		err := r.Scan(&id, &text)
		if err == nil && text != nil {
			rows[id].texts[at] = append(rows[id].texts[at], *text)
		}
		return err
	})
}
