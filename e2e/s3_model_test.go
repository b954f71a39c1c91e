package e2e

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// TestAModelInS3 predicts with a model by the URI of its folder in an object store; no tracking server is asked.
func TestAModelInS3(t *testing.T) {
	if _, err := exec.LookPath("Rscript"); err != nil {
		t.Skip("R is not installed")
	}
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	store := httptest.NewServer(gofakes3.New(backend).Server())
	defer store.Close()
	for key, value := range map[string]string{
		"MLFLOW_S3_ENDPOINT_URL": store.URL, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(key, value)
	}
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
