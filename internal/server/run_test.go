package server

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// start runs a server until the test ends; stop ends it earlier and gives what Run returned.
func start(t *testing.T, c Config) (ready Ready, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	answers := make(chan Ready, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, c, func(r Ready) error {
			answers <- r
			return nil
		})
	}()
	done := false
	stop = func() error {
		if done {
			return nil
		}
		done = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case ready = <-answers:
	case err := <-ended:
		done = true
		t.Fatal(err)
	}
	return ready, stop
}

func TestStoppingFinishesRequestsThatRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready, stop := start(t, Config{BackendStoreURI: filepath.Join(dir, "store"), Dir: dir})
	body, upload := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, ready.URL+"/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/f.txt", body)
	if err != nil {
		t.Fatal(err)
	}
	// The body is sent once the server asks for it, which it does when a handler reads.
	req.Header.Set("Expect", "100-continue")
	transport := &http.Transport{ExpectContinueTimeout: time.Minute, DisableKeepAlives: true}
	answer := make(chan *http.Response, 1)
	go func() {
		response, err := transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
		}
		answer <- response
	}()
	if _, err := io.WriteString(upload, "first half, "); err != nil { // the server is reading it
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// New clients are refused once the server stops; the upload goes on.
	for {
		response, err := http.Get(ready.URL + "/health")
		if err != nil {
			break
		}
		response.Body.Close()
	}
	if _, err := io.WriteString(upload, "second half"); err != nil {
		t.Fatal(err)
	}
	upload.Close()
	if response := <-answer; response == nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the upload that was under way got %v", response)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "store", "0", "r", "artifacts", "f.txt"))
	if err != nil || string(data) != "first half, second half" {
		t.Errorf("stored %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "store", "weir.db-wal")); err == nil {
		t.Error("the write-ahead log is left behind")
	}
}

func TestHeaderLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready, _ := start(t, Config{BackendStoreURI: filepath.Join(dir, "store"), Dir: dir})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ready.URL+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: %s", response.Status)
	}
}

func TestASecondServerOnAFolderWithLeasesIsBusy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := Config{BackendStoreURI: filepath.Join(dir, "store"), Dir: dir, Lease: true}
	ready, stop := start(t, c)
	var line strings.Builder
	err := Run(t.Context(), c, func(Ready) error { return nil })
	if !SayBusy(&line, err) || line.String() != `{"url":"","token":"","pid":0,"version":"","busy":true}`+"\n" {
		t.Errorf("got %v and %q", err, line.String())
	}
	store, err := ParseStore(c.BackendStoreURI, dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := Connect(t.Context(), ConnectOptions{Store: store, Executable: "/does/not/exist"})
	if err != nil || found != ready {
		t.Errorf("Connect found %+v, %v, not %+v", found, err, ready)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := Connect(t.Context(), ConnectOptions{Store: store, Executable: "/does/not/exist"}); err == nil || !strings.Contains(err.Error(), "start a server") {
		t.Errorf("after the end: %v", err)
	}
}

func TestAServerWithLeasesEndsByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := Config{BackendStoreURI: "sqlite:///" + filepath.Join(dir, "x.db"), Dir: dir, Lease: true, LeaseStart: 20 * time.Millisecond, LeaseGrace: 20 * time.Millisecond}
	if err := Run(t.Context(), c, func(Ready) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "x.db.weir.lock")); err != nil || len(data) > 0 {
		t.Errorf("the lock holds %q, %v", data, err)
	}
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/weir-ml/weir/internal/sqldb/sqldbtest.reap"))
}
