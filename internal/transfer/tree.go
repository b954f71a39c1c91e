package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// Tree is the file store of MLflow, the folder mlruns, as releases 1 to 3 write it.
type Tree struct{ dir string }

const (
	metaFile  = "meta.yaml"
	trashDir  = ".trash"
	modelsDir = "models" // the registry at the root; logged models in an experiment
)

// OpenTree gives the file tree at dir.
func OpenTree(dir string) (*Tree, error) {
	found, err := IsTree(dir)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%s holds no experiments as MLflow's file store writes them (no folder in it has a %s)", dir, metaFile)
	}
	return &Tree{dir: dir}, nil
}

// IsTree says whether a folder holds experiments or registered models in MLflow's file format.
func IsTree(dir string) (bool, error) {
	for _, parent := range []string{"", trashDir, modelsDir} {
		names, err := folders(filepath.Join(dir, parent))
		if err != nil && (parent == "" || !errors.Is(err, fs.ErrNotExist)) {
			return false, err
		}
		for _, name := range names {
			if isFile(filepath.Join(dir, parent, name, metaFile)) {
				return true, nil
			}
		}
	}
	return false, nil
}

// Name is the folder.
func (t *Tree) Name() string { return t.dir }

// Close does nothing: the tree has nothing open.
func (t *Tree) Close() error { return nil }

// Experiments gives the experiments of the folder and those in its trash.
func (t *Tree) Experiments(_ context.Context, faults Faults) ([]Experiment, error) {
	var all []Experiment
	for _, parent := range []string{t.dir, filepath.Join(t.dir, trashDir)} {
		names, err := folders(parent)
		if err != nil {
			if parent != t.dir {
				continue // there is no trash
			}
			return nil, err
		}
		for _, name := range names {
			if parent == t.dir && (name == modelsDir || strings.HasPrefix(name, ".")) {
				continue
			}
			dir := filepath.Join(parent, name)
			e, err := readExperiment(dir)
			switch {
			case errors.Is(err, fs.ErrNotExist) && !holdsMeta(dir):
				// Not MLflow's: a folder of artifacts, say.
			case err != nil:
				faults("experiment "+name, err)
			default:
				if parent != t.dir { // the first releases do not say so in the file
					e.LifecycleStage = mlflow.StageDeleted
				}
				e.Tags = readValues(filepath.Join(dir, "tags"), "experiment "+name+", tag ", faults)
				all = append(all, e)
			}
		}
	}
	return all, nil
}

// holdsMeta says whether a folder in dir is one of MLflow's.
func holdsMeta(dir string) bool {
	names, _ := folders(dir)
	for _, name := range names {
		if isFile(filepath.Join(dir, name, metaFile)) {
			return true
		}
	}
	return false
}

func readExperiment(dir string) (Experiment, error) {
	m, err := readMeta(dir)
	if err != nil {
		return Experiment{}, err
	}
	e := Experiment{dir: dir, Experiment: mlflow.Experiment{
		ExperimentID: m.text("experiment_id"), Name: m.text("name"), ArtifactLocation: m.text("artifact_location"),
		LifecycleStage: stageOf(m.text("lifecycle_stage")), CreationTime: m.number("creation_time"), LastUpdateTime: m.number("last_update_time"),
	}}
	if e.ExperimentID == "" {
		e.ExperimentID = filepath.Base(dir)
	}
	if e.Name == "" {
		return e, fmt.Errorf("%s names no experiment", metaFile)
	}
	return e, m.err
}

func stageOf(text string) string {
	if text == mlflow.StageDeleted {
		return text
	}
	return mlflow.StageActive
}

// reserved are the folders of an experiment that are no runs.
var reserved = map[string]bool{"tags": true, "datasets": true, "traces": true, modelsDir: true}

// Runs gives the runs of an experiment in the order of their ids.
func (t *Tree) Runs(ctx context.Context, e Experiment, faults Faults, each func(*Run) error) error {
	names, err := folders(e.dir)
	if err != nil {
		faults("experiment "+e.ExperimentID, err)
		return nil
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if reserved[name] {
			continue
		}
		dir := filepath.Join(e.dir, name)
		r, err := readRun(dir, faults)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !isFolder(filepath.Join(dir, "params")) && !isFolder(filepath.Join(dir, "metrics")):
			continue // artifacts alone
		case err != nil:
			faults("run "+name, err)
			continue
		}
		r.Info.ExperimentID = e.ExperimentID
		readRunInputs(r, dir, filepath.Join(e.dir, "datasets"), faults)
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

func readRun(dir string, faults Faults) (*Run, error) {
	m, err := readMeta(dir)
	if err != nil {
		return nil, err
	}
	r := &Run{Files: folder(filepath.Join(dir, "artifacts")), DeletedAt: m.number("deleted_time")}
	i := &r.Info
	*i = mlflow.RunInfo{
		RunID: m.first("run_id", "run_uuid"), RunName: m.first("run_name", "name"), UserID: m.text("user_id"),
		StartTime: m.number("start_time"), EndTime: m.number("end_time"),
		ArtifactURI: m.text("artifact_uri"), LifecycleStage: stageOf(m.text("lifecycle_stage")),
	}
	if i.RunID == "" {
		i.RunID = filepath.Base(dir)
	}
	i.RunUUID = i.RunID
	if i.Status, err = statusOf(m.text("status")); err != nil {
		return nil, err
	}
	if m.err != nil {
		return nil, m.err
	}
	what := "run " + i.RunID
	r.Data.Params = readValues(filepath.Join(dir, "params"), what+", param ", faults)
	r.Data.Tags = readValues(filepath.Join(dir, "tags"), what+", tag ", faults)
	addOldTags(r, m)
	for _, t := range r.Data.Tags {
		if t.Key == "mlflow.runName" && i.RunName == "" {
			i.RunName = t.Value
		}
	}
	r.Points = func(emit func([]mlflow.Metric) error) error {
		return readMetrics(filepath.Join(dir, "metrics"), what+", metric ", faults, emit)
	}
	return r, nil
}

// addOldTags makes tags of what the first releases kept in meta.yaml alone.
func addOldTags(r *Run, m meta) {
	for _, old := range []struct{ field, tag string }{
		{"source_name", "mlflow.source.name"}, {"source_version", "mlflow.source.git.commit"}, {"entry_point_name", "mlflow.project.entryPoint"},
	} {
		value := m.text(old.field)
		for _, t := range r.Data.Tags {
			if t.Key == old.tag {
				value = ""
			}
		}
		if value != "" {
			r.Data.Tags = append(r.Data.Tags, mlflow.KeyValue{Key: old.tag, Value: value})
		}
	}
}

// statusOf reads a run's status: the number of the protobuf in a file, the name in a database.
func statusOf(text string) (mlflow.RunStatus, error) {
	names := mlflow.RunStatus("").EnumNames()
	if text == "" {
		return mlflow.RunRunning, nil
	}
	if n, err := strconv.Atoi(text); err == nil && names[n] != "" {
		return mlflow.RunStatus(names[n]), nil
	}
	for _, name := range names {
		if name == text {
			return mlflow.RunStatus(name), nil
		}
	}
	return "", fmt.Errorf("%q is not the status of a run", text)
}

// readRunInputs reads which datasets and models a run read, and which models it made.
func readRunInputs(r *Run, dir, datasets string, faults Faults) {
	what := "run " + r.Info.RunID
	names, _ := folders(filepath.Join(dir, "inputs"))
	for _, name := range names {
		m, err := readMeta(filepath.Join(dir, "inputs", name))
		if err != nil {
			faults(what+", input "+name, err)
			continue
		}
		if m.text("source_type") != "DATASET" {
			r.Inputs.ModelInputs = append(r.Inputs.ModelInputs, mlflow.ModelInput{ModelID: m.text("source_id")})
			continue
		}
		d, err := readMeta(filepath.Join(datasets, filepath.Base(m.text("source_id"))))
		if err != nil {
			faults(what+", dataset "+m.text("source_id"), err)
			continue
		}
		r.Inputs.DatasetInputs = append(r.Inputs.DatasetInputs, mlflow.DatasetInput{
			Tags: m.pairs("tags"),
			Dataset: mlflow.Dataset{
				Name: d.text("name"), Digest: d.text("digest"), SourceType: d.text("source_type"),
				Source: d.text("source"), Schema: d.text("schema"), Profile: d.text("profile"),
			},
		})
	}
	names, _ = folders(filepath.Join(dir, "outputs"))
	for _, name := range names {
		m, err := readMeta(filepath.Join(dir, "outputs", name))
		if err != nil {
			faults(what+", output "+name, err)
			continue
		}
		if r.Outputs == nil {
			r.Outputs = &mlflow.RunOutputs{}
		}
		r.Outputs.ModelOutputs = append(r.Outputs.ModelOutputs, mlflow.ModelOutput{ModelID: m.text("destination_id"), Step: m.number("step")})
	}
}

// folders gives the names of the folders in dir, sorted.
func folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || e.Type()&fs.ModeSymlink != 0 && isFolder(filepath.Join(dir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
