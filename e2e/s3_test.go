package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// TestArtifactsInS3 runs the server on a store that speaks S3, and MLflow's Python client against both: large files go to
// and come from the store itself.
func TestArtifactsInS3(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(backend).Server()
	var partsSent, chunksRead atomic.Int64
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("X-Amz-Signature") {
			switch r.Method {
			case http.MethodPut:
				partsSent.Add(1)
			case http.MethodGet:
				chunksRead.Add(1)
			}
		}
		fake.ServeHTTP(w, r)
	}))
	defer store.Close()
	for key, value := range map[string]string{
		"MLFLOW_S3_ENDPOINT_URL": store.URL, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(key, value)
	}
	dir := storeDir(t)
	address, _ := serveProcess(t, dir, "--backend-store-uri", "store", "--artifacts-destination", "s3://bucket/team a")

	file := address + "/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/a%23b.txt"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, file, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	put, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	put.Body.Close()
	o, err := backend.GetObject("bucket", "team a/0/r/artifacts/a#b.txt", nil)
	if err != nil || put.StatusCode != http.StatusOK {
		t.Fatal(put.Status, err)
	}
	defer o.Contents.Close()
	if content, err := io.ReadAll(o.Contents); string(content) != "hello" || err != nil {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "store", "0")); !os.IsNotExist(err) {
		t.Error("artifacts are in the folder as well")
	}

	info, err := http.Get(address + "/api/3.0/mlflow/server-info")
	if err != nil {
		t.Fatal(err)
	}
	defer info.Body.Close()
	if text, _ := io.ReadAll(info.Body); !strings.Contains(string(text), `"multipart_uploads_enabled":true,"multipart_downloads_enabled":true`) {
		t.Errorf("clients are told %s", text)
	}

	if os.Getenv("WEIR_PYTHON") == "" {
		t.Skip("WEIR_PYTHON names no Python with mlflow (make e2e sets it)")
	}
	python := exec.Command(os.Getenv("WEIR_PYTHON"), "clients/uploads_in_parts.py")
	python.Env = append(os.Environ(), "MLFLOW_TRACKING_URI="+address, "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD=true",
		"MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE=0", "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE=300000")
	out, err := python.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "uploads 5") {
		t.Fatalf("%v\n%s", err, out)
	}
	// 1 + 2 + 13 + 2 parts, and one of the upload that fails; three files come back whole and one in five chunks.
	if partsSent.Load() != 19 || chunksRead.Load() != 8 {
		t.Errorf("%d parts went to the store, %d chunks came from it", partsSent.Load(), chunksRead.Load())
	}
}
