package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAModelInS3 predicts with a model by the URI of its folder in an object store; no tracking server is asked.
func TestAModelInS3(t *testing.T) {
	backend := fakeS3(t, nil, "bucket")
	dir := storeDir(t)
	script := `saveRDS(lm(mpg ~ wt, mtcars), "model.rds")`
	make := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "-e", script)
	make.Dir = dir
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fit, err := os.ReadFile(filepath.Join(dir, "model.rds"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"MLmodel": "flavors:\n  rds: {model: data/model.rds}\n", "data/model.rds": string(fit)} {
		if _, err := backend.PutObject("bucket", "team a/model/"+name, nil, strings.NewReader(content), int64(len(content)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "rows.json"), []byte(`{"inputs": {"wt": [2.5, 3]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	predict := func(uri string) string {
		out, _ := weir(t, dir, "models", "predict", "-m", uri, "-i", "rows.json", "--cache-dir", "cache").CombinedOutput()
		return string(out)
	}
	if out := predict("s3://bucket/team a/model"); !strings.HasPrefix(out, `[23.92`) {
		t.Error(out)
	}
	if out := predict("s3://bucket/team a"); !strings.Contains(out, "s3://bucket/team a is not a model: it has no file MLmodel") {
		t.Error(out)
	}
	if out := predict("s3://bucket/nothing"); !strings.Contains(out, "RESOURCE_DOES_NOT_EXIST") {
		t.Error(out)
	}
}
