package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// zeros is a stream of null bytes whose every eighth megabyte begins with its number, so that pieces cannot be swapped.
type zeros struct{ at, size int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.at == z.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.size-z.at))
	clear(p[:n])
	const every = 8 << 20
	if at := (z.at + every - 1) / every * every; at < z.at+int64(n) {
		p[at-z.at] = byte(at/every) + 1
	}
	z.at += int64(n)
	return n, nil
}

// TestLargeFilesGoThroughInLittleMemory sends half a gigabyte up and down; WEIRTEST_BYTES makes it another size.
func TestLargeFilesGoThroughInLittleMemory(t *testing.T) {
	size := int64(512 << 20)
	if text := os.Getenv("WEIRTEST_BYTES"); text != "" {
		var err error
		if size, err = strconv.ParseInt(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	dir := storeDir(t)
	url, pid := serveProcess(t, dir, "--backend-store-uri", "store")

	target := url + "/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/large.bin"
	want := sha256.New()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, target, io.TeeReader(&zeros{size: size}, want))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("PUT: %s", response.Status)
	}
	if response, err = http.Get(target); err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got := sha256.New()
	if n, err := io.Copy(got, response.Body); err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("GET: %d bytes, %v; the same digest: %v", n, err, bytes.Equal(got.Sum(nil), want.Sum(nil)))
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(string(status))
	kb, err := strconv.Atoi(peak[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MB up and down; the server's memory peaked at %d MB", size>>20, kb>>10)
	if kb > 100<<10 {
		t.Errorf("the server used %d MB", kb>>10)
	}
}
