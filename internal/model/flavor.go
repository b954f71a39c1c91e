package model

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-ml/weir/mlflow"
)

// RFlavors are the flavors that an R worker can load, in the order of preference. The first two hold any R object, the
// others are files of a library, which Python's MLflow reads as well.
var RFlavors = []string{"crate", "rds", "xgboost", "lightgbm", "keras", "h2o"}

// standardFiles are what the flavors' files are called when the MLmodel file does not say.
var standardFiles = map[string]string{"crate": "crate.bin", "rds": "model.rds", "xgboost": "model.ubj", "lightgbm": "model.lgb",
	"keras": "model.h5", "h2o": "model.h2o"}

// RFlavor chooses the flavor for an R worker and the file or folder that holds the model, relative to the model's folder.
// A model without one is INVALID_PARAMETER_VALUE, with the flavors that it has.
func (m *MLmodel) RFlavor() (name, file string, err error) {
	for _, name := range RFlavors {
		f, ok := m.Flavors[name]
		if !ok {
			continue
		}
		file := f.Text("model", f.Text("data", standardFiles[name]))
		if !filepath.IsLocal(filepath.FromSlash(file)) {
			return "", "", mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the flavor %s names the file %q, which is not inside the model", name, file)
		}
		return name, file, nil
	}
	return "", "", mlflow.Errorf(mlflow.CodeInvalidParameterValue,
		"the model does not contain any flavor that can be served; it has %s, and %s can be served",
		strings.Join(slices.Sorted(maps.Keys(m.Flavors)), ", "), strings.Join(RFlavors, ", "))
}

// RModel chooses the flavor for an R worker and gives the path of the file that it loads. A model that lacks the file is
// RESOURCE_DOES_NOT_EXIST.
func (m *MLmodel) RModel(dir string) (flavor, path string, err error) {
	flavor, file, err := m.RFlavor()
	if err != nil {
		return "", "", err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, filepath.FromSlash(file))
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		inside := ""
		if inside, err = insideFolder(flavor, path); inside != "" {
			file = inside
		}
		if err == nil {
			path = filepath.Join(path, inside)
			info, err = os.Stat(path)
		}
	}
	var known *mlflow.Error
	switch {
	case errors.As(err, &known):
		return "", "", err
	case err != nil:
		return "", "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "the model lacks its file %s", file)
	case !info.Mode().IsRegular():
		return "", "", mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the model's %s is not a file", file)
	}
	return flavor, path, nil
}

// insideFolder gives the file of a model that is a folder: h2o's says which it is, Python's keras writes one below data/.
func insideFolder(flavor, folder string) (string, error) {
	switch flavor {
	case "h2o":
		data, err := readSmall(filepath.Join(folder, "h2o.yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			return "h2o.yaml", err
		}
		if err != nil {
			return "", err
		}
		var settings struct {
			File string `yaml:"model_file"`
		}
		if err := yaml.Unmarshal(data, &settings); err != nil || settings.File == "" || !filepath.IsLocal(settings.File) {
			return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the model's h2o.yaml does not name a model_file inside the model")
		}
		return settings.File, nil
	case "keras":
		for _, name := range []string{"model.keras", "model.h5"} {
			if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
				return name, nil
			}
		}
		return "model.keras", fs.ErrNotExist
	}
	return "", nil // what is a folder fails as what is not a file
}
