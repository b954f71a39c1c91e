package endpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

// TestAModelOfPythonNeedsPermission serves one without it, with a Python that is not there, and with files that are not
// the model's. What such a model predicts is tested in e2e, where a Python with mlflow is.
func TestAModelOfPythonNeedsPermission(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flavor string
		config Config
		want   string
	}{
		{"loader_module: mlflow.sklearn", Config{}, "can only be loaded by Python; --allow-python-models"},
		{"loader_module: mlflow.sklearn", Config{AllowPython: true, Python: "python-that-is-not-there"}, "Python is not found"},
		{"data: model.pkl", Config{AllowPython: true, Python: os.Args[0]}, "names no loader_module"},
		{"{loader_module: m, data: ../x}", Config{AllowPython: true, Python: os.Args[0]}, `"../x", which is not inside the model`},
		{"{loader_module: m, code: /etc}", Config{AllowPython: true, Python: os.Args[0]}, `"/etc", which is not inside the model`},
	} {
		c.config.Dir = t.TempDir()
		text := "flavors:\n  python_function: " + c.flavor + "\n"
		if !strings.HasPrefix(c.flavor, "{") {
			text = "flavors:\n  python_function:\n    " + c.flavor + "\n"
		}
		if err := os.WriteFile(filepath.Join(c.config.Dir, "MLmodel"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := New(t.Context(), c.config)
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.flavor, err, c.want)
		}
		if e != nil {
			t.Error("it is served", e.Close(t.Context()))
		}
	}
}
