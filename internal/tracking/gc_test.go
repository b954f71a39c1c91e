package tracking_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/mlflow"
)

// trees stands for an artifact store: how much each owner has there.
type trees struct {
	mu      sync.Mutex
	bytes   map[string]int64
	foreign map[string]bool // not below the root
	fail    error           // of the next removal
}

func (f *trees) MeasureTree(_ context.Context, uri, owner string) (files, bytes int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.foreign[owner] || !strings.Contains(uri, owner) {
		return 0, 0, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%s is elsewhere", uri)
	}
	if n := f.bytes[owner]; n > 0 {
		return 1, n, nil
	}
	return 0, 0, nil
}

func (f *trees) RemoveTree(ctx context.Context, uri, owner string) (files, bytes int64, err error) {
	f.mu.Lock()
	fault := f.fail
	f.fail = nil
	f.mu.Unlock()
	if fault != nil {
		return 0, 0, fault
	}
	files, bytes, err = f.MeasureTree(ctx, uri, owner)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.bytes, owner)
	return files, bytes, err
}

func (f *trees) RemoveEmpty(string) {}

// users are the model versions of runs and logged models.
type users map[string]string

func (u users) of(id string) ([]string, error) {
	if v, ok := u[id]; ok {
		return []string{v}, nil
	}
	return nil, nil
}

func (u users) VersionsOfRun(_ *sqldb.Tx, id, _ string) ([]string, error)         { return u.of(id) }
func (u users) VersionsOfLoggedModel(_ *sqldb.Tx, id, _ string) ([]string, error) { return u.of(id) }

// fullRun makes a run with a row in every table.
func (s *server) fullRun(exp string) string {
	s.t.Helper()
	id := s.run(exp)
	batch := mlflow.LogBatchRequest{RunID: id, Params: []mlflow.KeyValue{{Key: "p", Value: "1"}}, Tags: []mlflow.KeyValue{{Key: "t", Value: "1"}}}
	for i := range 600 {
		batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: "m", Value: mlflow.Float(i), Timestamp: int64(i), Step: int64(i)})
	}
	ok[empty](s, "POST", "runs/log-batch", batch)
	s.metric(id, "n", 1, 1, 1)
	ok[empty](s, "POST", "runs/log-inputs", mlflow.LogInputsRequest{RunID: id, Datasets: []mlflow.DatasetInput{
		{Dataset: mlflow.Dataset{Name: "shared", Digest: "d", SourceType: "x", Source: "{}"}},
		{Dataset: mlflow.Dataset{Name: "own", Digest: id[:8], SourceType: "x", Source: "{}"}},
	}})
	return id
}

func (s *server) fullModel(exp string) string {
	s.t.Helper()
	return ok[mlflow.LoggedModelResponse](s, "POST", "logged-models", mlflow.CreateLoggedModelRequest{
		ExperimentID: exp, Params: []mlflow.KeyValue{{Key: "a", Value: "1"}}, Tags: []mlflow.KeyValue{{Key: "b", Value: "1"}},
	}).Model.Info.ModelID
}

// rows counts the rows of the tables that belong to runs and experiments.
func rows(t *testing.T, db *sqldb.DB) map[string]int {
	t.Helper()
	n := map[string]int{}
	err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		for _, table := range []string{
			"run", "seg", "tail", "latest", "param", "tag", "run_dataset", "dataset", "run_model", "model_metric", "run_doc",
			"logged_model", "model_param", "model_tag", "experiment", "experiment_tag", "key", "doomed",
		} {
			var c int
			if err := tx.QueryRow(`select count(*) from ` + table).Scan(&c); err != nil {
				return err
			}
			if c > 0 {
				n[table] = c
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGCRemovesWhatIsDeletedWithAllItsRowsAndFilesAndNothingElse(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		exp := s.experiment("stays")
		kept := s.fullRun(exp)
		keptModel := s.fullModel(exp)
		s.get(kept) // whose document may be made
		before := rows(t, db)

		gone := s.fullRun(exp)
		foreign := s.fullRun(exp)
		goneModel := s.fullModel(exp)
		ok[empty](s, "POST", "runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"m","value":1,"timestamp":1,"step":1,"model_id":%q}`, gone, keptModel))
		ok[empty](s, "POST", "runs/outputs", mlflow.LogOutputsRequest{RunID: gone, Models: []mlflow.ModelOutput{{ModelID: keptModel}}})
		doomed := s.experiment("goes")
		ok[empty](s, "POST", "experiments/set-experiment-tag", fmt.Sprintf(`{"experiment_id":%q,"key":"k","value":"v"}`, doomed))
		inDoomed := s.fullRun(doomed)
		modelInDoomed := s.fullModel(doomed)
		files := &trees{bytes: map[string]int64{kept: 1, gone: 10, inDoomed: 100, goneModel: 1000, modelInDoomed: 10000, keptModel: 1}, foreign: map[string]bool{foreign: true}}
		for _, id := range []string{gone, foreign} {
			ok[empty](s, "POST", "runs/delete", mlflow.RunRequest{RunID: id})
		}
		ok[empty](s, "DELETE", "logged-models/"+goneModel, ``)
		ok[empty](s, "POST", "experiments/delete", mlflow.ExperimentRequest{ExperimentID: doomed})

		var said []string
		o := tracking.GCOptions{Files: files, Removed: func(kind, id string) { said = append(said, kind+" "+id) }, DryRun: true}
		full := rows(t, db)
		preview, err := s.store.CollectGarbage(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(full, rows(t, db)); diff != "" {
			t.Errorf("a dry run changed the database: %s", diff)
		}
		want := []string{"run " + gone, "run " + foreign, "run " + inDoomed, "logged model " + goneModel, "logged model " + modelInDoomed, "experiment " + doomed}
		slices.Sort(want)
		slices.Sort(said)
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("the dry run names other things: %s", diff)
		}
		said, o.DryRun = nil, false
		report, err := s.store.CollectGarbage(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(said)
		if diff := cmp.Diff(want, said); diff != "" {
			t.Error(diff)
		}
		preview.DryRun = false
		if diff := cmp.Diff(preview, report); diff != "" {
			t.Errorf("the dry run foresaw something else: %s", diff)
		}
		if report.Runs != 3 || report.LoggedModels != 2 || report.Experiments != 1 || report.Files != 4 || report.Bytes != 11110 ||
			report.Points != 3*601+1 || report.SeriesBytes < 1000 || len(report.Left) != 1 || report.Left[0].ID != foreign {
			t.Errorf("report: %+v", report)
		}
		after := rows(t, db)
		before["run_doc"], after["run_doc"] = 0, 0
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("rows are not those that were there before: %s", diff)
		}
		if diff := cmp.Diff(map[string]int64{kept: 1, keptModel: 1}, files.bytes); diff != "" {
			t.Error(diff)
		}
		if n := len(s.get(kept).Inputs.DatasetInputs); n != 2 {
			t.Errorf("the run that stays has %d datasets", n)
		}
		s.fails("GET", "runs/get", "run_id="+gone, mlflow.CodeResourceDoesNotExist)
		s.fails("POST", "runs/restore", fmt.Sprintf(`{"run_id":%q}`, gone), mlflow.CodeResourceDoesNotExist)
		s.fails("GET", "experiments/get", "experiment_id="+doomed, mlflow.CodeResourceDoesNotExist)
		if id := s.experiment("goes"); id == doomed {
			t.Errorf("id %s was given again", id)
		}
		if _, err := s.store.CollectGarbage(t.Context(), o); err != nil {
			t.Errorf("a second gc: %v", err)
		}
	})
}

func TestGCGoesOnWhereItWasBrokenOff(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		id := s.fullRun("0")
		files := &trees{bytes: map[string]int64{id: 5}, fail: errors.New("the store is away")}
		ok[empty](s, "POST", "runs/delete", mlflow.RunRequest{RunID: id})
		o := tracking.GCOptions{Files: files}
		if _, err := s.store.CollectGarbage(t.Context(), o); err == nil {
			t.Fatal("the fault is not told")
		}
		s.fails("GET", "runs/get", "run_id="+id, mlflow.CodeResourceDoesNotExist)
		o.RunIDs = []string{id} // which is out of its table now
		report, err := s.store.CollectGarbage(t.Context(), o)
		if err != nil || report.Resumed != 1 || report.Runs != 1 || report.Bytes != 5 || report.Points != 601 {
			t.Errorf("the second gc: %+v, %v", report, err)
		}
		if n := rows(t, db); n["seg"]+n["tail"]+n["latest"]+n["doomed"]+n["param"] != 0 {
			t.Errorf("left: %v", n)
		}
	})
}

func TestGCRefusesWhatIsNotDeletedForLongEnoughBeforeItRemovesAnything(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		active, old, young := s.run("0"), s.run("0"), s.run("0")
		ok[empty](s, "POST", "runs/delete", mlflow.RunRequest{RunID: old})
		s.clock.Add(int64(31 * 24 * time.Hour / time.Millisecond))
		ok[empty](s, "POST", "runs/delete", mlflow.RunRequest{RunID: young})
		month := 30 * 24 * time.Hour
		for _, tc := range []struct {
			o    tracking.GCOptions
			code mlflow.ErrorCode
			text string
		}{
			{tracking.GCOptions{RunIDs: []string{old, active}}, mlflow.CodeInvalidParameterValue, "is not in `deleted` lifecycle stage"},
			{tracking.GCOptions{RunIDs: []string{old, young}, OlderThan: month}, mlflow.CodeInvalidParameterValue, "is not older than the required age"},
			{tracking.GCOptions{RunIDs: []string{old, "nope"}}, mlflow.CodeResourceDoesNotExist, "not found"},
			{tracking.GCOptions{ExperimentIDs: []string{"0"}}, mlflow.CodeInvalidParameterValue, "are not in the deleted lifecycle stage"},
			{tracking.GCOptions{LoggedModelIDs: []string{"m-1"}}, mlflow.CodeResourceDoesNotExist, "m-1"},
		} {
			tc.o.Files = &trees{}
			_, err := s.store.CollectGarbage(t.Context(), tc.o)
			if mlflow.CodeOf(err) != tc.code || !strings.Contains(fmt.Sprint(err), tc.text) {
				t.Errorf("%+v: %v", tc.o, err)
			}
		}
		s.get(old)
		report, err := s.store.CollectGarbage(t.Context(), tracking.GCOptions{Files: &trees{}, OlderThan: month})
		if err != nil || report.Runs != 1 {
			t.Errorf("%+v, %v", report, err)
		}
		s.fails("GET", "runs/get", "run_id="+old, mlflow.CodeResourceDoesNotExist)
		s.get(young)
	})
}

func TestGCKeepsWhatRegisteredModelsUseAndItsExperiment(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		exp := s.experiment("e")
		used, free := s.run(exp), s.run(exp)
		ok[empty](s, "POST", "experiments/delete", mlflow.ExperimentRequest{ExperimentID: exp})
		o := tracking.GCOptions{Files: &trees{}, Users: users{used: "price version 3"}, ExperimentIDs: []string{exp}}
		report, err := s.store.CollectGarbage(t.Context(), o)
		if err != nil || report.Runs != 1 || report.Experiments != 0 || len(report.Kept) != 2 || !strings.Contains(report.Kept[0].Why, "price version 3") {
			t.Errorf("%+v, %v", report, err)
		}
		s.get(used)
		s.fails("GET", "runs/get", "run_id="+free, mlflow.CodeResourceDoesNotExist)
		o.Users = nil
		if report, err = s.store.CollectGarbage(t.Context(), o); err != nil || report.Runs != 1 || report.Experiments != 1 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
