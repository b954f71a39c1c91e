package endpoint

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestModelsOfLibrariesAreServed serves the files of xgboost, lightgbm, keras and h2o through stand-ins of these
// libraries, which Debian lacks.
func TestModelsOfLibrariesAreServed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fakes := filepath.Join("..", "..", "r", "tests", "testthat", "fake-packages.R")
	if out, err := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "testdata/flavors.R", root, fakes).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	with := func(name string) func(*Config) {
		return func(c *Config) {
			c.Dir = filepath.Join(root, name)
			c.RLibs = []string{filepath.Join(root, "fakes"), os.Getenv("R_LIBS")}
		}
	}
	const rows = `{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [2, 5]]}}`
	for name, want := range map[string]string{
		"xgboost": `[0.18242552380635635,0.01798620996209156]`, "lightgbm": `[-1.5,-4.0]`, "keras": `[[-1.5],[-4.0]]`, "keras3": `[[-1.5],[-4.0]]`,
		"h2o": `[{"predict":-1.5},{"predict":-4.0}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, server := serve(t, "", with(name))
			if status, body := post(t, server, "/invocations", "application/json", rows); status != 200 || body != `{"predictions":`+want+`}` {
				t.Errorf("%d %s, want %s", status, body, want)
			}
		})
	}
	t.Run("xgboost with params", func(t *testing.T) {
		t.Parallel()
		_, server := serve(t, "", with("xgboost"))
		body := strings.TrimSuffix(rows, "}") + `, "params": {"outputmargin": true}}`
		if status, body := post(t, server, "/invocations", "application/json", body); status != 200 || body != `{"predictions":[-1.5,-4.0]}` {
			t.Errorf("%d %s", status, body)
		}
		if status, body := post(t, server, "/invocations", "application/json", `{"dataframe_records": [{"a": "x", "b": 1}]}`); status < 400 || !strings.Contains(body, "unsupported data type") {
			t.Errorf("a text for a number: %d %s", status, body)
		}
	})
	t.Run("bundle", func(t *testing.T) {
		t.Parallel()
		_, server := serve(t, "", with("bundle"))
		if status, body := post(t, server, "/invocations", "application/json", `{"inputs": {"wt": [3]}}`); status != 200 || !strings.HasPrefix(body, `{"predictions":[21.25`) {
			t.Errorf("%d %s", status, body)
		}
	})
	for name, want := range map[string]string{"h2o-outside": "model_file inside the model", "xgboost-empty": "lacks its file model.ubj", "xgboost-folder": "the model's model.ubj is not a file"} {
		if _, err := New(t.Context(), Config{Dir: filepath.Join(root, name)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	for name, want := range map[string]string{"xgboost": "xgboost", "lightgbm": "lightgbm", "keras": "keras3", "keras3": "keras3", "h2o": "h2o"} {
		e, err := New(t.Context(), Config{Dir: filepath.Join(root, name), Workers: 1, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "not installed: "+want+" (") {
			t.Errorf("%s without its library: %v", name, err)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
