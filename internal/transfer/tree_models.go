package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// LoggedModels gives the logged models of an experiment in the order of their ids.
func (t *Tree) LoggedModels(ctx context.Context, e Experiment, faults Faults, each func(*LoggedModel) error) error {
	parent := filepath.Join(e.dir, modelsDir)
	names, err := folders(parent)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			faults("logged models of experiment "+e.ExperimentID, err)
		}
		return nil
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		dir := filepath.Join(parent, name)
		m, err := readLoggedModel(dir, faults)
		if errors.Is(err, fs.ErrNotExist) && !isFolder(filepath.Join(dir, "params")) {
			continue // artifacts alone
		}
		if err != nil {
			faults("logged model "+name, err)
			continue
		}
		m.Info.ExperimentID = e.ExperimentID
		if err := each(m); err != nil {
			return err
		}
	}
	return nil
}

func readLoggedModel(dir string, faults Faults) (*LoggedModel, error) {
	f, err := readMeta(dir)
	if err != nil {
		return nil, err
	}
	m := &LoggedModel{Files: folder(filepath.Join(dir, "artifacts")), Deleted: f.text("lifecycle_stage") == mlflow.StageDeleted}
	m.Info = mlflow.LoggedModelInfo{
		ModelID: f.text("model_id"), Name: f.text("name"), ModelType: f.text("model_type"), SourceRunID: f.text("source_run_id"),
		CreationTimestamp: f.number("creation_timestamp"), LastUpdatedTimestamp: f.number("last_updated_timestamp"),
		ArtifactURI: f.text("artifact_location"), StatusMessage: f.text("status_message"),
	}
	if m.Info.ModelID == "" {
		m.Info.ModelID = filepath.Base(dir)
	}
	if m.Info.Status, err = modelStatusOf(f.text("status")); err != nil {
		return nil, err
	}
	if f.err != nil {
		return nil, f.err
	}
	what := "logged model " + m.Info.ModelID
	m.Info.Tags = readValues(filepath.Join(dir, "tags"), what+", tag ", faults)
	m.Data.Params = readValues(filepath.Join(dir, "params"), what+", param ", faults)
	return m, eachFile(filepath.Join(dir, "metrics"), what+", metric ", faults, func(key, path string) error {
		return readMetric(path, key, what+", metric ", faults, true, func(points []mlflow.Metric) error {
			m.Data.Metrics = append(m.Data.Metrics, points...)
			return nil
		})
	})
}

func modelStatusOf(text string) (mlflow.LoggedModelStatus, error) {
	names := mlflow.LoggedModelStatus("").EnumNames()
	if n, err := strconv.Atoi(text); err == nil {
		if names[n] != "" {
			return mlflow.LoggedModelStatus(names[n]), nil
		}
		if n == 0 { // unspecified
			return mlflow.LoggedModelPending, nil
		}
	}
	for _, name := range names {
		if name == text || strings.TrimPrefix(name, "LOGGED_MODEL_") == text {
			return mlflow.LoggedModelStatus(name), nil
		}
	}
	return "", fmt.Errorf("%q is not the status of a logged model", text)
}

// RegisteredModels gives the registered models in the order of their names.
func (t *Tree) RegisteredModels(ctx context.Context, faults Faults, each func(*RegisteredModel) error) error {
	parent := filepath.Join(t.dir, modelsDir)
	names, err := folders(parent)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			faults("registered models", err)
		}
		return nil
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m, err := readRegisteredModel(filepath.Join(parent, name), faults)
		if err != nil {
			faults("registered model "+name, err)
			continue
		}
		if err := each(m); err != nil {
			return err
		}
	}
	return nil
}

func readRegisteredModel(dir string, faults Faults) (*RegisteredModel, error) {
	f, err := readMeta(dir)
	if err != nil {
		return nil, err
	}
	m := &RegisteredModel{}
	m.RegisteredModel = mlflow.RegisteredModel{
		Name: f.text("name"), Description: f.text("description"),
		CreationTimestamp: f.number("creation_timestamp"), LastUpdatedTimestamp: f.number("last_updated_timestamp"),
	}
	if m.Name == "" {
		m.Name = filepath.Base(dir)
	}
	if f.err != nil {
		return nil, f.err
	}
	what := "registered model " + m.Name
	m.Tags = readValues(filepath.Join(dir, "tags"), what+", tag ", faults)
	aliases := readValues(filepath.Join(dir, "aliases"), what+", alias ", faults)
	names, err := folders(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		number, ok := strings.CutPrefix(name, "version-")
		if !ok {
			continue
		}
		v, err := readVersion(filepath.Join(dir, name), m.Name, number)
		if err != nil {
			faults("version "+number+" of "+m.Name, err)
			continue
		}
		v.Tags = readValues(filepath.Join(dir, name, "tags"), "version "+number+" of "+m.Name+", tag ", faults)
		for _, a := range aliases {
			if strings.TrimSpace(a.Value) == v.Version {
				v.Aliases = append(v.Aliases, a.Key)
			}
		}
		m.Versions = append(m.Versions, v)
	}
	sortVersions(m.Versions)
	return m, nil
}

func readVersion(dir, model, number string) (ModelVersion, error) {
	f, err := readMeta(dir)
	if err != nil {
		return ModelVersion{}, err
	}
	if _, err := versionNumber(number); err != nil {
		return ModelVersion{}, err
	}
	v := ModelVersion{Storage: f.text("storage_location"), LoggedModel: f.text("model_id")}
	v.ModelVersion = mlflow.ModelVersion{
		Name: model, Version: number, CurrentStage: f.text("current_stage"), Source: f.text("source"),
		CreationTimestamp: f.number("creation_timestamp"), LastUpdatedTimestamp: f.number("last_updated_timestamp"),
		Status: f.text("status"), StatusMessage: f.text("status_message"),
		Description: f.optional("description"), RunID: f.optional("run_id"), RunLink: f.optional("run_link"),
	}
	if v.CurrentStage == "" {
		v.CurrentStage = mlflow.StageNone
	}
	v.Files = modelFolder(&v)
	return v, f.err
}

// modelFolder gives the folder of a version that was registered from a folder of this machine; nil when there is no model. It
// may be a run's, which place.go knows.
func modelFolder(v *ModelVersion) FileSet {
	dir, local := mlflow.LocalPath(cmp.Or(v.Storage, v.Source))
	if !local || !filepath.IsAbs(dir) || v.CurrentStage == deletedVersion || !isFile(filepath.Join(dir, "MLmodel")) {
		return nil
	}
	return folder(dir)
}

func (m meta) optional(name string) mlflow.Opt[string] {
	if !m.has(name) {
		return mlflow.Opt[string]{}
	}
	return mlflow.Some(m.text(name))
}

func versionNumber(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not the number of a version", text)
	}
	return n, nil
}

func sortVersions(list []ModelVersion) {
	slices.SortFunc(list, func(a, b ModelVersion) int {
		x, _ := versionNumber(a.Version)
		y, _ := versionNumber(b.Version)
		return int(x - y)
	})
}
