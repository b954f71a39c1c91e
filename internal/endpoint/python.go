package endpoint

import (
	_ "embed"
	"os/exec"
	"path/filepath"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

//go:embed harness.py
var pythonHarness []byte

// pythonFlavor is what MLflow calls a model that Python can load, by a module that the flavor names.
const pythonFlavor = "python_function"

// newLaunch says how workers of a model start, all but the paths of this endpoint, and gives their program. A model that
// R can load gets workers of R.
func newLaunch(cfg *Config, m *model.MLmodel) (l launch, program []byte, err error) {
	l.flavor, l.file, err = m.RModel(cfg.Dir)
	python, ok := m.Flavors[pythonFlavor]
	if _, _, noR := m.RFlavor(); noR != nil && ok {
		if !cfg.AllowPython {
			return l, nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"the model can only be loaded by Python; --allow-python-models serves it, where a Python with its packages is installed")
		}
		err = l.ofPython(cfg, m, python)
		return l, pythonHarness, err
	}
	if err != nil {
		return l, nil, err
	}
	rscript, err := exec.LookPath(cfg.Rscript)
	if err != nil {
		return l, nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "R is not found: %v; install R or name its Rscript", err)
	}
	l.language, l.command = "R", []string{rscript, "--vanilla"}
	for _, p := range m.RPackages {
		l.packages = append(l.packages, p.Name)
	}
	return l, harness, nil
}

// ofPython completes l for workers of Python.
func (l *launch) ofPython(cfg *Config, m *model.MLmodel, python model.Flavor) error {
	program := cfg.Python
	if program == "" {
		program = "python3"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Python is not found: %v; install it or name it by --python", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	loader := python.Text("loader_module", "")
	if loader == "" {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the flavor %s names no loader_module", pythonFlavor)
	}
	root, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return err
	}
	for _, key := range []string{"data", "code"} {
		if name := python.Text(key, "."); !filepath.IsLocal(filepath.FromSlash(name)) {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the flavor %s names the file %q, which is not inside the model", pythonFlavor, name)
		}
	}
	var names, types []string
	tensor := &rds.Logical{V: []int32{0}}
	if m.Signature != nil {
		if m.Signature.Tensor {
			tensor.V[0] = 1
		}
		for _, c := range m.Signature.Inputs {
			names, types = append(names, c.Name), append(types, c.Type)
		}
	}
	l.language, l.flavor, l.file = "Python", pythonFlavor, root
	l.command = []string{path, "-B"}
	l.python = rds.NamedList([]string{"file", "loader", "data", "code", "names", "types", "tensor"}, []rds.Value{
		rds.Strings(root), rds.Strings(loader), rds.Strings(python.Text("data", "")), rds.Strings(python.Text("code", "")),
		rds.Strings(names...), rds.Strings(types...), tensor,
	})
	return nil
}

// script is what the workers' program is called.
func (l *launch) script() string {
	if l.python != nil {
		return "harness.py"
	}
	return "harness.R"
}

// Language is what the model's workers are programs of: R or Python.
func (e *Endpoint) Language() string { return e.launch.language }
