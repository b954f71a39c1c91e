//go:build unix

package artifact

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func TestArtifactURIsOfRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "real root")
	link := filepath.Join(dir, "link")
	if err := os.MkdirAll(root, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, sqldbtest.SQLite(t), Options{Root: link})
	tests := []struct {
		uri, want string
		code      mlflow.ErrorCode
	}{
		{"mlflow-artifacts:/1/R/artifacts", "1/R/artifacts", ""},
		{"mlflow-artifacts:///1/R/artifacts", "1/R/artifacts", ""},
		{"mlflow-artifacts://host:5000/1//R/artifacts/", "1/R/artifacts", ""},
		{"mlflow-artifacts:/", "", ""},
		{link + "/1/R/artifacts", "1/R/artifacts", ""},
		{root + "/1/R/artifacts", "1/R/artifacts", ""},
		{"file://" + filepath.ToSlash(dir) + "/real%20root/1/R/artifacts", "1/R/artifacts", ""},
		{"mlflow-artifacts:/../x", "", mlflow.CodeInvalidParameterValue},
		{"mlflow-artifacts:/1/../../x", "", mlflow.CodeInvalidParameterValue},
		{"mlflow-artifacts:/.weir/part", "", mlflow.CodeInvalidParameterValue},
		{dir, "", mlflow.CodeInvalidParameterValue},
		{dir + "/real root2/x", "", mlflow.CodeInvalidParameterValue},
		{root + "/../x", "", mlflow.CodeInvalidParameterValue},
		{root + "/weir.db", "", mlflow.CodeInvalidParameterValue},
		{"/etc", "", mlflow.CodeInvalidParameterValue},
		{"relative", "", mlflow.CodeInvalidParameterValue},
		{"s3://bucket/1/R/artifacts", "", mlflow.CodeInvalidParameterValue},
		{"http://host/api/2.0/mlflow-artifacts/artifacts/1", "", mlflow.CodeInvalidParameterValue},
	}
	for _, tt := range tests {
		got, err := s.keyOfURI(tt.uri)
		if got != tt.want || (err == nil) != (tt.code == "") {
			t.Errorf("%q: %q, %v", tt.uri, got, err)
		}
		if err != nil {
			wantCode(t, err, tt.code)
		}
	}
}
