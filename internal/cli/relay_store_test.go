package cli

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// The SDK of S3 reads the process's own environment, so this test changes it and is not parallel.
func TestRReachesFilesInS3ThroughTheProgram(t *testing.T) {
	for key, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(key, value)
	}
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	s3 := httptest.NewServer(gofakes3.New(backend).Server())
	defer s3.Close()
	dir := t.TempDir()
	run := func(args ...string) (stdout, stderr string, code int) {
		var out, errs bytes.Buffer
		code = Main(t.Context(), Process{
			Args: append([]string{"weir", "r", "store"}, args...), Environ: []string{"MLFLOW_S3_ENDPOINT_URL=" + s3.URL},
			Dir: dir, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		})
		return out.String(), errs.String(), code
	}
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	const root, file = "s3://bucket/exp/run/artifacts", "s3://bucket/exp/run/artifacts/a%20%23b%25/x%20%3F.txt"
	if _, said, code := run("put", file, "in"); code != 0 {
		t.Fatal(said)
	}
	if _, said, code := run("get", file, "out"); code != 0 {
		t.Fatal(said)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	// A folder with a file of its own name.
	if _, said, code := run("put", root+"/model/model", "in"); code != 0 {
		t.Fatal(said)
	}
	for uri, want := range map[string]string{
		root:                  `{"files":[{"path":"a #b%/x ?.txt","is_dir":false,"file_size":5},{"path":"model/model","is_dir":false,"file_size":5}]}`,
		root + "/a%20%23b%25": `{"files":[{"path":"x ?.txt","is_dir":false,"file_size":5}]}`,
		root + "/model":       `{"files":[{"path":"model","is_dir":false,"file_size":5}]}`,
		root + "/model/model": `{"files":[]}`,
		root + "/none":        `{"files":[]}`,
	} {
		if got, said, _ := run("list", uri); got != want+"\n" {
			t.Errorf("%s: got %q, %s", uri, got, said)
		}
	}
	for _, args := range [][]string{{"get", root + "/none", "out"}, {"get", root + "/model", "out"}, {"get", "ftp://bucket/x", "out"}, {"put", file}} {
		if _, said, code := run(args...); code == 0 || said == "" {
			t.Errorf("%v: got %d, %q", args, code, said)
		}
	}
}
