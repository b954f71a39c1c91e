package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"

	"github.com/weir-ml/weir/mlflow"
)

// TestAStoreWithArtifactsInS3IsMaintained backs a store up whose artifacts are in S3, removes what is deleted there, and
// restores the backup into another bucket.
func TestAStoreWithArtifactsInS3IsMaintained(t *testing.T) {
	backend := fakeS3(t, nil, "bucket", "other")
	dir := storeDir(t)
	at := []string{"--backend-store-uri", "sqlite:///runs.db", "--artifacts-destination", "s3://bucket/team a"}
	url, _ := serveProcess(t, dir, at...)
	c := client(t, url)
	var runs []string
	for i := range 2 {
		run, err := c.CreateRun(t.Context(), &mlflow.CreateRunRequest{ExperimentID: "0"})
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run.Info.RunID)
		for _, name := range []string{"a%23b.txt", "model/MLmodel"} {
			target := fmt.Sprintf("%s/api/2.0/mlflow-artifacts/artifacts/0/%s/artifacts/%s", url, run.Info.RunID, name)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, target, strings.NewReader(fmt.Sprint("file of run ", i)))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
		}
	}
	do := func(args ...string) string {
		t.Helper()
		out, err := weir(t, dir, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("weir %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	backup := filepath.Join(dir, "backup")
	if out := do(append([]string{"db", "backup", backup, "--artifacts"}, at...)...); !strings.Contains(out, "4 artifacts with 52 B") {
		t.Error(out)
	}
	if err := c.DeleteRun(t.Context(), runs[0]); err != nil {
		t.Fatal(err)
	}
	if out := do(append([]string{"gc"}, at...)...); !strings.Contains(out, "removed 1 run, 0 logged models and 0 experiments: 2 files with 26 B") {
		t.Error(out)
	}
	do(append([]string{"db", "check", "--artifacts"}, at...)...)
	left, err := backend.ListBucket("bucket", &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range left.Contents {
		if !strings.HasPrefix(o.Key, "team a/0/"+runs[1]+"/artifacts/") {
			t.Errorf("%s is left", o.Key)
		}
	}
	if len(left.Contents) != 2 {
		t.Errorf("%d objects are left", len(left.Contents))
	}

	restored := []string{"--backend-store-uri", "sqlite:///restored.db", "--artifacts-destination", "s3://other"}
	do(append([]string{"db", "restore", backup}, restored...)...)
	do(append([]string{"db", "check", "--artifacts"}, restored...)...)
	again, _ := serveProcess(t, dir, restored...)
	for i, id := range runs {
		for _, name := range []string{"a%23b.txt", "model/MLmodel"} {
			if got := get(t, again+"/get-artifact?run_id="+id+"&path="+name); string(got) != fmt.Sprint("file of run ", i) {
				t.Errorf("run %d: %q", i, got)
			}
		}
	}
}
