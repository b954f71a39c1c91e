package artifact

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

// oneModel knows one logged model, m-1.
type oneModel struct{ uri string }

func (o oneModel) ModelArtifacts(_ context.Context, id string) (string, string, error) {
	if id != "m-1" {
		return "", "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Logged model with ID '%s' not found.", id)
	}
	return o.uri, "1", nil
}

func TestFilesOfLoggedModels(t *testing.T) {
	t.Parallel()
	_, server := serve(t, Options{Models: oneModel{"mlflow-artifacts:/1/models/m-1/artifacts"}})
	put := request(t, http.MethodPut, server.URL+proxyBase+"/1/models/m-1/artifacts/data/a%20b.txt", "hello", nil)
	if put.status != 200 {
		t.Fatal(put)
	}
	request(t, http.MethodPut, server.URL+proxyBase+"/1/models/m-1/artifacts/MLmodel", "flavors: {}", nil)
	request(t, http.MethodPut, server.URL+proxyBase+"/1/models/m-2/artifacts/secret", "no", nil)

	const base = "/ajax-api/2.0/mlflow/logged-models/"
	for _, c := range []struct {
		path   string
		status int
		body   string // what the answer contains
	}{
		{"m-1/artifacts/directories", 200, `{"root_uri":"mlflow-artifacts:/1/models/m-1/artifacts","files":[{"path":"MLmodel","is_dir":false,"file_size":11},{"path":"data","is_dir":true}]}`},
		{"m-1/artifacts/directories?artifact_directory_path=data", 200, `"files":[{"path":"data/a b.txt","is_dir":false,"file_size":5}]`},
		{"m-1/artifacts/directories?artifact_directory_path=none", 200, `{"root_uri":"mlflow-artifacts:/1/models/m-1/artifacts"}`},
		{"m-1/artifacts/directories?artifact_directory_path=../../m-2", 400, "Invalid path"},
		{"m-2/artifacts/directories", 404, "Logged model with ID 'm-2' not found."},
		{"m-1/artifacts/files?artifact_file_path=data/a%20b.txt", 200, "hello"},
		{"m-1/artifacts/files?artifact_file_path=none", 404, "RESOURCE_DOES_NOT_EXIST"},
		{"m-1/artifacts/files", 400, "BAD_REQUEST"},
		{"m-1/artifacts/files?artifact_file_path=../../m-2/artifacts/secret", 400, "Invalid path"},
		{"m-1/artifacts/files?artifact_file_path=%2e%2e/%2e%2e/m-2/artifacts/secret", 400, "Invalid path"},
		{"m-2/artifacts/files?artifact_file_path=secret", 404, "RESOURCE_DOES_NOT_EXIST"},
	} {
		got := request(t, http.MethodGet, server.URL+base+c.path, "", nil)
		if got.status != c.status || !strings.Contains(got.body, c.body) {
			t.Errorf("%s: %d %s, want %d %s", c.path, got.status, got.body, c.status, c.body)
		}
	}
	file := request(t, http.MethodGet, server.URL+base+"m-1/artifacts/files?artifact_file_path=MLmodel", "", nil)
	if d := file.header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") || !strings.Contains(d, "MLmodel") {
		t.Errorf("Content-Disposition is %q", d)
	}
}
