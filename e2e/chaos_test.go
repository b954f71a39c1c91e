package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

const chaosWriters = 8

// TestChaos kills the server with SIGKILL at random moments while clients write, starts it again and looks whether what
// it acknowledged is there and whether what was under way is whole or absent. `make chaos N=100 SEED=7` runs more rounds,
// or the same ones again: the seed fixes what is written and when the server is killed, though not how the clients
// interleave. PostgreSQL, which is not killed, gets a quarter of the rounds. The ledgers stay with `go test -artifacts`.
func TestChaos(t *testing.T) {
	rounds, seed := 3, uint64(time.Now().UnixNano())
	if n, err := strconv.Atoi(os.Getenv("WEIR_CHAOS_ROUNDS")); err == nil {
		rounds = n
	}
	if n, err := strconv.ParseUint(os.Getenv("WEIR_CHAOS_SEED"), 10, 64); err == nil {
		seed = n
	}
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		n := rounds
		if filepath.Base(t.Name()) == "postgres" {
			n = max(1, rounds/4)
		}
		c := &chaos{seed: seed, dir: storeDir(t), ledgers: t.ArtifactDir(), store: []string{"--backend-store-uri", uri, "--artifacts-destination", "files"}}
		c.run(t, n)
	})
}

// chaos is a store whose server is killed again and again.
type chaos struct {
	seed         uint64
	dir, ledgers string
	store        []string
	starts       []time.Duration // how long the server took to answer
	all          []*chaosRun
	unborn       []string // files whose upload was broken off
}

func (c *chaos) run(t *testing.T, rounds int) {
	t.Logf("%d rounds, seed %d", rounds, c.seed)
	for round := range rounds {
		written := len(c.all)
		c.round(t, round)
		c.check(t, c.all[written:])
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, c.seed)
		}
	}
	// What was there after its round is still there after all the others.
	c.check(t, c.all)
	acked, folded, kinds := 0, 0, map[string]int{}
	for _, r := range c.all {
		if len(r.stored.Points["w0"]) >= 67*wideMost {
			folded++
		}
		acked += r.acked
		for kind, n := range r.kinds {
			kinds[kind] += n
		}
	}
	slices.Sort(c.starts)
	t.Logf("%d acknowledged writes (%v), the packs of %d runs were folded; the server answered %v after its start (median), %v at worst",
		acked, kinds, folded, c.starts[len(c.starts)/2], c.starts[len(c.starts)-1])
	if median := c.starts[len(c.starts)/2]; median > time.Second {
		t.Errorf("a start takes %v", median)
	}
	if acked < rounds*chaosWriters {
		t.Errorf("only %d writes were acknowledged: nothing was tested", acked)
	}
}

// round has clients write to a server until it is killed.
func (c *chaos) round(t *testing.T, round int) {
	url, server := c.start(t)
	writers := make([]*chaosWriter, chaosWriters)
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for i := range writers {
		w := &chaosWriter{
			c:      impatient(t, url),
			rng:    rand.New(rand.NewPCG(c.seed, uint64(round*chaosWriters+i))),
			ledger: openLedger(t, filepath.Join(c.ledgers, fmt.Sprintf("%d-%d.jsonl", round, i))),
			run:    &chaosRun{name: fmt.Sprintf("%d-%d", round, i), stored: newState(), kinds: map[string]int{}},
			wide:   i == 0,
		}
		writers[i] = w
		c.all = append(c.all, w.run)
		wg.Go(func() {
			if err := w.write(ctx); err != nil {
				t.Errorf("ledger: %v", err)
			}
		})
	}
	rng := rand.New(rand.NewPCG(c.seed, uint64(1<<32+round)))
	time.Sleep(200*time.Millisecond + time.Duration(rng.Int64N(int64(1800*time.Millisecond))))
	_ = server.Process.Kill()
	_ = server.Wait()
	stop()
	wg.Wait()
	for _, w := range writers {
		w.ledger.Close()
	}
}

// start starts the server and notes the time until it answers.
func (c *chaos) start(t *testing.T) (url string, server *exec.Cmd) {
	t.Helper()
	begin := time.Now()
	url, server = spawn(t, c.dir, c.store...)
	resp, err := http.Get(url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c.starts = append(c.starts, time.Since(begin))
	return url, server
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

// check starts the server, reads runs through the API and compares them with what was written.
func (c *chaos) check(t *testing.T, runs []*chaosRun) {
	t.Helper()
	url, server := c.start(t)
	reader := impatient(t, url)
	names := map[string]int{}
	for run, err := range reader.Runs(t.Context(), mlflow.SearchRunsRequest{ExperimentIDs: []string{"0"}}) {
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
		without := r.stored.sorted()
		got := readState(t, reader, r)
		if diff := cmp.Diff(without, got); diff == "" {
			if r.unsure != nil && r.unsure.Kind == "file" {
				c.unborn = append(c.unborn, "0/"+r.id+"/artifacts/d/"+r.unsure.Name)
			}
			r.unsure = nil // and stays out
		} else if r.unsure != nil && cmp.Equal(r.stored.with(r.unsure).sorted(), got) {
			r.stored.add(r.unsure) // and stays in
			r.unsure = nil
		} else {
			t.Errorf("run %s is neither without nor with its last write (-acknowledged +found):\n%.4000s", r.name, diff)
		}
	}
	endProcess(t, server)
	c.fsck(t)
}

// fsck has `weir db check` compute everything again: the database's own check, all that is kept twice, the SHA-256 of
// files. The row of a file is written before the file appears, so it may tell of one whose upload was broken off between.
func (c *chaos) fsck(t *testing.T) {
	t.Helper()
	out, err := weir(t, c.dir, append([]string{"db", "check", "--artifacts"}, c.store...)...).CombinedOutput()
	found, known := 0, 0
	for line := range strings.Lines(string(out)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "FOUND "); ok {
			found++
			path, missing := strings.CutSuffix(strings.TrimPrefix(path, "artifacts: "), " is missing")
			if missing && slices.Contains(c.unborn, path) {
				known++
			}
		}
	}
	if found != known || (err != nil) != (found > 0) || (found == 0) != strings.Contains(string(out), "nothing is wrong") {
		t.Errorf("db check: %v\n%s", err, out)
	}
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
