package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// startToKill starts `weir server` for a test that kills it.
func startToKill(t *testing.T, dir string) (address string, cmd *exec.Cmd) {
	t.Helper()
	cmd = weir(t, dir, "server", "--port", "0", "--backend-store-uri", "store")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return regexp.MustCompile(`http://\S+`).FindString(line), cmd
}

func send(t *testing.T, method, target string, body io.Reader, size int64) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text), response.Header
}

// killing is a body that kills the server when half of it has been sent.
type killing struct {
	zeros
	kill func()
}

func (k *killing) Read(p []byte) (int, error) {
	if k.at > k.size/2 && k.kill != nil {
		k.kill()
		k.kill = nil
	}
	return k.zeros.Read(p)
}

// TestAServerThatIsKilledKeepsWhatIsWhole kills the server in the middle of uploads: a file is the old one or the new one,
// and an upload in parts goes on where it was.
func TestAServerThatIsKilledKeepsWhatIsWhole(t *testing.T) {
	t.Parallel()
	dir := storeDir(t)
	const size = 64 << 20
	address, cmd := startToKill(t, dir)
	kill := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	const file = "/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/f.bin"
	if status, text, _ := send(t, "PUT", address+file, strings.NewReader("old"), 3); status != 200 {
		t.Fatal(status, text)
	}
	const mpu = "/api/2.0/mlflow-artifacts/mpu/"
	_, text, _ := send(t, "POST", address+mpu+"create/0/r/artifacts", strings.NewReader(`{"path":"parts.bin","num_parts":2}`), -1)
	var upload struct {
		ID          string `json:"upload_id"`
		Credentials []struct {
			URL string `json:"url"`
		} `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(text), &upload); err != nil || len(upload.Credentials) != 2 {
		t.Fatal(text, err)
	}
	partAt := func(i int) string {
		return address + upload.Credentials[i].URL[strings.Index(upload.Credentials[i].URL, "/api/"):]
	}
	_, _, first := send(t, "PUT", partAt(0), &zeros{size: size}, size)

	for _, target := range []func() string{func() string { return address + file }, func() string { return partAt(1) }} {
		if status, text, _ := send(t, "PUT", target(), &killing{zeros{size: size}, kill}, size); status == 200 {
			t.Errorf("a killed server answered %s", text)
		}
		address, cmd = startToKill(t, dir)
		if _, text, _ := send(t, "GET", address+file, nil, 0); text != "old" {
			t.Errorf("after the kill the file has %d bytes", len(text))
		}
		want := fmt.Sprintf(`{"parts":[{"part_number":1,"etag":%q,"size":%d}]}`, first.Get("ETag"), size)
		if _, text, _ := send(t, "GET", partAt(0), nil, 0); text != want {
			t.Errorf("after the kill there are the parts %s", text)
		}
		if _, text, _ := send(t, "GET", address+mpu[:len(mpu)-4]+"artifacts/0/r/artifacts/parts.bin", nil, 0); !strings.Contains(text, "RESOURCE_DOES_NOT_EXIST") {
			t.Errorf("half an upload is visible: %.100s", text)
		}
	}

	_, _, second := send(t, "PUT", partAt(1), strings.NewReader("end"), 3)
	complete := fmt.Sprintf(`{"path":"parts.bin","upload_id":%q,"parts":[{"part_number":1,"etag":%q},{"part_number":2,"etag":%q}]}`,
		upload.ID, first.Get("ETag"), second.Get("ETag"))
	if status, text, _ := send(t, "POST", address+mpu+"complete/0/r/artifacts", strings.NewReader(complete), -1); status != 200 {
		t.Fatal(status, text)
	}
	want, got := sha256.New(), sha256.New()
	if _, err := io.Copy(want, io.MultiReader(&zeros{size: size}, strings.NewReader("end"))); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "store", "0", "r", "artifacts", "parts.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := io.Copy(got, f); err != nil || n != size+3 || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("the file has %d bytes, %v; the same digest: %v", n, err, bytes.Equal(got.Sum(nil), want.Sum(nil)))
	}
	kill()
}
