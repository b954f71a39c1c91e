package tracking

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func TestInputsInADocumentReadBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		d := document{params: []docValue{{1, "p"}}}
		for range rapid.IntRange(0, 4).Draw(r, "datasets") {
			d.datasets = append(d.datasets, docDataset{rapid.Int64Min(0).Draw(r, "id"), rapid.String().Draw(r, "tags")})
		}
		for _, list := range []*[]mlflow.ModelOutput{&d.inputs, &d.outputs} {
			for range rapid.IntRange(0, 4).Draw(r, "n") {
				*list = append(*list, mlflow.ModelOutput{ModelID: rapid.String().Draw(r, "model"), Step: rapid.Int64().Draw(r, "step")})
			}
		}
		b := d.encode()
		got, err := decodeDocument(b)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(d, got, cmp.AllowUnexported(document{}, docValue{}, docDataset{})); diff != "" {
			r.Fatal(diff)
		}
		if cut := rapid.IntRange(0, len(b)-1).Draw(r, "cut"); cut > 0 {
			if _, err := decodeDocument(b[:cut]); err == nil {
				r.Fatalf("%d of %d bytes are a document", cut, len(b))
			}
		}
	})
}

// A document tells of inputs and outputs as the rows do, and goes when they change.
func TestTheDocumentFollowsInputsAndOutputs(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := open(t, db)
		ctx := t.Context()
		created, err := s.CreateRun(ctx, &mlflow.CreateRunRequest{})
		if err != nil {
			t.Fatal(err)
		}
		run := created.Run.Info.RunID
		get := func() mlflow.Run {
			t.Helper()
			got, err := s.GetRun(ctx, &mlflow.RunRequest{RunID: run})
			if err != nil {
				t.Fatal(err)
			}
			return got.Run
		}
		var id int64
		docs := func() (n int) {
			t.Helper()
			if err := db.Read(ctx, func(tx *sqldb.Tx) error {
				if err := tx.QueryRow(`select id from run where uuid = $1`, run).Scan(&id); err != nil {
					return err
				}
				return tx.QueryRow(`select count(*) from run_doc where run_id = $1`, id).Scan(&n)
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for name, change := range map[string]func() error{
			"log-inputs": func() error {
				_, err := s.LogInputs(ctx, &mlflow.LogInputsRequest{RunID: run, Models: []mlflow.ModelInput{{ModelID: "m-1"}}, Datasets: []mlflow.DatasetInput{{
					Tags:    []mlflow.KeyValue{{Key: "k", Value: "v"}},
					Dataset: mlflow.Dataset{Name: "d", Digest: "1", SourceType: "t", Source: "s"},
				}}})
				return err
			},
			"outputs": func() error {
				_, err := s.LogOutputs(ctx, &mlflow.LogOutputsRequest{RunID: run, Models: []mlflow.ModelOutput{{ModelID: "m-2", Step: 3}}})
				return err
			},
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			if n := docs(); n != 0 {
				t.Errorf("%s leaves %d documents", name, n)
			}
			fromRows := get()
			if err := db.Write(ctx, func(tx *sqldb.Tx) error {
				docs := map[int64]*document{id: {}}
				if err := readRows(tx, []int64{id}, docs); err != nil {
					return err
				}
				_, err := tx.Exec(`insert into run_doc (run_id, data) values ($1, $2)`, id, docs[id].encode())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(fromRows, get()); diff != "" {
				t.Errorf("after %s the document differs from the rows: %s", name, diff)
			}
			if name == "log-inputs" && len(fromRows.Inputs.DatasetInputs)+len(fromRows.Inputs.ModelInputs) != 2 ||
				name == "outputs" && len(fromRows.Outputs.ModelOutputs) != 1 {
				t.Errorf("after %s: %+v %+v", name, fromRows.Inputs, fromRows.Outputs)
			}
		}
	})
}
