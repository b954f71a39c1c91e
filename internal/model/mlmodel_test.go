package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

func TestParseReadsWhatEachWriterWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want MLmodel
	}{
		"R 0.7": {
			"time_created: 18-10-03T22:18:25.25.55\nrun_id: 4286a3d27974487b95b19e01b7b3caab\nflavors:\n  crate:\n    version: 0.1.0\n    model: crate.bin\n",
			MLmodel{RunID: "4286a3d27974487b95b19e01b7b3caab", Created: time.Date(2018, 10, 3, 22, 18, 25, 550e6, time.UTC),
				Flavors: map[string]Flavor{"crate": {"version": "0.1.0", "model": "crate.bin"}}},
		},
		"R 1.20": {
			"utc_time_created: 21-09-30T11:02:03.03\nflavors: {crate: {model: crate.bin}}\n",
			MLmodel{Created: time.Date(2021, 9, 30, 11, 2, 3, 0, time.UTC), Flavors: map[string]Flavor{"crate": {"model": "crate.bin"}}},
		},
		"a bare save": {
			"flavors:\n  crate:\n    version: 0.1.0\n    model: crate.bin\n",
			MLmodel{Flavors: map[string]Flavor{"crate": {"version": "0.1.0", "model": "crate.bin"}}},
		},
		"Weir's R package": {
			`artifact_path: model
utc_time_created: 2026-11-23 08:00:01.250000
flavors:
  rds: {model: model.rds}
r_version: 4.2.2
r_packages:
- {name: rpart, version: 4.1.19}
- stats
r_libs: /home/ann/R
model_uuid: 0123
model_id: m-1
batchable: true
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}, {"type": "string", "name": "f", "required": false, "levels": ["a", "b"]}, {"name": "v", "type": {"type": "array"}}]'
  outputs: '[{"type": "double"}]'
  params: null
`,
			MLmodel{
				ArtifactPath: "model", Created: time.Date(2026, 11, 23, 8, 0, 1, 250e6, time.UTC), ModelUUID: "0123", ModelID: "m-1", Batchable: new(true),
				Flavors: map[string]Flavor{"rds": {"model": "model.rds"}}, RVersion: "4.2.2",
				RPackages: []RPackage{{"rpart", "4.1.19"}, {"stats", ""}}, RLibs: []string{"/home/ann/R"},
				Signature: &Signature{
					Inputs: []ColSpec{{Name: "x", Type: "double", Required: true}, {Name: "f", Type: "string", Levels: []string{"a", "b"}},
						{Name: "v", Type: "any", Required: true}},
					Outputs: []ColSpec{{Type: "double", Required: true}},
				},
			},
		},
	} {
		got, err := Parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(&c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(dir); mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist || !strings.Contains(err.Error(), "no file MLmodel") {
		t.Errorf("a folder without MLmodel: %v", err)
	}
	for text, want := range map[string]string{
		"flavors: [": "cannot be read",
		"run_id: x":  "names no flavor",
		"flavors: {crate: {}}\nsignature: {inputs: '[{'}": "inputs are not JSON",
	} {
		if err := os.WriteFile(filepath.Join(dir, MLmodelFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	odd := t.TempDir()
	if err := os.Mkdir(filepath.Join(odd, MLmodelFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(odd); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder of that name: %v", err)
	}
}

func TestRFlavorChoosesWhatAWorkerCanLoad(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"flavors: {crate: {model: c.bin}, rds: {}}":                  "crate c.bin",
		"flavors: {rds: {version: 1}}":                               "rds model.rds",
		"flavors: {rds: {data: m.rds}, python_function: {}}":         "rds m.rds",
		"flavors: {sklearn: {}, python_function: {}}":                "has python_function, sklearn, and crate, rds, xgboost, lightgbm, keras, h2o can be served",
		"flavors: {xgboost: {data: model.xgb}, python_function: {}}": "xgboost model.xgb",
		"flavors: {h2o: {}}":                                         "h2o model.h2o",
		"flavors: {crate: {model: ../../etc/x}}":                     "not inside the model",
		"flavors: {crate: {model: /etc/x}}":                          "not inside the model",
	} {
		m, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		name, file, err := m.RFlavor()
		got := name + " " + file
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
