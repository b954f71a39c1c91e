package tracking

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// The limits of datasets, in characters.
const (
	maxDatasetName    = 500
	maxDatasetDigest  = 36
	maxDatasetSource  = 65535
	maxDatasetSchema  = 1048575
	maxDatasetProfile = 16777215
	maxInputTagKey    = 255
	maxInputTagValue  = 500
)

// tagDataContext is the tag of a dataset's use that says what for, such as "training".
const tagDataContext = "mlflow.data.context"

// mountInputs offers the routes of what runs read and made.
func (s *Store) mountInputs(rt *api.Router) {
	run := api.Resource{Kind: "run", Field: "run_id"}
	api.Handle(rt, "POST mlflow/runs/log-inputs", api.Edit(run), s.LogInputs)
	api.Handle(rt, "POST mlflow/runs/outputs", api.Edit(run), s.LogOutputs)
	api.Handle(rt, "POST mlflow/experiments/search-datasets", api.List("experiment"), s.SearchDatasets)
}

// use is a dataset with what a run says of its use of it.
type use struct {
	mlflow.Dataset
	context *string
	tags    string // JSON
	seq     int    // its place in the request
}

// LogInputs notes the datasets and the logged models that an active run read. What was noted before stays as it is.
func (s *Store) LogInputs(ctx context.Context, req *mlflow.LogInputsRequest) (*mlflow.Empty, error) {
	if err := validateRunID(req.RunID); err != nil {
		return nil, err
	}
	uses, err := usesOf(req.Datasets)
	if err != nil {
		return nil, err
	}
	models := make([]mlflow.ModelOutput, len(req.Models))
	for i, m := range req.Models {
		models[i] = mlflow.ModelOutput{ModelID: m.ModelID}
	}
	if err := validateModelIDs(models); err != nil {
		return nil, err
	}
	return &mlflow.Empty{}, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		r, err := lockActiveRun(tx, req.RunID)
		if err != nil {
			return err
		}
		if err := linkDatasets(tx, r, uses); err != nil {
			return err
		}
		return linkModels(tx, r, false, models)
	})
}

// LogOutputs notes the logged models that an active run made, each at a step.
func (s *Store) LogOutputs(ctx context.Context, req *mlflow.LogOutputsRequest) (*mlflow.Empty, error) {
	if err := validateModelIDs(req.Models); err != nil {
		return nil, err
	}
	return &mlflow.Empty{}, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		r, err := lockActiveRun(tx, req.RunID)
		if err != nil {
			return err
		}
		return linkModels(tx, r, true, req.Models)
	})
}

func validateModelIDs(models []mlflow.ModelOutput) error {
	for i, m := range models {
		if err := validateLength(m.ModelID, "models["+strconv.Itoa(i)+"].model_id", maxID); err != nil {
			return err
		}
	}
	return nil
}

// usesOf checks datasets and leaves the first of those with the same name and digest, sorted by them.
func usesOf(inputs []mlflow.DatasetInput) (uses []use, err error) {
	type version struct{ name, digest string }
	seen := make(map[version]bool)
	for i, in := range inputs {
		d := in.Dataset
		for _, part := range []struct {
			what, text string
			most       int
		}{
			{"name", d.Name, maxDatasetName},
			{"digest", d.Digest, maxDatasetDigest},
			{"source_type", d.SourceType, maxDatasetName},
			{"source", d.Source, maxDatasetSource},
			{"schema", d.Schema, maxDatasetSchema},
			{"profile", d.Profile, maxDatasetProfile},
		} {
			if err := validateLength(part.text, part.what, part.most); err != nil {
				return nil, err
			}
		}
		u := use{Dataset: d, seq: i}
		if u.tags, u.context, err = useTags(in.Tags); err != nil {
			return nil, err
		}
		if v := (version{d.Name, d.Digest}); !seen[v] {
			seen[v] = true
			uses = append(uses, u)
		}
	}
	// Requests that name the same new datasets make them in one order, so that they never wait for each other in a circle.
	slices.SortFunc(uses, func(a, b use) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Digest, b.Digest))
	})
	return uses, nil
}

// useTags gives tags as they are stored, each key once with its last value, and the context that they name.
func useTags(tags []mlflow.KeyValue) (text string, context *string, err error) {
	var kept []mlflow.KeyValue
	for _, t := range tags {
		if err := validateLength(t.Key, "key", maxInputTagKey); err != nil {
			return "", nil, err
		}
		if err := validateLength(t.Value, "value", maxInputTagValue); err != nil {
			return "", nil, err
		}
		if k := slices.IndexFunc(kept, func(have mlflow.KeyValue) bool { return have.Key == t.Key }); k >= 0 {
			kept[k] = t
		} else {
			kept = append(kept, t)
		}
		if t.Key == tagDataContext {
			context = &t.Value
		}
	}
	if kept == nil {
		return "", nil, nil
	}
	b, err := plainJSON(kept)
	return string(b), context, err
}

// linkDatasets notes datasets with a locked run. A dataset's first description stays, and so do the tags of its first use.
func linkDatasets(tx *sqldb.Tx, r lockedRun, uses []use) error {
	if len(uses) == 0 {
		return nil
	}
	var last int64
	if err := tx.QueryRow(`select coalesce(max(seq), 0) from run_dataset where run_id = $1`, r.id).Scan(&last); err != nil {
		return err
	}
	for _, u := range uses {
		id, err := findDataset(tx, r.exp, &u)
		if errors.Is(err, sqldb.ErrNoRows) {
			_, err = tx.Exec(`
				insert into dataset (exp_id, name, digest, source_type, source, schema, profile)
				values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
				r.exp, u.Name, u.Digest, u.SourceType, u.Source, u.Schema, u.Profile)
			if err == nil {
				id, err = findDataset(tx, r.exp, &u)
			}
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(`
			insert into run_dataset (run_id, dataset_id, seq, context, tags) values ($1, $2, $3, $4, $5) on conflict do nothing`,
			r.id, id, last+1+int64(u.seq), u.context, u.tags)
		if err != nil {
			return err
		}
	}
	return nil
}

// findDataset finds a dataset that a run is about to use; gc does not remove it before the transaction ends.
func findDataset(tx *sqldb.Tx, exp int64, u *use) (id int64, err error) {
	suffix := ""
	if tx.Dialect() == sqldb.Postgres {
		suffix = " for key share"
	}
	err = tx.QueryRow(`select id from dataset where exp_id = $1 and name = $2 and digest = $3`+suffix, exp, u.Name, u.Digest).Scan(&id)
	return id, err
}

// linkModels notes logged models with a locked run; one that is there already gets the new step.
func linkModels(tx *sqldb.Tx, r lockedRun, output bool, models []mlflow.ModelOutput) error {
	if len(models) == 0 {
		return nil
	}
	var seq int64
	if err := tx.QueryRow(`select coalesce(max(seq), 0) from run_model where run_id = $1`, r.id).Scan(&seq); err != nil {
		return err
	}
	for _, m := range models {
		seq++
		_, err := tx.Exec(`
			insert into run_model (run_id, output, model_id, seq, step) values ($1, $2, $3, $4, $5)
			on conflict (run_id, output, model_id) do update set step = excluded.step`, r.id, output, m.ModelID, seq, m.Step)
		if err != nil {
			return err
		}
	}
	return nil
}

// docDataset is a run's use of a dataset.
type docDataset struct {
	id   int64
	tags string // as in the table
}

// readInputs fills the inputs and outputs of empty documents.
func readInputs(tx *sqldb.Tx, ids []int64, docs map[int64]*document) error {
	err := queryIn(tx, `select run_id, dataset_id, tags from run_dataset where run_id `, ` order by run_id, seq`, ids, func(rows *sqldb.Rows) error {
		var id int64
		var d docDataset
		err := rows.Scan(&id, &d.id, &d.tags)
		docs[id].datasets = append(docs[id].datasets, d)
		return err
	})
	if err != nil {
		return err
	}
	return queryIn(tx, `select run_id, output, model_id, step from run_model where run_id `, ` order by run_id, seq`, ids, func(rows *sqldb.Rows) error {
		var id int64
		var output bool
		var m mlflow.ModelOutput
		err := rows.Scan(&id, &output, &m.ModelID, &m.Step)
		if d := docs[id]; output {
			d.outputs = append(d.outputs, m)
		} else {
			d.inputs = append(d.inputs, m)
		}
		return err
	})
}

// datasetsOf reads the datasets that documents name.
func datasetsOf(tx *sqldb.Tx, docs map[int64]*document) (map[int64]mlflow.Dataset, error) {
	found := make(map[int64]mlflow.Dataset)
	var ids []int64
	for _, d := range docs {
		for _, use := range d.datasets {
			if _, ok := found[use.id]; !ok {
				found[use.id] = mlflow.Dataset{}
				ids = append(ids, use.id)
			}
		}
	}
	if ids == nil {
		return nil, nil
	}
	return found, queryIn(tx, `select id, name, digest, source_type, source, schema, profile from dataset where id `, ``, ids, func(rows *sqldb.Rows) error {
		var id int64
		var d mlflow.Dataset
		err := rows.Scan(&id, &d.Name, &d.Digest, &d.SourceType, &d.Source, &d.Schema, &d.Profile)
		found[id] = d
		return err
	})
}

// addInputs puts a document's inputs and outputs into a run.
func (d *document) addInputs(r *mlflow.Run, datasets map[int64]mlflow.Dataset) error {
	for _, use := range d.datasets {
		in := mlflow.DatasetInput{Dataset: datasets[use.id]}
		if use.tags != "" {
			if err := json.Unmarshal([]byte(use.tags), &in.Tags); err != nil {
				return err
			}
		}
		r.Inputs.DatasetInputs = append(r.Inputs.DatasetInputs, in)
	}
	for _, m := range d.inputs {
		r.Inputs.ModelInputs = append(r.Inputs.ModelInputs, mlflow.ModelInput{ModelID: m.ModelID})
	}
	r.Outputs.ModelOutputs = d.outputs
	return nil
}
