package e2e

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheEntryPointOfAnImage runs what the image would run, where the folder was written.
func TestTheEntryPointOfAnImage(t *testing.T) {
	dir := storeDir(t)
	script := `saveRDS(serialize(structure(function(x) 2 * x$wt, class = "crate"), NULL), "crate.bin")`
	make := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "-e", script)
	make.Dir = filepath.Join(dir, "model")
	if err := os.Mkdir(make.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(make.Dir, "MLmodel"), []byte("flavors:\n  crate: {model: crate.bin}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := weir(t, dir, "models", "generate-dockerfile", "-m", "model", "-d", "image").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "image", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["/opt/weir/(\w+)"\]$`).FindSubmatch(text)
	if entry == nil {
		t.Fatalf("no entry point in %s", text)
	}
	cmd := exec.Command(filepath.Join(dir, "image", string(entry[1])), "--workers", "1")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), mark+"="+dir, "PORT=0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer endProcess(t, cmd)
	port := ""
	lines := bufio.NewScanner(stderr)
	for port == "" && lines.Scan() {
		if m := regexp.MustCompile(`listening on http://\S+:(\d+)`).FindStringSubmatch(lines.Text()); m != nil {
			port = m[1]
		}
	}
	if port == "" {
		t.Fatal("it ended")
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	response, err := http.Post("http://127.0.0.1:"+port+"/invocations", "application/json", strings.NewReader(`{"inputs": {"wt": [2, 3]}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); string(body) != `{"predictions":[4.0,6.0]}` {
		t.Errorf("%s, %v", body, err)
	}
}
