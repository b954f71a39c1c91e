package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/weir-ml/weir/mlflow"
)

// MLmodelFile is the name of the file that makes a folder a model.
const MLmodelFile = "MLmodel"

// maxMLmodel bounds the file: a signature of a thousand columns takes 60 kB.
const maxMLmodel = 4 << 20

// MLmodel is what the file of that name says.
type MLmodel struct {
	ArtifactPath  string
	RunID         string
	ModelUUID     string
	ModelID       string
	MLflowVersion string
	Created       time.Time // zero when the file has no time or one that no writer is known to write
	Signature     *Signature
	Flavors       map[string]Flavor
	RVersion      string
	RPackages     []RPackage        // to be loaded before the model predicts
	RLibs         []string          // R's library paths when the model was logged
	Digests       map[string]string // SHA-256 of files by their paths inside the model
	Batchable     *bool             // whether rows of several requests may be predicted together, when the model's author says so
}

// RPackage is an R package with the version that was loaded when the model was logged; the version may be unknown.
type RPackage struct {
	Name    string `yaml:"name"`
	Version string `yaml:"version"`
}

// UnmarshalYAML reads {name, version}, or a bare name.
func (p *RPackage) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		p.Name = n.Value
		return nil
	}
	type plain RPackage
	return n.Decode((*plain)(p))
}

// Flavor is one way to load the model; its keys depend on the flavor.
type Flavor map[string]any

// Text gives a key's value when it is text, and the fallback otherwise.
func (f Flavor) Text(key, fallback string) string {
	if s, ok := f[key].(string); ok && s != "" {
		return s
	}
	return fallback
}

// Load reads the MLmodel file of a folder. A folder without one is RESOURCE_DOES_NOT_EXIST, a file that cannot be read
// as one is INVALID_PARAMETER_VALUE.
func Load(dir string) (*MLmodel, error) {
	data, err := readSmall(filepath.Join(dir, MLmodelFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "%s is not a model: it has no file MLmodel", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	return Parse(data)
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // reading a pipe would wait for its writer
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%s is not a file", path)
	}
	if info.Size() > maxMLmodel {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%s has %d bytes, more than the %d of any MLmodel file", path, info.Size(), maxMLmodel)
	}
	return os.ReadFile(path)
}

// Parse reads the text of an MLmodel file as MLflow 0.7 and later, for Python and for R, write it.
func Parse(data []byte) (*MLmodel, error) {
	var file struct {
		ArtifactPath  string            `yaml:"artifact_path"`
		RunID         string            `yaml:"run_id"`
		RunUUID       string            `yaml:"run_uuid"`
		ModelUUID     string            `yaml:"model_uuid"`
		ModelID       string            `yaml:"model_id"`
		MLflowVersion string            `yaml:"mlflow_version"`
		UTCTime       yaml.Node         `yaml:"utc_time_created"`
		Time          yaml.Node         `yaml:"time_created"`
		Flavors       map[string]Flavor `yaml:"flavors"`
		Signature     *struct {
			Inputs  string `yaml:"inputs"`
			Outputs string `yaml:"outputs"`
			Params  string `yaml:"params"`
		} `yaml:"signature"`
		RColumns  string            `yaml:"r_columns"`
		RVersion  string            `yaml:"r_version"`
		RPackages []RPackage        `yaml:"r_packages"`
		RLibs     texts             `yaml:"r_libs"`
		SHA256    map[string]string `yaml:"sha256"`
		Batchable *bool             `yaml:"batchable"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the MLmodel file cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(file.Flavors) == 0 {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the MLmodel file names no flavor")
	}
	m := &MLmodel{
		ArtifactPath: file.ArtifactPath, RunID: file.RunID, ModelUUID: file.ModelUUID, ModelID: file.ModelID,
		MLflowVersion: file.MLflowVersion, Flavors: file.Flavors, RVersion: file.RVersion,
		RPackages: file.RPackages, RLibs: file.RLibs, Batchable: file.Batchable, Digests: file.SHA256,
	}
	if m.RunID == "" {
		m.RunID = file.RunUUID
	}
	created := file.UTCTime.Value
	if created == "" {
		created = file.Time.Value
	}
	m.Created = parseCreated(created)
	if s := file.Signature; s != nil {
		var err error
		if m.Signature, err = ParseSignature(s.Inputs, s.Outputs, s.Params); err != nil {
			return nil, err
		}
		if err := m.Signature.addRColumns(file.RColumns); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// texts reads a list of texts, or one text: R's yaml writes a vector of length one as a scalar.
type texts []string

func (t *texts) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		if n.Value != "" {
			*t = texts{n.Value}
		}
		return nil
	}
	return n.Decode((*[]string)(t))
}

// parseCreated reads the three ways in which creation times were written: with microseconds (1.24 and later), with a
// two-digit year and the seconds twice (R until 1.23: 18-10-03T22:18:25.25.55), and ISO 8601.
func parseCreated(text string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05.999999", "2006-01-02T15:04:05.999999Z07:00", "2006-01-02T15:04:05.999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	if parts := strings.SplitN(text, ".", 3); len(parts) > 1 {
		// The second part repeats the seconds; what follows it is their fraction.
		stamp := parts[0]
		if len(parts) == 3 {
			stamp += "." + parts[2]
		}
		if t, err := time.Parse("06-01-02T15:04:05.999999999", stamp); err == nil {
			return t
		}
	}
	return time.Time{}
}
