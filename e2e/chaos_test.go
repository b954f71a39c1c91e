package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/mlflow"
)

const (
	chaosWriters = 8
	chaosKeys    = 3
)

// TestChaos kills the server with SIGKILL at random moments while clients write, starts it again and looks whether what
// it acknowledged is there and whether what was under way is whole or absent. `make chaos N=100 SEED=7` runs more rounds,
// or the same ones again: the seed fixes what is written and when the server is killed, though not how the clients
// interleave. The ledgers stay with `go test -artifacts`.
func TestChaos(t *testing.T) {
	rounds, seed := 3, uint64(time.Now().UnixNano())
	if n, err := strconv.Atoi(os.Getenv("WEIR_CHAOS_ROUNDS")); err == nil {
		rounds = n
	}
	if n, err := strconv.ParseUint(os.Getenv("WEIR_CHAOS_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("%d rounds, seed %d", rounds, seed)
	dir, ledgers := storeDir(t), t.ArtifactDir()
	database := "sqlite:///" + filepath.ToSlash(filepath.Join(dir, "weir.db"))
	var starts []time.Duration
	var all []*chaosRun
	for round := range rounds {
		url, server, took := startTimed(t, dir, "--backend-store-uri", database)
		starts = append(starts, took)
		writers := make([]*chaosWriter, chaosWriters)
		var wg sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for i := range writers {
			w := &chaosWriter{
				c:      impatient(t, url),
				rng:    rand.New(rand.NewPCG(seed, uint64(round*chaosWriters+i))),
				ledger: openLedger(t, filepath.Join(ledgers, fmt.Sprintf("%d-%d.jsonl", round, i))),
				run:    &chaosRun{name: fmt.Sprintf("%d-%d", round, i)},
			}
			writers[i] = w
			wg.Go(func() {
				if err := w.write(ctx); err != nil {
					t.Errorf("ledger: %v", err)
				}
			})
		}
		rng := rand.New(rand.NewPCG(seed, uint64(1<<32+round)))
		time.Sleep(200*time.Millisecond + time.Duration(rng.Int64N(int64(1800*time.Millisecond))))
		_ = server.Process.Kill()
		_ = server.Wait()
		stop()
		wg.Wait()
		written := len(all)
		for _, w := range writers {
			w.ledger.Close()
			all = append(all, w.run)
		}
		checkChaos(t, dir, database, all[written:], &starts)
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
	// What was there after its round is still there after all the others.
	checkChaos(t, dir, database, all, &starts)
	acked := 0
	for _, r := range all {
		acked += r.acked
	}
	slices.Sort(starts)
	t.Logf("%d acknowledged writes; the server answered %v after its start (median), %v at worst", acked, starts[len(starts)/2], starts[len(starts)-1])
	if median := starts[len(starts)/2]; median > time.Second {
		t.Errorf("a start takes %v", median)
	}
	if acked < rounds*chaosWriters {
		t.Errorf("only %d writes were acknowledged: nothing was tested", acked)
	}
}

// startTimed starts a server and gives the time until it answers.
func startTimed(t *testing.T, dir string, args ...string) (url string, cmd *exec.Cmd, took time.Duration) {
	t.Helper()
	begin := time.Now()
	url, cmd = spawn(t, dir, args...)
	resp, err := http.Get(url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return url, cmd, time.Since(begin)
}

// impatient is a client that does not try again: what fails has an unknown outcome.
func impatient(t *testing.T, url string) *mlflow.Client {
	t.Helper()
	c, err := mlflow.NewClient(url, mlflow.ClientOptions{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// chaosRun is what one client wrote to one run: what it knows to be stored, and the one write whose answer it missed.
type chaosRun struct {
	name, id string
	stored   runState
	unsure   *mlflow.LogBatchRequest
	acked    int
}

// runState is a run as its readers see it.
type runState struct {
	Points map[string][]mlflow.Metric // in the order of histories
	Params map[string]string
	Tags   map[string]string
}

func (s *runState) with(b *mlflow.LogBatchRequest) runState {
	next := newState()
	for key, points := range s.Points {
		next.Points[key] = slices.Clone(points)
	}
	for key, value := range s.Params {
		next.Params[key] = value
	}
	for key, value := range s.Tags {
		next.Tags[key] = value
	}
	for _, m := range b.Metrics {
		next.Points[m.Key] = append(next.Points[m.Key], m)
	}
	for _, points := range next.Points {
		slices.SortFunc(points, func(a, b mlflow.Metric) int { return int(a.Timestamp - b.Timestamp) }) // which are all different
	}
	for _, p := range b.Params {
		next.Params[p.Key] = p.Value
	}
	for _, p := range b.Tags {
		next.Tags[p.Key] = p.Value
	}
	return next
}

func newState() runState {
	return runState{Points: map[string][]mlflow.Metric{}, Params: map[string]string{}, Tags: map[string]string{}}
}

// chaosWriter writes to a run of its own until the server is gone.
type chaosWriter struct {
	c      *mlflow.Client
	rng    *rand.Rand
	ledger *os.File
	run    *chaosRun
	n      int64 // points so far
}

func openLedger(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// note adds a line to the ledger and has it on disk before it returns.
func (w *chaosWriter) note(what string, v any) error {
	text, err := json.Marshal(map[string]any{what: v})
	if err != nil {
		return err
	}
	if _, err := w.ledger.Write(append(text, '\n')); err != nil {
		return err
	}
	return w.ledger.Sync()
}

func (w *chaosWriter) write(ctx context.Context) error {
	w.run.stored = newState()
	if err := w.note("create", w.run.name); err != nil {
		return err
	}
	run, err := w.c.CreateRun(ctx, &mlflow.CreateRunRequest{RunName: w.run.name})
	if err != nil {
		return nil
	}
	w.run.id = run.Info.RunID
	if err := w.note("created", w.run.id); err != nil {
		return err
	}
	for {
		b, send := w.next()
		if err := w.note("send", b); err != nil {
			return err
		}
		w.run.unsure = b
		if send(ctx) != nil {
			return nil
		}
		if err := w.note("stored", true); err != nil {
			return err
		}
		w.run.stored, w.run.unsure = w.run.stored.with(b), nil
		w.run.acked++
	}
}

// next makes a write, as a batch and as the call that sends it.
func (w *chaosWriter) next() (*mlflow.LogBatchRequest, func(context.Context) error) {
	b := &mlflow.LogBatchRequest{RunID: w.run.id}
	serial := fmt.Sprint(w.n)
	switch kind := w.rng.IntN(10); {
	case kind < 4:
		m := w.point()
		b.Metrics = []mlflow.Metric{m}
		return b, func(ctx context.Context) error {
			return w.c.LogMetric(ctx, &mlflow.LogMetricRequest{RunID: w.run.id, Key: m.Key, Value: m.Value, Timestamp: m.Timestamp, Step: m.Step})
		}
	case kind < 5:
		w.n++
		b.Tags = []mlflow.KeyValue{{Key: "last", Value: serial}}
		return b, func(ctx context.Context) error { return w.c.SetTag(ctx, w.run.id, "last", serial) }
	}
	for range 1 + w.rng.IntN(200) {
		b.Metrics = append(b.Metrics, w.point())
	}
	b.Params = []mlflow.KeyValue{{Key: "p" + serial, Value: serial}}
	b.Tags = []mlflow.KeyValue{{Key: "batch", Value: serial}, {Key: "t" + serial, Value: serial}}
	return b, func(ctx context.Context) error { return w.c.LogBatch(ctx, b) }
}

// point makes a point whose step is not always the greatest and whose time no other point of the run has.
func (w *chaosWriter) point() mlflow.Metric {
	w.n++
	return mlflow.Metric{
		Key: fmt.Sprint("m", w.rng.IntN(chaosKeys)), Value: mlflow.Float(w.rng.NormFloat64()), Timestamp: w.n, Step: w.rng.Int64N(1000),
	}
}

// checkChaos starts the server, reads runs through the API and compares them with what was written.
func checkChaos(t *testing.T, dir, database string, runs []*chaosRun, starts *[]time.Duration) {
	t.Helper()
	url, server, took := startTimed(t, dir, "--backend-store-uri", database)
	*starts = append(*starts, took)
	c := impatient(t, url)
	ctx := t.Context()
	names := map[string]int{}
	for run, err := range c.Runs(ctx, mlflow.SearchRunsRequest{ExperimentIDs: []string{"0"}}) {
		if err != nil {
			t.Fatal(err)
		}
		names[run.Info.RunName]++
	}
	for _, r := range runs {
		if n := names[r.name]; n > 1 || (n == 0 && r.id != "") {
			t.Errorf("run %s is there %d times", r.name, n)
		}
		if r.id == "" {
			continue
		}
		got := readState(t, c, r.id)
		if diff := cmp.Diff(r.stored, got); diff == "" {
			r.unsure = nil // and stays out
		} else if r.unsure != nil && cmp.Equal(r.stored.with(r.unsure), got) {
			r.stored, r.unsure = r.stored.with(r.unsure), nil // and stays in
		} else {
			t.Errorf("run %s is neither without nor with its last write (-acknowledged +found):\n%.4000s", r.name, diff)
		}
	}
	endProcess(t, server)
	db, err := sqldb.Open(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if faults, err := db.Check(ctx); err != nil || len(faults) > 0 {
		t.Errorf("the database is damaged: %q, %v", faults, err)
	}
	if _, err := tracking.Check(ctx, db, func(what string) { t.Error(what) }); err != nil {
		t.Error(err)
	}
}

// readState reads a run and compares its summaries with its histories.
func readState(t *testing.T, c *mlflow.Client, id string) runState {
	t.Helper()
	ctx := t.Context()
	run, err := c.GetRun(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	s := newState()
	for _, p := range run.Data.Params {
		s.Params[p.Key] = p.Value
	}
	for _, p := range run.Data.Tags {
		if p.Key != "mlflow.runName" {
			s.Tags[p.Key] = p.Value
		}
	}
	latest := map[string]mlflow.Metric{}
	for _, m := range run.Data.Metrics {
		latest[m.Key] = m
	}
	for k := range chaosKeys {
		key := fmt.Sprint("m", k)
		var points []mlflow.Metric
		for m, err := range c.MetricHistory(ctx, id, key) {
			if err != nil {
				t.Fatal(err)
			}
			m.RunID = ""
			points = append(points, *m)
		}
		if points == nil {
			if _, ok := latest[key]; ok {
				t.Errorf("run %s has a value of %s and no points", id, key)
			}
			continue
		}
		s.Points[key] = points
		last, low, high := points[0], points[0].Value, points[0].Value
		for _, m := range points[1:] {
			if m.Step > last.Step || (m.Step == last.Step && m.Timestamp > last.Timestamp) {
				last = m
			}
			low, high = min(low, m.Value), max(high, m.Value)
		}
		if diff := cmp.Diff(last, latest[key]); diff != "" {
			t.Errorf("run %s: the latest %s is not that of its history: %s", id, key, diff)
		}
		found, err := c.SearchRuns(ctx, &mlflow.SearchRunsRequest{ExperimentIDs: []string{"0"}, Filter: fmt.Sprintf(
			"attributes.run_id = '%s' and min(metrics.%s) = %s and max(metrics.%s) = %s", id, key, low.AppendJSON(nil), key, high.AppendJSON(nil))})
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Runs) != 1 {
			t.Errorf("run %s: the least and greatest %s are not %s and %s, those of its history", id, key, low.AppendJSON(nil), high.AppendJSON(nil))
		}
	}
	return s
}

// spawn starts `weir server` and gives its address. The caller ends it; a test that fails does not leave it behind.
func spawn(t *testing.T, dir string, args ...string) (string, *exec.Cmd) {
	t.Helper()
	cmd := weir(t, dir, append([]string{"server", "--port", "0"}, args...)...)
	said := &addressWriter{found: make(chan string, 1)}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	select {
	case url := <-said.found:
		return url, cmd
	case <-time.After(30 * time.Second):
		t.Fatal("the server named no address")
	}
	return "", nil
}

var address = regexp.MustCompile(`http://\S+`)

// addressWriter looks for the first address in what a server says.
type addressWriter struct {
	found chan string
	said  bytes.Buffer
	done  bool
}

func (w *addressWriter) Write(p []byte) (int, error) {
	if !w.done {
		w.said.Write(p)
		if url := address.FindString(w.said.String()); url != "" && bytes.HasSuffix(w.said.Bytes(), []byte("\n")) {
			w.done = true
			w.found <- url
		}
	}
	return len(p), nil
}
