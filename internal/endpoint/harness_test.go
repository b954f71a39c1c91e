package endpoint

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var modelsDir string

func TestMain(m *testing.M) {
	if os.Getenv("WEIR_TEST_SERVER") != "" {
		serveForever()
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if _, err := exec.LookPath("Rscript"); err != nil {
		fmt.Println("R is not installed: the tests of package endpoint are skipped")
		return 0
	}
	dir, err := os.MkdirTemp("", "weir-endpoint-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, script := range []string{"testdata/models.R", "testdata/classes.R"} {
		if out, err := exec.Command("Rscript", "--vanilla", script, dir, "testdata").CombinedOutput(); err != nil {
			fmt.Printf("make the models: %v\n%s", err, out)
			return 1
		}
	}
	modelsDir = dir
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Println(err)
			return 1
		}
		if left := workersOf(os.Getpid()); len(left) > 0 {
			fmt.Println("R processes are left:", left)
			return 1
		}
	}
	return code
}

func workersOf(pid int) []string {
	var out []string
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		after := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(after) > 1 && after[0] != "Z" && after[1] == strconv.Itoa(pid) {
			out = append(out, filepath.Base(filepath.Dir(path)))
		}
	}
	return out
}

func serve(t *testing.T, name string, change func(*Config)) (*Endpoint, *httptest.Server) {
	t.Helper()
	cfg := Config{Dir: filepath.Join(modelsDir, name), Workers: 1, Timeout: 20 * time.Second, Version: "3.0.0", Getenv: os.Getenv, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	e, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e.Handler())
	t.Cleanup(func() {
		server.Close()
		server.Client().CloseIdleConnections()
		if err := e.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := e.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e, server
}

func post(t *testing.T, server *httptest.Server, path, contentType, body string) (int, string) {
	t.Helper()
	resp, err := server.Client().Post(server.URL+path, contentType, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(data))
}

func order(do string) string { return fmt.Sprintf(`{"dataframe_records": [{"do": %q}]}`, do) }

func expected(t *testing.T, expression string) []float64 {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "-e", "cat(sprintf('%.17g', "+expression+"))").Output()
	if err != nil {
		t.Fatal(err)
	}
	var v []float64
	for _, f := range strings.Fields(string(out)) {
		x, err := strconv.ParseFloat(f, 64)
		if err != nil {
			t.Fatal(err)
		}
		v = append(v, x)
	}
	return v
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it does not happen within 10 s")
		}
	}
}

// serveForever is what the test binary does when TestNoWorkerOutlivesAKilledServer runs it as a server of its own.
func serveForever() {
	e, err := New(context.Background(), Config{Dir: os.Getenv("WEIR_TEST_SERVER"), Workers: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	if err := e.Ready(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(httptest.NewServer(e.Handler()).URL)
	select {}
}
