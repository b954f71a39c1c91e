package transfer_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/registry"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

// world is a whole store: the domains on one database and one artifact root.
type world struct {
	t      *testing.T
	db     *sqldb.DB
	runs   *tracking.Store
	models *registry.Store
	files  *artifact.Store
	root   string
}

func newWorld(t *testing.T, db *sqldb.DB, root string) *world {
	t.Helper()
	runs, err := tracking.New(db, tracking.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runs.Close() })
	models, err := registry.New(db, registry.Options{Runs: runs, Models: runs})
	if err != nil {
		t.Fatal(err)
	}
	files, err := artifact.New(t.Context(), db, artifact.Options{Root: root, Runs: runs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	return &world{t, db, runs, models, files, root}
}

func (w *world) target() transfer.Target {
	return transfer.Target{
		Name: "here", Experiments: w.runs, Runs: w.runs, LoggedModels: w.runs, Registry: w.models, Files: storeFiles{w.files}, Root: w.root,
	}
}

type storeFiles struct{ *artifact.Store }

func (f storeFiles) Size(ctx context.Context, path string) (int64, error) {
	file, err := f.Get(ctx, path)
	if err != nil {
		if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
			return -1, nil
		}
		return 0, err
	}
	return file.Size, file.Close()
}

func (f storeFiles) Put(ctx context.Context, path string, r io.Reader, size int64) error {
	_, err := f.Store.Put(ctx, path, r, artifact.Expect{Size: size})
	return err
}

// run imports and fails the test on an error; faults are the caller's matter.
func (w *world) run(src transfer.Source) *transfer.Report {
	w.t.Helper()
	report, err := transfer.Import(w.t.Context(), src, w.target(), transfer.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

type object = map[string]any

// dump says what the API answers, in the words of testdata/make.py.
func (w *world) dump() object {
	t := w.t
	t.Helper()
	ctx := t.Context()
	experiments, runs, logged, registered := object{}, object{}, object{}, object{}
	found := must[*mlflow.SearchExperimentsResponse](t)(w.runs.SearchExperiments(ctx, &mlflow.SearchExperimentsRequest{
		ViewType: mlflow.All, MaxResults: mlflow.Some(int64(1000)),
	}))
	var ids, active []string
	for _, e := range found.Experiments {
		ids = append(ids, e.ExperimentID)
		if e.LifecycleStage == mlflow.StageActive {
			active = append(active, e.ExperimentID)
		}
		experiments[e.ExperimentID] = object{
			"name": e.Name, "stage": e.LifecycleStage, "created": e.CreationTime, "updated": e.LastUpdateTime, "tags": values(e.Tags),
		}
	}
	all := must[*mlflow.SearchRunsResponse](t)(w.runs.SearchRuns(ctx, &mlflow.SearchRunsRequest{ExperimentIDs: ids, RunViewType: mlflow.All}))
	for _, r := range all.Runs {
		runs[r.Info.RunID] = w.dumpRun(ctx, r)
	}
	if len(active) > 0 {
		models := must[*mlflow.SearchLoggedModelsResponse](t)(w.runs.SearchLoggedModels(ctx, &mlflow.SearchLoggedModelsRequest{ExperimentIDs: active}))
		for _, m := range models.Models {
			points := []any{}
			for _, p := range m.Data.Metrics {
				points = append(points, []any{p.Key, p.Timestamp, p.Step, bits(p.Value), p.RunID, p.DatasetName, p.DatasetDigest})
			}
			sortJSON(points)
			logged[m.Info.ModelID] = object{
				"name": m.Info.Name, "experiment": m.Info.ExperimentID, "type": m.Info.ModelType, "run": m.Info.SourceRunID,
				"status": strings.TrimPrefix(string(m.Info.Status), "LOGGED_MODEL_"), "created": m.Info.CreationTimestamp,
				"updated": m.Info.LastUpdatedTimestamp, "params": values(m.Data.Params), "tags": values(m.Info.Tags), "metrics": points,
			}
		}
	}
	names := must[*mlflow.SearchRegisteredModelsResponse](t)(w.models.SearchRegisteredModels(ctx, &mlflow.SearchRegisteredModelsRequest{}))
	for _, m := range names.RegisteredModels {
		aliases, versions := object{}, object{}
		for _, a := range m.Aliases {
			aliases[a.Alias] = a.Version
		}
		list := must[*mlflow.ModelVersionsResponse](t)(w.models.SearchModelVersions(ctx, &mlflow.SearchModelVersionsRequest{Filter: "name='" + m.Name + "'"}))
		for _, v := range list.ModelVersions {
			slices.Sort(v.Aliases)
			versions[v.Version] = object{
				"created": v.CreationTimestamp, "updated": v.LastUpdatedTimestamp, "stage": v.CurrentStage, "description": v.Description.Value,
				"run": v.RunID.Value, "status": v.Status, "tags": values(v.Tags), "aliases": append([]string{}, v.Aliases...),
			}
		}
		registered[m.Name] = object{
			"created": m.CreationTimestamp, "updated": m.LastUpdatedTimestamp, "description": m.Description, "tags": values(m.Tags),
			"aliases": aliases, "versions": versions,
		}
	}
	return plain(t, object{"experiments": experiments, "runs": runs, "logged_models": logged, "registered_models": registered})
}

func (w *world) dumpRun(ctx context.Context, r mlflow.Run) object {
	var end any
	if r.Info.EndTime != 0 {
		end = r.Info.EndTime
	}
	latest, metrics := object{}, object{}
	for _, m := range r.Data.Metrics {
		latest[m.Key] = bits(m.Value)
		points := []any{}
		for _, p := range w.history(r.Info.RunID, m.Key) {
			points = append(points, []any{p.Timestamp, p.Step, bits(p.Value)})
		}
		sortJSON(points)
		metrics[m.Key] = points
	}
	datasets, read, made := []any{}, []any{}, []any{}
	for _, d := range r.Inputs.DatasetInputs {
		s := d.Dataset
		datasets = append(datasets, []any{s.Name, s.Digest, s.SourceType, s.Source, s.Schema, s.Profile, values(d.Tags)})
	}
	for _, m := range r.Inputs.ModelInputs {
		read = append(read, m.ModelID)
	}
	for _, m := range r.Outputs.ModelOutputs {
		made = append(made, []any{m.ModelID, m.Step})
	}
	return object{
		"name": r.Info.RunName, "experiment": r.Info.ExperimentID, "user": r.Info.UserID, "status": r.Info.Status, "start": r.Info.StartTime,
		"end": end, "stage": r.Info.LifecycleStage, "params": values(r.Data.Params), "tags": values(r.Data.Tags), "latest": latest,
		"metrics": metrics, "datasets": datasets, "models_read": read, "models_made": made,
	}
}

// history asks the route for a metric's points, in the order of the answer.
func (w *world) history(runID, key string) []mlflow.Metric {
	w.t.Helper()
	rt := &api.Router{}
	w.runs.Mount(rt)
	rec := httptest.NewRecorder()
	query := url.Values{"run_id": {runID}, "metric_key": {key}}
	rt.ServeHTTP(rec, httptest.NewRequest("GET", "/api/2.0/mlflow/metrics/get-history?"+query.Encode(), nil))
	var answer mlflow.GetMetricHistoryResponse
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 {
		w.t.Fatalf("history of %s: %d %v", key, rec.Code, err)
	}
	return answer.Metrics
}

func values(list []mlflow.KeyValue) object {
	o := object{}
	for _, kv := range list {
		o[kv.Key] = kv.Value
	}
	return o
}

func bits(v mlflow.Float) string {
	if math.IsNaN(float64(v)) {
		return "nan"
	}
	return fmt.Sprintf("%016x", math.Float64bits(float64(v)))
}

// sortJSON sorts as Python sorts lists.
func sortJSON(list []any) {
	slices.SortFunc(list, func(a, b any) int {
		x, y := a.([]any), b.([]any)
		for i := range x {
			c := 0
			switch v := x[i].(type) {
			case int64:
				c = cmp.Compare(v, y[i].(int64))
			case string:
				c = cmp.Compare(v, y[i].(string))
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

// plain gives v as JSON reads it back.
func plain(t *testing.T, v any) object {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, data)
}

func decode(t *testing.T, data []byte) (o object) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

// expected reads what Python said of a store.
func expected(t *testing.T, name string) object {
	t.Helper()
	return decode(t, must[[]byte](t)(os.ReadFile(filepath.Join("testdata", name+".json"))))
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
