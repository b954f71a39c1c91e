package model

import (
	"context"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

// bucket is an object store of one folder.
type bucket map[string]string

func (bucket) Knows(uri string) bool { return strings.HasPrefix(uri, "s3://") }

func (b bucket) Folder(_ context.Context, uri string) (Folder, error) {
	if uri != "s3://bucket/model" {
		return nil, mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "there is no file %s", uri)
	}
	return b, nil
}

func (b bucket) Files(context.Context) ([]string, error) { return slices.Collect(maps.Keys(b)), nil }

func (b bucket) Open(_ context.Context, file string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(b[file])), nil
}

func (bucket) Close() error { return nil }

func TestFetchTakesModelsFromObjectStores(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "cache")
	store := bucket{"MLmodel": "flavors: {h2o: {}}\n", "model.h2o/h2o.yaml": "model_file: glm_1\n", "model.h2o/glm_1": "coefficients"}
	server := httptest.NewServer(&artifactServer{versions: map[string]string{"1": "s3://bucket/model"}})
	defer server.Close()
	client, err := mlflow.NewClient(server.URL, mlflow.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for uri, client := range map[string]*mlflow.Client{"s3://bucket/model": nil, "models:/m/1": client} {
		dir, err := Fetch(t.Context(), client, store, uri, cache)
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		got, err := os.ReadFile(filepath.Join(dir, "model.h2o", "glm_1"))
		if err != nil || string(got) != "coefficients" {
			t.Errorf("%s: %q, %v", uri, got, err)
		}
		store["MLmodel"] += "# written again\n"
	}
	if dirs, _ := os.ReadDir(cache); len(dirs) != 2 {
		t.Errorf("the cache holds %v", dirs)
	}
	for name, c := range map[string]struct {
		store bucket
		uri   string
		want  string
	}{
		"no MLmodel":   {bucket{"crate.bin": ""}, "s3://bucket/model", "is not a model"},
		"outside":      {bucket{"MLmodel": "", "../x": ""}, "s3://bucket/model", `a file "../x"`},
		"no such":      {store, "s3://bucket/other", "there is no file s3://bucket/other"},
		"no such kind": {store, "gs://bucket/model", "needs a tracking server"},
	} {
		if _, err := Fetch(t.Context(), nil, c.store, c.uri, filepath.Join(cache, "bad")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "bad", ".fetch-*")); len(left) > 0 {
		t.Errorf("temporary folders are left: %v", left)
	}
}
