package transfer_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

var releases = []string{"1.30.1", "2.9.2", "3.17.2"}

// copyTree copies a tree of testdata, so that a test may do with it what it likes.
func copyTree(t *testing.T, release, to string) string {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(filepath.Join("testdata", "tree-"+release))); err != nil {
		t.Fatal(err)
	}
	return to
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// treeOfOneRun makes a file store with a finished run in an experiment, and gives the folders of both.
func treeOfOneRun(t *testing.T) (dir, run string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "mlruns")
	const id = "0123456789abcdef0123456789abcdef"
	run = filepath.Join(dir, "1", id)
	writeFile(t, filepath.Join(dir, "1", "meta.yaml"), "experiment_id: '1'\nname: one\nlifecycle_stage: active\n")
	writeFile(t, filepath.Join(run, "meta.yaml"), "run_id: "+id+"\nstatus: 3\nlifecycle_stage: active\n")
	return dir, run
}

func openTree(t *testing.T, dir string) *transfer.Tree {
	t.Helper()
	return must[*transfer.Tree](t)(transfer.OpenTree(dir))
}

// hashes gives the digest of every file below dir.
func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		rel, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(rel)] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTreeIsWhatPythonSaysOfIt(t *testing.T) {
	t.Parallel()
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				dir := copyTree(t, release, filepath.Join(t.TempDir(), "mlruns"))
				before := hashes(t, dir)
				w := newWorld(t, db, t.TempDir())
				report := w.run(openTree(t, dir))
				if len(report.Faults) > 0 {
					t.Fatalf("faults: %v", report.Faults)
				}
				want := expected(t, "tree-"+release)
				readStep(want)
				diff(t, want, w.dump())
				if report.Runs.Added != 5 || report.Experiments.Added != 3 || report.Points != int64(48+2*len(want["logged_models"].(object))) {
					t.Errorf("report: %+v", report)
				}
				diff(t, before, hashes(t, dir))

				again := w.run(openTree(t, dir))
				if again.Added() != 0 || again.Files.Added != 0 || again.Points != 0 || again.Runs.There != 5 || len(again.Rewrites) != 0 {
					t.Errorf("the second import changed something: %+v", again)
				}
				diff(t, want, w.dump())
			})
		})
	}
}

// readStep puts right what Python reads wrong: of a point with a dataset its file store forgets the step.
func readStep(want object) {
	for _, r := range want["runs"].(object) {
		if auc, ok := r.(object)["metrics"].(object)["auc"].([]any); ok {
			auc[0].([]any)[1] = json.Number("1")
		}
	}
}

// runNamed finds a run of a tree by its name.
func (w *world) runNamed(name string) mlflow.Run {
	w.t.Helper()
	for id, r := range w.dump()["runs"].(object) {
		if r.(object)["name"] == name {
			return must[*mlflow.RunResponse](w.t)(w.runs.GetRun(w.t.Context(), &mlflow.RunRequest{RunID: id})).Run
		}
	}
	w.t.Fatalf("no run is called %q", name)
	return mlflow.Run{}
}

func (w *world) read(path string) string {
	w.t.Helper()
	f, err := w.files.Get(w.t.Context(), path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	var b strings.Builder
	if _, err := f.Seek(0, 0); err != nil {
		w.t.Fatal(err)
	}
	buf := make([]byte, f.Size)
	n, _ := f.Read(buf)
	b.Write(buf[:n])
	return b.String()
}

func TestArtifactsOfAnotherFolderAreCopied(t *testing.T) {
	t.Parallel()
	dir := copyTree(t, "3.17.2", filepath.Join(t.TempDir(), "mlruns"))
	w := newWorld(t, openLite(t), t.TempDir())
	report := w.run(openTree(t, dir))
	if report.Files.Added != 4 {
		t.Errorf("%d files copied, want 4", report.Files.Added)
	}
	r := w.runNamed("parent")
	key, ok := strings.CutPrefix(r.Info.ArtifactURI, "mlflow-artifacts:/")
	if want := r.Info.ExperimentID + "/" + r.Info.RunID + "/artifacts"; !ok || key != want {
		t.Fatalf("artifact uri %s, want it to end in %s", r.Info.ArtifactURI, want)
	}
	if got := w.read(key + "/model/MLmodel"); got != "the model\n" {
		t.Errorf("MLmodel: %q", got)
	}
	if got := w.read(key + "/odd name #1 100%.csv"); got != "a,b\n1,2\n" {
		t.Errorf("odd name: %q", got)
	}
	v := must[*mlflow.ModelVersionResponse](t)(w.models.GetModelVersion(t.Context(), &mlflow.ModelVersionRequest{Name: "wine", Version: "2"}))
	if want := r.Info.ArtifactURI + "/model"; v.ModelVersion.Source != want {
		t.Errorf("source %s, want %s", v.ModelVersion.Source, want)
	}
	four := must[*mlflow.GetDownloadURIResponse](t)(w.models.GetDownloadURI(t.Context(), &mlflow.ModelVersionRequest{Name: "wine", Version: "4"}))
	at, _ := strings.CutPrefix(four.ArtifactURI, "mlflow-artifacts:/")
	if got := w.read(at + "/MLmodel"); got != "flavors: {}\n" {
		t.Errorf("the logged model's MLmodel: %q", got)
	}
	if report.Rewrites == nil {
		t.Error("no rewritten location is named")
	}
}

func TestArtifactsBelowTheRootStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	dir := copyTree(t, "2.9.2", filepath.Join(t.TempDir(), "mlruns"))
	before := hashes(t, dir)
	w := newWorld(t, openLite(t), dir)
	if report := w.run(openTree(t, dir)); report.Files.Added != 0 {
		t.Errorf("%d files copied", report.Files.Added)
	}
	diff(t, before, hashes(t, dir))
	r := w.runNamed("parent")
	if want := "mlflow-artifacts:/" + r.Info.ExperimentID + "/" + r.Info.RunID + "/artifacts"; r.Info.ArtifactURI != want {
		t.Fatalf("artifact uri %s, want %s", r.Info.ArtifactURI, want)
	}
	if got := w.read(strings.TrimPrefix(r.Info.ArtifactURI, "mlflow-artifacts:/") + "/model/MLmodel"); got != "the model\n" {
		t.Errorf("MLmodel: %q", got)
	}
}

func TestBrokenPartsAreNamedAndSkipped(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mlruns")
	write := func(path, text string) {
		t.Helper()
		writeFile(t, filepath.Join(dir, path), text)
	}
	run := func(id string) string {
		return "artifact_uri: s3://bucket/" + id + "/artifacts\nend_time: null\nexperiment_id: 1\nlifecycle_stage: active\nrun_uuid: " + id +
			"\nname: old\nstart_time: 5\nstatus: 3\nuser_id: u\nsource_name: train.R\n"
	}
	write("1/meta.yaml", "artifact_location: s3://bucket\nexperiment_id: 1\nlifecycle_stage: active\nname: one\n")
	// A number to YAML, were it not for the quotes that PyYAML leaves out here.
	good := "12345678901234567890123456789e12"
	write("1/"+good+"/meta.yaml", run(good))
	write("1/"+good+"/metrics/two", "1000 0.5\n1001 0.25\n")
	write("1/"+good+"/metrics/bad", "1000 0.5 1\nrubbish\n1002 x 3\n1003 0.25 2\n")
	write("1/"+good+"/metrics/data", "1000 0.5 1 my data abc\n")
	write("1/"+good+"/params/nul", "a\x00b")
	write("1/"+good+"/params/ok", "yes")
	write("1/"+good+"/tags/latin", "caf\xe9")
	write("1/0000000000000000000000000000000b/meta.yaml", "status: [1\n")
	write("1/0000000000000000000000000000000c/params/p", "no meta")
	write("1/0000000000000000000000000000000d/artifacts/f", "a run of Weir's own")
	write("2/meta.yaml", "")
	write("models/m/meta.yaml", "name: m\ncreation_timestamp: 1\nlast_updated_timestamp: 2\n")
	write("models/m/version-1/meta.yaml", "name: m\nversion: 1\ncurrent_stage: None\nsource: s3://bucket/m\ncreation_timestamp: ten\n")
	write("models/m/version-2/meta.yaml", "name: m\nversion: 2\ncurrent_stage: None\nsource: s3://bucket/m\ncreation_timestamp: 10\nlast_updated_timestamp: 10\n")

	w := newWorld(t, openLite(t), t.TempDir())
	report := w.run(openTree(t, dir))
	var got []string
	for _, f := range report.Faults {
		got = append(got, f.Where+": "+f.Why)
	}
	diff(t, []string{
		"experiment 2: meta.yaml is empty",
		"run 0000000000000000000000000000000b: meta.yaml: yaml: line 1: did not find expected ',' or ']'",
		"run 0000000000000000000000000000000c: open " + filepath.Join(dir, "1/0000000000000000000000000000000c/meta.yaml") + ": no such file or directory",
		"run " + good + ", latin: its text is not UTF-8",
		"run " + good + `, metric bad: 2 lines cannot be read, the first is line 2: "rubbish" is not a point of a metric`,
		"run " + good + ", nul: its text holds the character U+0000",
		`version 1 of m: meta.yaml: creation_timestamp: "ten" is not a whole number`,
	}, replaceStat(got))
	r := must[*mlflow.RunResponse](t)(w.runs.GetRun(t.Context(), &mlflow.RunRequest{RunID: good})).Run
	if r.Info.ArtifactURI != "s3://bucket/"+good+"/artifacts" || r.Info.RunName != "old" || r.Info.Status != mlflow.RunFinished {
		t.Errorf("run %+v", r.Info)
	}
	diff(t, object{"ok": "yes"}, values(r.Data.Params))
	diff(t, object{"mlflow.source.name": "train.R"}, values(r.Data.Tags))
	if len(r.Data.Metrics) != 3 {
		t.Errorf("metrics %v", r.Data.Metrics)
	}
	if report.Runs.Added != 1 || report.Points != 5 || report.ModelVersions.Added != 1 {
		t.Errorf("report %+v", report)
	}
}

// replaceStat makes the name of the system call, which differs, always open.
func replaceStat(list []string) []string {
	for i := range list {
		list[i] = strings.Replace(list[i], ": stat ", ": open ", 1)
	}
	return list
}

func TestCollisionsFollowTheRule(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := newWorld(t, openLite(t), t.TempDir())
	create := func(name string) string {
		return must[*mlflow.CreateExperimentResponse](t)(w.runs.CreateExperiment(ctx, &mlflow.CreateExperimentRequest{Name: name})).ExperimentID
	}
	mine, twin := create("mine"), create("thrown away")
	if mine != "1" || twin != "2" {
		t.Fatal(mine, twin)
	}
	dir := filepath.Join(t.TempDir(), "mlruns")
	for id, name := range map[string]string{"1": "theirs", "77": "thrown away"} {
		runID := strings.Repeat("0", 32-len(id)) + id
		if err := os.MkdirAll(filepath.Join(dir, id, runID), 0o777); err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string]string{
			id:               "experiment_id: '" + id + "'\nname: " + name + "\nartifact_location: file:///gone/" + id + "\ncreation_time: 9\n",
			id + "/" + runID: "run_id: '" + runID + "'\nrun_name: r" + id + "\nstatus: 1\nstart_time: 1\nartifact_uri: file:///gone/" + id + "/" + runID + "/artifacts\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, path, "meta.yaml"), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	plan := must[*transfer.Report](t)(transfer.Import(ctx, openTree(t, dir), w.target(), transfer.Options{DryRun: true}))
	diff(t, []string{
		`experiment 1 "theirs": would get a new id, because another experiment has this one`,
		`experiment 77 "thrown away": its runs would go to experiment 2, which has its name`,
	}, plan.Notes)
	if n := len(w.dump()["runs"].(object)); n != 0 {
		t.Fatalf("the dry run brought in %d runs", n)
	}
	report := w.run(openTree(t, dir))
	diff(t, []string{
		`experiment 1 "theirs": has the id 3 here, because another experiment has its own`,
		`experiment 77 "thrown away": its runs are in experiment 2, which has its name`,
	}, report.Notes)
	if got := w.runNamed("r1").Info; got.ExperimentID != "3" || got.ArtifactURI != "mlflow-artifacts:/3/"+got.RunID+"/artifacts" {
		t.Errorf("r1: %+v", got)
	}
	if got := w.runNamed("r77").Info.ExperimentID; got != twin {
		t.Errorf("r77 is in experiment %s, want %s", got, twin)
	}
	if again := w.run(openTree(t, dir)); again.Added() != 0 {
		t.Errorf("the second import: %+v", again)
	}
}

// brokenOff fails after some pieces of points, as a process that is killed would.
type brokenOff struct {
	transfer.Runs
	left int
}

var errKilled = errors.New("killed")

func (b *brokenOff) ImportRun(ctx context.Context, r *mlflow.Run, deletedAt int64, points func(emit func([]mlflow.Metric) error) error) (bool, error) {
	return b.Runs.ImportRun(ctx, r, deletedAt, func(emit func([]mlflow.Metric) error) error {
		return points(func(list []mlflow.Metric) error {
			if b.left--; b.left < 0 {
				return errKilled
			}
			return emit(list)
		})
	})
}

func TestAnImportThatWasBrokenOffIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, t.TempDir())
		src := bigTree(t)
		to := w.target()
		// The first of the 200 metrics are written when the import ends.
		to.Runs = &brokenOff{w.runs, 150}
		if _, err := transfer.Import(t.Context(), openTree(t, src), to, transfer.Options{}); !errors.Is(err, errKilled) {
			t.Fatalf("error %v, want it broken off", err)
		}
		has := must[bool](t)(w.runs.HasRun(t.Context(), bigRun))
		if has {
			t.Fatal("half a run counts as whole")
		}
		report := w.run(openTree(t, src))
		if report.Runs.Added != 1 || len(report.Faults) > 0 {
			t.Fatalf("report %+v", report)
		}
		got := w.history(bigRun, "k00")
		if len(got) != bigPoints {
			t.Fatalf("%d points, want %d", len(got), bigPoints)
		}
		for i, m := range got {
			if m.Step != int64(i) || m.Value != mlflow.Float(i)/7 {
				t.Fatalf("point %d is %+v", i, m)
			}
		}
		var blocks int
		err := w.db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`select sum(n) from seg`).Scan(&blocks) })
		if err != nil || blocks != 200*bigPoints {
			t.Errorf("%d points in blocks (%v), want %d", blocks, err, 200*bigPoints)
		}
	})
}

const (
	bigRun    = "0123456789abcdef0123456789abcdef"
	bigPoints = 1000
)

// bigTree makes a tree with one run of 200 metrics of 1,000 points: more than one write brings in.
func bigTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mlruns")
	run := filepath.Join(dir, "1", bigRun)
	if err := os.MkdirAll(filepath.Join(run, "metrics"), 0o777); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		filepath.Join(dir, "1", "meta.yaml"): "experiment_id: '1'\nname: big\nartifact_location: s3://b/1\n",
		filepath.Join(run, "meta.yaml"):      "run_id: " + bigRun + "\nstatus: 3\nstart_time: 1\nartifact_uri: s3://b/1/r\n",
	}
	var lines strings.Builder
	for i := range bigPoints {
		fmt.Fprintf(&lines, "%d %v %d\n", 1000+i, float64(i)/7, i)
	}
	for i := range 200 {
		files[filepath.Join(run, "metrics", fmt.Sprintf("k%02d", i))] = lines.String()
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openLite(t *testing.T) *sqldb.DB {
	t.Helper()
	db, err := sqldb.OpenFile(t.Context(), filepath.Join(t.TempDir(), "weir.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
