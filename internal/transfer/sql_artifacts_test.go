package transfer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/transfer"
)

// mlflowDatabase makes a database of release 2.9.2 in a new folder whose experiment "wine" has its artifacts at location, and gives
// its path and the id of a run of that experiment.
func mlflowDatabase(t *testing.T, location string) (path, run string) {
	t.Helper()
	statements := dumped(t, "2.9.2")
	for i := range statements {
		statements[i] = strings.ReplaceAll(statements[i], "file:///home/ada/project/files/wine", location)
	}
	path = filepath.Join(t.TempDir(), "mlflow.db")
	db := must[*sqldb.DB](t)(sqldb.OpenFile(t.Context(), path))
	fill(t, db, statements)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for id, r := range expected(t, "mlflow-2.9.2")["runs"].(object) {
		if r.(object)["name"] == "parent" {
			return path, id
		}
	}
	t.Fatal("no run is named parent")
	return "", ""
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
