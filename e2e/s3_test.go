package e2e

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestArtifactsInS3 runs the server on a store that speaks S3.
func TestArtifactsInS3(t *testing.T) {
	backend := fakeS3(t, nil, "bucket")
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
}

// TestPythonSendsPartsToS3 has MLflow's Python client send large files to the store itself and fetch them there.
func TestPythonSendsPartsToS3(t *testing.T) {
	if os.Getenv("WEIR_PYTHON") == "" {
		t.Skip("WEIR_PYTHON names no Python with mlflow (make e2e sets it)")
	}
	var partsSent, chunksRead atomic.Int64
	fakeS3(t, func(r *http.Request) {
		if !r.URL.Query().Has("X-Amz-Signature") {
			return
		}
		switch r.Method {
		case http.MethodPut:
			partsSent.Add(1)
		case http.MethodGet:
			chunksRead.Add(1)
		}
	}, "bucket")
	address, _ := serveProcess(t, storeDir(t), "--backend-store-uri", "store", "--artifacts-destination", "s3://bucket/team a")
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
