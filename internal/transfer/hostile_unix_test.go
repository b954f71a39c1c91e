//go:build unix

package transfer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A store that somebody else has made must not bring files of this machine in: neither by links, nor by naming a folder
// as that of a run's artifacts, nor by ids that are paths.
func TestAHostileTreeBringsNoOtherFilesIn(t *testing.T) {
	t.Parallel()
	const secret, id, linked = "the key", "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	home, dir, root := t.TempDir(), filepath.Join(t.TempDir(), "mlruns"), t.TempDir()
	writeFile(t, filepath.Join(home, "id_rsa"), secret)
	link := func(to string, path ...string) {
		t.Helper()
		path = append([]string{dir}, path...)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(path...)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(path...)); err != nil {
			t.Fatal(err)
		}
	}
	run := func(folder, id, uri string) {
		writeFile(t, filepath.Join(dir, "1", folder, "meta.yaml"), "run_id: "+id+"\nstatus: 3\nlifecycle_stage: active\nartifact_uri: "+uri+"\n")
	}
	writeFile(t, filepath.Join(dir, "1", "meta.yaml"), "experiment_id: '1'\nname: one\nlifecycle_stage: active\nartifact_location: "+home+"\n")
	writeFile(t, filepath.Join(dir, "2", "meta.yaml"), "experiment_id: ../../up\nname: two\nlifecycle_stage: active\n")
	writeFile(t, filepath.Join(dir, "3", "meta.yaml"), "experiment_id: '3'\nname: \"a\\0b\"\nlifecycle_stage: active\n")
	run(id, id, "file://"+home)
	run(linked, linked, "file://"+home+"/elsewhere")
	run("climbs", "../../../climbs", "mlflow-artifacts:/../../climbs")
	for _, kind := range []string{"params", "tags", "metrics"} {
		link(filepath.Join(home, "id_rsa"), "1", id, kind, "key")
	}
	link(home, "1", linked, "artifacts")
	link(home, "1", linked, "params")

	w := newWorld(t, openLite(t), root)
	report := w.run(openTree(t, dir))
	var got []string
	for _, f := range report.Faults {
		got = append(got, strings.ReplaceAll(f.Where+": "+f.Why, home, "HOME"))
	}
	const aLink = "it is a link or a device, not a file"
	diff(t, []string{
		"experiment ../../up: its id cannot be the name of a folder",
		"experiment 3: INVALID_PARAMETER_VALUE: the text \"a\\x00b\" contains the character U+0000, which cannot be stored",
		"run ../../../climbs: its id cannot be the name of a folder",
		"run " + id + ", artifact : HOME is left alone: MLflow's own folders are named …/RUN/artifacts",
		"run " + id + ", metric key: " + aLink,
		"run " + id + ", param key: " + aLink,
		"run " + id + ", tag key: " + aLink,
		"run " + linked + ", artifact : the folder is a link",
		"run " + linked + ", param .: " + aLink,
	}, got)
	if report.Runs.Added != 2 || report.Files.Added != 0 || report.Points != 0 {
		t.Errorf("report %+v", report)
	}
	for name := range hashes(t, root) {
		if filepath.Base(name) == "id_rsa" {
			t.Errorf("%s came in", name)
		}
	}
}

// The folders that MLflow makes are taken from wherever they are.
func TestFoldersOfRunsElsewhereAreTaken(t *testing.T) {
	t.Parallel()
	const id = "0123456789abcdef0123456789abcdef"
	disk, dir := t.TempDir(), filepath.Join(t.TempDir(), "mlruns")
	writeFile(t, filepath.Join(disk, "1", id, "artifacts", "model", "MLmodel"), "flavors: {}")
	writeFile(t, filepath.Join(dir, "1", "meta.yaml"), "experiment_id: '1'\nname: one\nlifecycle_stage: active\nartifact_location: "+disk+"/1\n")
	writeFile(t, filepath.Join(dir, "1", id, "meta.yaml"), "run_id: "+id+"\nstatus: 3\nlifecycle_stage: active\nartifact_uri: "+disk+"/1/"+id+"/artifacts\n")
	report := newWorld(t, openLite(t), t.TempDir()).run(openTree(t, dir))
	if len(report.Faults) > 0 || report.Files.Added != 1 {
		t.Errorf("report %+v", report)
	}
}
