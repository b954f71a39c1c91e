package e2e

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestABatchFromS3ToS3 predicts for the files of a folder in an object store, and writes there.
func TestABatchFromS3ToS3(t *testing.T) {
	backend := fakeS3(t, nil, "bucket")
	dir := storeDir(t)
	script := `f <- function(x) if (any(x$wt > 90)) stop("too heavy") else 2 * x$wt
		environment(f) <- baseenv(); dir.create("model")
		saveRDS(serialize(structure(f, class = "crate"), NULL), "model/crate.bin")
		writeLines(c("flavors:", "  crate: {model: crate.bin}"), "model/MLmodel")`
	if err := os.WriteFile(filepath.Join(dir, "make.R"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	make := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "make.R")
	make.Dir = dir
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, content := range map[string]string{"rows/1.csv": "wt\n1\n99\n", "rows/b/2.jsonl": "{\"wt\": 3}\n", "rows/_SUCCESS": "", "one.csv": "wt\n4\n"} {
		if _, err := backend.PutObject("bucket", "team a/"+name, nil, strings.NewReader(content), int64(len(content)), nil); err != nil {
			t.Fatal(err)
		}
	}
	predict := func(in, out string) (string, error) {
		cmd := weir(t, dir, "models", "predict", "-m", "model", "-i", in, "-o", out, "-w", "1")
		cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	content := func(key string) string {
		o, err := backend.GetObject("bucket", key, nil)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		defer o.Contents.Close()
		b, err := io.ReadAll(o.Contents)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if out, err := predict("s3://bucket/team a/rows", "s3://bucket/out/all.csv"); err == nil || !strings.Contains(out, "1 of 3 rows could not be predicted; they are listed in s3://bucket/out/all.csv.failed.csv") {
		t.Error(out)
	}
	if got := content("out/all.csv"); got != "prediction\n2\nNA\n6\n" {
		t.Errorf("%q", got)
	}
	if got := content("out/all.csv.failed.csv"); got != "file,row,error\n1.csv,2,too heavy\n" {
		t.Errorf("%q", got)
	}
	if out, err := predict("s3://bucket/team a/one.csv", "one.jsonl"); err != nil {
		t.Error(out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "one.jsonl")); string(got) != "{\"prediction\":8.0}\n" {
		t.Errorf("%q, %v", got, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "cache", "weir", "batches")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for in, fault := range map[string]string{"s3://bucket/nothing.csv": "there is no file s3://bucket/nothing.csv", "s3://nowhere/x.csv": "", "s3://": "is not of the form s3://bucket/path"} {
		if out, err := predict(in, "x.csv"); err == nil || !strings.Contains(out, fault) {
			t.Errorf("%s: %s", in, out)
		}
	}
}
