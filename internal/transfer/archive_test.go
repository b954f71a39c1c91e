package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

func (f storeFiles) KeyOfURI(uri string) (string, error) { return f.KeyOfOwner(uri) }

func (f storeFiles) Open(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	file, err := f.Get(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	return file, file.Size, nil
}

func (w *world) store() transfer.Store {
	return transfer.Store{Name: "there", DB: w.db, Runs: w.runs, Registry: w.models, Files: storeFiles{w.files}}
}

// export writes an archive of the world to a file.
func (w *world) export(name string, experiments ...string) (path string, report *transfer.ExportReport) {
	w.t.Helper()
	path = filepath.Join(w.t.TempDir(), name)
	f := must[*os.File](w.t)(os.Create(path))
	defer f.Close()
	report, err := transfer.Export(w.t.Context(), w.store(), f, name, transfer.ExportOptions{
		Experiments: experiments, Program: "weir test", Now: time.UnixMilli(1800000000000),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(report.Faults) > 0 {
		w.t.Errorf("faults of the export: %v", report.Faults)
	}
	return path, report
}

func openArchive(t *testing.T, path string) *transfer.Archive {
	t.Helper()
	a := must[*transfer.Archive](t)(transfer.OpenArchive(t.Context(), path, nil))
	t.Cleanup(func() { a.Close() })
	return a
}

// everything is all that the tables hold, deleted things and what no route tells too, and every artifact.
func (w *world) everything() object {
	w.t.Helper()
	runs, logged, versions := object{}, object{}, object{}
	all := object{"api": w.dump(), "runs": runs, "logged_models": logged, "versions": versions, "files": hashes(w.t, w.root)}
	err := w.db.Read(w.t.Context(), func(tx *sqldb.Tx) error {
		experiments, err := w.runs.ExportExperiments(tx)
		if err != nil {
			return err
		}
		slices.SortFunc(experiments, func(a, b mlflow.Experiment) int { return strings.Compare(a.ExperimentID, b.ExperimentID) })
		all["experiments"] = experiments
		for _, e := range experiments {
			err := w.runs.ExportRuns(tx, e.ExperimentID, func(r *mlflow.Run, deletedAt int64, each func(func([]mlflow.Metric) error) error) error {
				var points []mlflow.Metric
				err := each(func(list []mlflow.Metric) error {
					points = append(points, list...)
					return nil
				})
				slices.SortStableFunc(points, func(a, b mlflow.Metric) int { return strings.Compare(a.Key, b.Key) })
				r.Data.Params, r.Data.Tags = sortedPairs(r.Data.Params), sortedPairs(r.Data.Tags)
				runs[r.Info.RunID] = object{"run": *r, "deleted_at": deletedAt, "points": points}
				return err
			})
			if err != nil {
				return err
			}
			err = w.runs.ExportLoggedModels(tx, e.ExperimentID, func(m *mlflow.LoggedModel, deletedAt int64) error {
				m.Data.Params, m.Info.Tags = sortedPairs(m.Data.Params), sortedPairs(m.Info.Tags)
				slices.SortFunc(m.Data.Metrics, func(a, b mlflow.Metric) int {
					return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
				})
				logged[m.Info.ModelID] = object{"model": *m, "deleted_at": deletedAt}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return w.models.ExportRegisteredModels(tx, func(m mlflow.RegisteredModel) error {
			versions[m.Name] = m
			return nil
		}, func(v mlflow.ModelVersion, storage, loggedModel string) error {
			versions[v.Name+"/"+v.Version] = object{"version": v, "storage": storage, "logged_model": loggedModel}
			return nil
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return plain(w.t, all)
}

func sortedPairs(list []mlflow.KeyValue) []mlflow.KeyValue {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b mlflow.KeyValue) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// full is a world with all that a store can hold: what Python's newest release makes, and what it cannot.
func full(t *testing.T, db *sqldb.DB) *world {
	t.Helper()
	ctx := t.Context()
	w := newWorld(t, db, t.TempDir())
	w.run(openTree(t, copyTree(t, "3.17.2", filepath.Join(t.TempDir(), "mlruns"))))

	exp := must[*mlflow.CreateExperimentResponse](t)(w.runs.CreateExperiment(ctx, &mlflow.CreateExperimentRequest{
		Name: "séries\n<b>", ArtifactLocation: "mlflow-artifacts:/own/place",
	})).ExperimentID
	run := must[*mlflow.RunResponse](t)(w.runs.CreateRun(ctx, &mlflow.CreateRunRequest{ExperimentID: exp, RunName: "long"})).Run.Info
	for at := int64(0); at < 3000; at += 1000 {
		metrics := make([]mlflow.Metric, 1000)
		for i := range metrics {
			n := at + int64(i)
			metrics[i] = mlflow.Metric{Key: "loss", Step: n, Timestamp: 1700000000000 + n*7919%100003, Value: mlflow.Float(math.Sin(float64(n)) * 1e-300)}
		}
		metrics[0].Value, metrics[1].Value, metrics[2].Value = mlflow.Float(math.NaN()), mlflow.Float(math.Inf(1)), mlflow.Float(math.Inf(-1))
		if _, err := w.runs.LogBatch(ctx, &mlflow.LogBatchRequest{RunID: run.RunID, Metrics: metrics}); err != nil {
			t.Fatal(err)
		}
	}
	for step := range int64(3) { // so many metrics of a step are stored in one piece
		metrics := make([]mlflow.Metric, 20)
		for k := range metrics {
			metrics[k] = mlflow.Metric{Key: fmt.Sprint("layer", k), Step: step, Timestamp: 1700000000000 - step, Value: mlflow.Float(math.Cos(float64(k)*7 + float64(step)))}
		}
		if _, err := w.runs.LogBatch(ctx, &mlflow.LogBatchRequest{RunID: run.RunID, Metrics: metrics}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.runs.SetTag(ctx, &mlflow.SetTagRequest{RunID: run.RunID, Key: "wide", Value: strings.Repeat("ä\\\"\u0001\u2028</script>", 400)}); err != nil {
		t.Fatal(err)
	}
	w.put("own/place/"+run.RunID+"/artifacts/odd #1 100%/é", strings.Repeat("bytes ", 100000))
	w.put("own/place/"+run.RunID+"/artifacts/empty", "")

	// Ids are text: this one came from another store, as those of 18 digits do.
	if _, _, err := w.runs.ImportExperiment(ctx, mlflow.Experiment{ExperimentID: "wine-2019/b", Name: "text", LifecycleStage: "deleted", CreationTime: 7}); err != nil {
		t.Fatal(err)
	}

	// A logged model and a version that are deleted, and a version whose files belong to neither run nor model.
	model := must[*mlflow.LoggedModelResponse](t)(w.runs.CreateLoggedModel(ctx, &mlflow.CreateLoggedModelRequest{ExperimentID: exp, Name: "gone"})).Model
	if _, err := w.runs.DeleteLoggedModel(ctx, &mlflow.LoggedModelRequest{ModelID: model.Info.ModelID}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.runs.DeleteRun(ctx, &mlflow.RunRequest{RunID: run.RunID}); err != nil {
		t.Fatal(err)
	}
	must[*mlflow.RegisteredModelResponse](t)(w.models.CreateRegisteredModel(ctx, &mlflow.CreateRegisteredModelRequest{Name: "odd 100% näme"}))
	w.put("shared/model/MLmodel", "of nobody")
	for _, number := range []string{"1", "2"} { // of a run that is gone
		v := mlflow.ModelVersion{Name: "odd 100% näme", Version: number, CreationTimestamp: 5, CurrentStage: "None", Source: "mlflow-artifacts:/shared/model"}
		must[bool](t)(w.models.ImportModelVersion(ctx, v, v.Source, ""))
	}
	if _, err := w.models.DeleteModelVersion(ctx, &mlflow.ModelVersionRequest{Name: "odd 100% näme", Version: "2"}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) put(path, content string) {
	w.t.Helper()
	if err := (storeFiles{w.files}).Put(w.t.Context(), path, strings.NewReader(content), int64(len(content))); err != nil {
		w.t.Fatal(err)
	}
}

// moved puts what an import changes on purpose as it was: the files of a version that belong to nothing else get a place of
// their own.
func moved(t *testing.T, all object) object {
	data := must[[]byte](t)(json.Marshal(all))
	text := strings.ReplaceAll(string(data), "mlflow-artifacts:/registry/odd%20100%25%20n%C3%A4me/1", "mlflow-artifacts:/shared/model")
	return decode(t, []byte(strings.ReplaceAll(text, "registry/odd%20100%25%20n%C3%A4me/1/MLmodel", "shared/model/MLmodel")))
}

func TestArchiveBringsEverythingBack(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		there := full(t, db)
		want := there.everything()
		path, report := there.export("all.tar.zst")
		if report.Runs != 6 || report.Points < 3060 || report.LoggedModels < 2 || report.ModelVersions < 3 || report.Files < 7 {
			t.Errorf("report: %+v", report)
		}
		sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { bringsBack(t, db, path, report, want) })
	})
}

func TestOtherCompressionsBringEverythingBack(t *testing.T) {
	t.Parallel()
	there := full(t, openLite(t))
	want := there.everything()
	for _, name := range []string{"all.tar.gz", "all.tar"} {
		path, report := there.export(name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bringsBack(t, openLite(t), path, report, want)
		})
	}
}

func bringsBack(t *testing.T, db *sqldb.DB, path string, report *transfer.ExportReport, want object) {
	t.Helper()
	here := newWorld(t, db, t.TempDir())
	a := openArchive(t, path)
	got := here.run(a)
	if len(got.Faults) > 0 || got.Runs.Added != report.Runs || got.Points != report.Points || got.Files.Added != report.Files {
		t.Errorf("import: %+v", got)
	}
	diff(t, want, moved(t, here.everything()))
	again := here.run(a)
	if again.Added() != 0 || again.Files.Added != 0 || len(again.Faults) > 0 {
		t.Errorf("the second import changed something: %+v", again)
	}
	diff(t, want, moved(t, here.everything()))
}

func TestArchiveOfSomeExperiments(t *testing.T) {
	t.Parallel()
	there := full(t, openLite(t))
	path, report := there.export("some.tar.zst", "wine quality")
	if report.Experiments != 1 || report.Runs != 3 || report.RegisteredModels != 1 || report.Files != 3 {
		t.Errorf("report: %+v", report)
	}
	here := newWorld(t, openLite(t), t.TempDir())
	if got := here.run(openArchive(t, path)); len(got.Faults) > 0 {
		t.Errorf("faults: %v", got.Faults)
	}
	if _, ok := here.dump()["registered_models"].(object)["wine"]; !ok {
		t.Error("the model that was made from the experiment is not there")
	}
	_, err := transfer.Export(t.Context(), there.store(), io.Discard, "x.tar", transfer.ExportOptions{Experiments: []string{"none"}})
	if err == nil || !strings.Contains(err.Error(), `no experiment with the id or name "none"`) {
		t.Errorf("an unknown experiment: %v", err)
	}
}

// An experiment of another name has the id: runs go to a new one, and their files along with them.
func TestArchiveIntoAStoreThatIsNotEmpty(t *testing.T) {
	t.Parallel()
	there := full(t, openLite(t))
	path, _ := there.export("all.tar.zst")
	here := newWorld(t, openLite(t), t.TempDir())
	must[*mlflow.CreateExperimentResponse](t)(here.runs.CreateExperiment(t.Context(), &mlflow.CreateExperimentRequest{Name: "another"}))
	got := here.run(openArchive(t, path))
	if len(got.Faults) > 0 || got.Runs.Added != 6 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "because another experiment has its own") {
		t.Errorf("%+v", got)
	}
	r := here.runNamed("long")
	key, _ := strings.CutPrefix(r.Info.ArtifactURI, "mlflow-artifacts:/")
	if got := here.read(key + "/odd #1 100%/é"); len(got) != 600000 {
		t.Errorf("%d bytes of the artifact, want 600000", len(got))
	}
}

// unpacked gives what a compressor was given.
func unpacked(name string, data []byte) []byte {
	var r io.Reader = bytes.NewReader(data)
	switch filepath.Ext(name) {
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil
		}
		r = z
	case ".zst":
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil
		}
		defer z.Close()
		r = z
	}
	all, _ := io.ReadAll(r)
	return all
}

// saysNothing tells whether a byte is the time or the system in the header of one of the parts of a .gz, which nobody reads.
func saysNothing(data []byte, at int) bool {
	header := bytes.LastIndex(data[:at], []byte{0x1f, 0x8b, 8})
	return header >= 0 && at-header >= 4 && at-header <= 9
}

func TestDamagedArchivesAreRefused(t *testing.T) {
	t.Parallel()
	there := full(t, openLite(t))
	for _, name := range []string{"all.tar.zst", "all.tar.gz", "all.tar"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _ := there.export(name)
			whole := must[[]byte](t)(os.ReadFile(path))
			refused := func(what string, data []byte, words ...string) {
				t.Helper()
				broken := filepath.Join(t.TempDir(), name)
				if err := os.WriteFile(broken, data, 0o600); err != nil {
					t.Fatal(err)
				}
				a, err := transfer.OpenArchive(t.Context(), broken, nil)
				if err == nil {
					a.Close()
					// A match of a compressor may point to an equal text elsewhere: nothing is damaged then.
					if len(data) < len(whole) || !bytes.Equal(unpacked(name, data), unpacked(name, whole)) {
						t.Errorf("%s: it is believed", what)
					}
					return
				}
				for _, word := range words {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%s: %v, want %q", what, err, word)
					}
				}
			}
			step := max(len(whole)/40, 1)
			for at := 0; at < len(whole)-1100; at += step { // behind it are just the zeros at the end
				refused(fmt.Sprintf("cut at %d of %d", at, len(whole)), whole[:at])
				for saysNothing(whole, at) {
					at++
				}
				flipped := bytes.Clone(whole)
				flipped[at] ^= 0x20
				refused(fmt.Sprintf("a bit at %d of %d", at, len(whole)), flipped)
			}
			refused("half", whole[:len(whole)/2], "it is cut short", "nothing of it is used")
			refused("nothing", nil, "not an archive of `weir export`")
			refused("text", []byte("hello"), "not an archive of `weir export`")
		})
	}
	data := must[[]byte](t)(os.ReadFile(func() string { p, _ := there.export("x.tar"); return p }()))
	damaged := bytes.Replace(data, []byte("bytes bytes"), []byte("bites bytes"), 1)
	path := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.OpenArchive(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "/odd #1 100%/é is damaged: its SHA-256 is") {
		t.Errorf("the damaged file is not named: %v", err)
	}
}

// What is written while an export runs is in it whole or not at all.
func TestExportIsOneState(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		there := newWorld(t, db, t.TempDir())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			// Each run is followed by one in the other experiment, with its id.
			for n := 0; ctx.Err() == nil; n++ {
				first, err := there.runs.CreateRun(t.Context(), &mlflow.CreateRunRequest{ExperimentID: "0", RunName: "first"})
				if err == nil {
					_, err = there.runs.LogParam(t.Context(), &mlflow.LogParamRequest{RunID: first.Run.Info.RunID, Key: "n", Value: fmt.Sprint(n)})
				}
				if err != nil {
					done <- err
					return
				}
				if n == 50 {
					close(begun)
				}
			}
			done <- nil
		}()
		<-begun
		path, report := there.export("all.tar.zst")
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		here := newWorld(t, openLite(t), t.TempDir())
		got := here.run(openArchive(t, path))
		if got.Runs.Added != report.Runs || report.Runs < 50 {
			t.Errorf("%d runs imported, %d exported", got.Runs.Added, report.Runs)
		}
		without := 0
		for _, r := range here.dump()["runs"].(object) {
			if len(r.(object)["params"].(object)) == 0 {
				without++
			}
		}
		if without > 1 {
			t.Errorf("%d runs have no param; only the last one may", without)
		}
	})
}

func TestWrongNamesOfArchives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, openLite(t), t.TempDir())
	_, err := transfer.Export(t.Context(), w.store(), io.Discard, "all.zip", transfer.ExportOptions{})
	if err == nil || !strings.Contains(err.Error(), "must end with .tar.zst, .tar.gz or .tar") {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := transfer.Export(ctx, w.store(), io.Discard, "all.tar", transfer.ExportOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled export: %v", err)
	}
}
