package e2e

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// serveProcess starts `weir server` and ends it, well, when the test ends.
func serveProcess(t *testing.T, dir string, args ...string) (url string, pid int) {
	t.Helper()
	cmd := weir(t, dir, append([]string{"server", "--port", "0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endProcess(t, cmd) })
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the server said %q: %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	if url = regexp.MustCompile(`http://\S+`).FindString(line); url == "" {
		t.Fatalf("the server said %q", line)
	}
	return url, cmd.Process.Pid
}

func endProcess(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

func client(t *testing.T, url string) *mlflow.Client {
	t.Helper()
	c, err := mlflow.NewClient(url, mlflow.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTwoServersOnOnePostgreSQLSeeEachOthersWrites(t *testing.T) {
	t.Parallel()
	uri := sqldbtest.PostgresURI(t)
	dir := storeDir(t)
	first, _ := serveProcess(t, dir, "--backend-store-uri", uri)
	second, _ := serveProcess(t, dir, "--backend-store-uri", uri)
	one, two := client(t, first), client(t, second)
	ctx := t.Context()
	id, err := one.CreateExperiment(ctx, &mlflow.CreateExperimentRequest{Name: "shared"})
	if err != nil {
		t.Fatal(err)
	}
	run, err := two.CreateRun(ctx, &mlflow.CreateRunRequest{ExperimentID: id, StartTime: mlflow.Some(int64(1))})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		writer, reader := one, two
		if i%2 == 1 {
			writer, reader = two, one
		}
		point := &mlflow.LogMetricRequest{RunID: run.Info.RunID, Key: "loss", Value: mlflow.Float(i), Timestamp: int64(i), Step: int64(i)}
		if err := writer.LogMetric(ctx, point); err != nil {
			t.Fatal(err)
		}
		seen, err := reader.GetRun(ctx, run.Info.RunID)
		if err != nil {
			t.Fatal(err)
		}
		if len(seen.Data.Metrics) != 1 || seen.Data.Metrics[0].Value != mlflow.Float(i) {
			t.Fatalf("after point %d the other server shows %+v", i, seen.Data.Metrics)
		}
	}
}
