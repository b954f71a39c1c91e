package transfer_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

// mlflowDatabase makes a database of release 2.9.2 in a new folder whose experiment "wine" has its artifacts at location, with
// more in it, and gives its path and the id of a run of that experiment.
func mlflowDatabase(t *testing.T, location string, more ...func(dir, run string) string) (path, run string) {
	t.Helper()
	statements := dumped(t, "2.9.2")
	for i := range statements {
		statements[i] = strings.ReplaceAll(statements[i], "file:///home/ada/project/files/wine", location)
	}
	path = filepath.Join(t.TempDir(), "mlflow.db")
	for id, r := range expected(t, "mlflow-2.9.2")["runs"].(object) {
		if r.(object)["name"] == "parent" {
			run = id
		}
	}
	for _, m := range more {
		statements = append(statements, m(filepath.Dir(path), run))
	}
	db := must[*sqldb.DB](t)(sqldb.OpenFile(t.Context(), path))
	fill(t, db, statements)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path, run
}

func TestArtifactsThatMLflowServedAreCopied(t *testing.T) {
	t.Parallel()
	path, id := mlflowDatabase(t, "mlflow-artifacts:/1")
	writeFile(t, filepath.Join(filepath.Dir(path), "mlartifacts", "1", id, "artifacts", "model", "MLmodel"), "served\n")
	w := newWorld(t, openLite(t), t.TempDir())
	if report := w.run(openDatabase(t, "sqlite:///"+path)); report.Files.Added != 1 {
		t.Errorf("%d files copied, want 1", report.Files.Added)
	}
	if got := w.read("1/" + id + "/artifacts/model/MLmodel"); got != "served\n" {
		t.Errorf("MLmodel: %q", got)
	}
	if got := w.runNamed("parent").Info.ArtifactURI; got != "mlflow-artifacts:/1/"+id+"/artifacts" {
		t.Errorf("artifact uri %s", got)
	}
	diff(t, expected(t, "mlflow-2.9.2"), w.dump())
}

// A relative location means the folder in which Python was started: that of the database, or that of the import.
func TestRelativeLocationsAreFound(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"beside the database", "in the working directory"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			path, id := mlflowDatabase(t, "./mlruns/1")
			dir := filepath.Dir(path)
			work := t.TempDir()
			if where != "beside the database" {
				dir = work
			}
			writeFile(t, filepath.Join(dir, "mlruns", "1", id, "artifacts", "note.txt"), "here\n")
			src := must[*transfer.Database](t)(transfer.OpenDatabase(t.Context(), "sqlite:///"+path, "", work))
			defer src.Close()
			w := newWorld(t, openLite(t), t.TempDir())
			w.run(src)
			if got := w.read("1/" + id + "/artifacts/note.txt"); got != "here\n" {
				t.Errorf("note.txt: %q", got)
			}
		})
	}
}

func TestFoldersOfArtifactsThatAreNotHereAreNamed(t *testing.T) {
	t.Parallel()
	gone := filepath.ToSlash(filepath.Join(t.TempDir(), "not", "here"))
	path, _ := mlflowDatabase(t, gone+"/wine")
	report := newWorld(t, openLite(t), t.TempDir()).run(openDatabase(t, "sqlite:///"+path))
	want := fmt.Sprintf("there is no folder %s here: artifacts that", filepath.FromSlash(gone))
	for _, note := range report.Notes {
		if strings.HasPrefix(note, want) {
			return
		}
	}
	t.Errorf("no note begins %q: %q", want, report.Notes)
}

// A model that was registered from a folder, without a run, has its files nowhere else.
func TestModelsThatWereRegisteredFromAFolderAreCopied(t *testing.T) {
	t.Parallel()
	version := func(number int, source func(dir, run string) string) func(dir, run string) string {
		return func(dir, run string) string {
			return fmt.Sprintf(`insert into model_versions (name, version, creation_time, current_stage, source, storage_location)
				values ('loose', %d, 5, 'None', '%s', '%[2]s')`, number, source(dir, run))
		}
	}
	path, run := mlflowDatabase(t, "./mlruns/1",
		func(string, string) string {
			return `insert into registered_models (name, creation_time) values ('loose', 5)`
		},
		version(1, func(dir, _ string) string { return dir + "/loose" }),
		version(2, func(_, run string) string { return "./mlruns/1/" + run + "/artifacts/model" }),
		version(3, func(string, string) string { return "placeholder" }))
	dir := filepath.Dir(path)
	writeFile(t, filepath.Join(dir, "loose", "MLmodel"), "loose\n")
	writeFile(t, filepath.Join(dir, "mlruns", "1", run, "artifacts", "model", "MLmodel"), "of a run\n")
	w := newWorld(t, openLite(t), t.TempDir())
	src := openDatabase(t, "sqlite:///"+path)
	report := w.run(src)
	if len(report.Faults) > 0 || report.Files.Added != 2 {
		t.Errorf("%d files copied, want 2; faults %v", report.Files.Added, report.Faults)
	}
	if got := w.read("registry/loose/1/MLmodel"); got != "loose\n" {
		t.Errorf("MLmodel: %q", got)
	}
	for version, want := range map[string]string{
		"1": "mlflow-artifacts:/registry/loose/1", "2": "mlflow-artifacts:/1/" + run + "/artifacts/model", "3": "placeholder",
	} {
		v := must[*mlflow.ModelVersionResponse](t)(w.models.GetModelVersion(t.Context(), &mlflow.ModelVersionRequest{Name: "loose", Version: version}))
		if v.ModelVersion.Source != want {
			t.Errorf("source of version %s: %s, want %s", version, v.ModelVersion.Source, want)
		}
	}
	if again := w.run(src); again.Added() != 0 || again.Files.Added != 0 {
		t.Errorf("the second import changed something: %+v", again)
	}
}
