package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// TestTwoServersOnOneStoreServeSixteenClients lets 16 clients at once write through one server and read each write through
// the other one, on PostgreSQL and on one SQLite file. Meanwhile all of them try to make the same experiments.
func TestTwoServersOnOneStoreServeSixteenClients(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		t.Parallel()
		dir := storeDir(t)
		store := uri
		var urls [2]string
		for i := range urls {
			urls[i], _ = serveProcess(t, dir, "--backend-store-uri", store, "--artifacts-destination", "files")
		}
		const clients, rounds = 16, 20
		made := make([]int, rounds) // how many made each experiment
		var mu sync.Mutex
		var wg sync.WaitGroup
		for n := range clients {
			wg.Go(func() {
				writer, reader := client(t, urls[n%2]), client(t, urls[(n+1)%2])
				for i := range rounds {
					won, err := writeAndRead(t.Context(), writer, reader, n, i)
					if err != nil {
						t.Errorf("client %d, round %d: %v", n, i, err)
						return
					}
					if won {
						mu.Lock()
						made[i]++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		for i, n := range made {
			if n != 1 {
				t.Errorf("experiment %d was made by %d clients", i, n)
			}
		}
	})
}

// wideSteps is how many steps of many metrics a client of two servers logs.
const wideSteps = 4

// writeAndRead makes an experiment, unless another client was faster, and a run in it, and reads back what it wrote. A
// server may have seen the experiment's names before, or see them first in what the other one wrote.
func writeAndRead(ctx context.Context, writer, reader *mlflow.Client, n, i int) (won bool, err error) {
	name := fmt.Sprint("shared ", i)
	_, err = writer.CreateExperiment(ctx, &mlflow.CreateExperimentRequest{Name: name})
	if err != nil && mlflow.CodeOf(err) != mlflow.CodeResourceAlreadyExists {
		return false, err
	}
	won = err == nil
	e, err := reader.GetExperimentByName(ctx, name)
	if err != nil {
		return won, err
	}
	run, err := writer.CreateRun(ctx, &mlflow.CreateRunRequest{ExperimentID: e.ExperimentID})
	if err != nil {
		return won, err
	}
	id := run.Info.RunID
	batch := &mlflow.LogBatchRequest{RunID: id, Params: []mlflow.KeyValue{{Key: "who", Value: fmt.Sprint(n)}}, Tags: []mlflow.KeyValue{{Key: "round", Value: fmt.Sprint(i)}}}
	for step := range int64(40) {
		batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: "loss", Value: mlflow.Float(step), Timestamp: step, Step: step})
	}
	if err := writer.LogBatch(ctx, batch); err != nil {
		return won, err
	}
	// The two servers take turns with one metric of one run: numbers of points and blocks are not given twice.
	for step := int64(40); step < 44; step++ {
		to := writer
		if step%2 == 1 {
			to = reader
		}
		if err := to.LogMetric(ctx, &mlflow.LogMetricRequest{RunID: id, Key: "loss", Value: mlflow.Float(step), Timestamp: step, Step: step}); err != nil {
			return won, err
		}
	}
	// And with steps of many metrics, which are stored as packs.
	for step := range int64(wideSteps) {
		wide := &mlflow.LogBatchRequest{RunID: id}
		for k := range wideKeys {
			wide.Metrics = append(wide.Metrics, mlflow.Metric{Key: fmt.Sprint("w", k), Value: mlflow.Float(step), Timestamp: step, Step: step})
		}
		to := writer
		if step%2 == 1 {
			to = reader
		}
		if err := to.LogBatch(ctx, wide); err != nil {
			return won, err
		}
	}
	got, err := reader.GetRun(ctx, id)
	if err != nil {
		return won, err
	}
	if len(got.Data.Params) != 1 || got.Data.Params[0].Value != fmt.Sprint(n) || len(got.Data.Metrics) != 1+wideKeys || got.Data.Metrics[0].Step != 43 {
		return won, fmt.Errorf("the other server shows %+v", got.Data)
	}
	for key, want := range map[string]int64{"loss": 44, "w0": wideSteps, fmt.Sprint("w", wideKeys-1): wideSteps} {
		points := int64(0)
		for m, err := range reader.MetricHistory(ctx, id, key) {
			if err != nil {
				return won, err
			}
			if m.Step != points {
				return won, fmt.Errorf("point %d of %s is at step %d", points, key, m.Step)
			}
			points++
		}
		if points != want {
			return won, fmt.Errorf("%d points of %s", points, key)
		}
	}
	found, err := reader.SearchRuns(ctx, &mlflow.SearchRunsRequest{ExperimentIDs: []string{e.ExperimentID}, Filter: fmt.Sprintf("params.who = '%d' and metrics.loss = 43", n)})
	if err == nil && len(found.Runs) != 1 {
		err = fmt.Errorf("a search in the other server finds %d runs", len(found.Runs))
	}
	return won, err
}

// TestPostgreSQLThatGoesAwayIsWaitedFor takes the database from a running server and gives it back.
func TestPostgreSQLThatGoesAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	gate := newGate(t, sqldbtest.PostgresURI(t))
	address, _ := serveProcess(t, storeDir(t), "--backend-store-uri", gate.uri)
	c := impatient(t, address)
	ctx := t.Context()
	run, err := c.CreateRun(ctx, &mlflow.CreateRunRequest{RunName: "before"})
	if err != nil {
		t.Fatal(err)
	}
	status := func(path string) int {
		resp, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if got := status("/ready"); got != http.StatusOK {
		t.Errorf("/ready answers %d before", got)
	}
	acked := int64(0)
	write := func() error {
		err := c.LogMetric(ctx, &mlflow.LogMetricRequest{RunID: run.Info.RunID, Key: "m", Value: 1, Timestamp: acked + 1, Step: acked + 1})
		if err == nil {
			acked++
		}
		return err
	}
	for range 3 { // a server that recovers once may not recover twice
		if err := write(); err != nil {
			t.Fatal(err)
		}
		gate.close()
		for range 3 {
			began := time.Now()
			if err := write(); mlflow.CodeOf(err) != mlflow.CodeTemporarilyUnavailable {
				t.Fatalf("a write without a database: %v", err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("the answer took %v", took)
			}
		}
		if _, err := c.GetRun(ctx, run.Info.RunID); mlflow.CodeOf(err) != mlflow.CodeTemporarilyUnavailable {
			t.Errorf("a read without a database: %v", err)
		}
		if got := status("/ready"); got != http.StatusServiceUnavailable {
			t.Errorf("/ready answers %d without a database", got)
		}
		if got := status("/health"); got != http.StatusOK {
			t.Errorf("/health answers %d without a database", got)
		}
		gate.open(t)
		waitUntil(t, "the server is ready again", func() bool { return status("/ready") == http.StatusOK })
		if err := write(); err != nil {
			t.Fatalf("a write after the database came back: %v", err)
		}
	}
	points := int64(0)
	for _, err := range c.MetricHistory(ctx, run.Info.RunID, "m") {
		if err != nil {
			t.Fatal(err)
		}
		points++
	}
	if points != acked {
		t.Errorf("%d points are there, %d were acknowledged and the others refused", points, acked)
	}
}

// gate stands between a server and its PostgreSQL, on a socket of its own.
type gate struct {
	uri    string
	socket string
	target string
	mu     sync.Mutex
	listen net.Listener
	conns  []net.Conn
	served sync.WaitGroup
}

func newGate(t *testing.T, uri string) *gate {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	const name = ".s.PGSQL.5432"
	dir, err := os.MkdirTemp("", "weir-gate") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{socket: filepath.Join(dir, name), target: filepath.Join(query.Get("host"), name)}
	query.Set("host", dir)
	before, _, _ := strings.Cut(uri, "?")
	g.uri = before + "?" + query.Encode()
	g.open(t)
	t.Cleanup(func() {
		g.close()
		g.served.Wait()
		os.RemoveAll(dir)
	})
	return g
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", g.socket)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.listen = l
	g.mu.Unlock()
	g.served.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			out, err := net.Dial("unix", g.target)
			if err != nil {
				t.Error(err)
				in.Close()
				continue
			}
			g.mu.Lock()
			if g.listen != l { // closed meanwhile
				in.Close()
				out.Close()
			}
			g.conns = append(g.conns, in, out)
			g.mu.Unlock()
			g.served.Go(func() { _, _ = io.Copy(out, in); out.Close() })
			g.served.Go(func() { _, _ = io.Copy(in, out); in.Close() })
		}
	})
}

// close breaks every connection and takes no new ones.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listen == nil {
		return
	}
	g.listen.Close()
	g.listen = nil
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
}
