package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

const (
	backupWriters = 16
	batchKeys     = 20 // metrics of one batch: so many become a pack
)

// backupWriter logs batches to one run, each with all of its metrics at one step, a param and a file now and then.
type backupWriter struct {
	c     *mlflow.Client
	url   string
	run   mlflow.RunInfo
	acked atomic.Int64
	files atomic.Int64
}

func (w *backupWriter) write(ctx context.Context) error {
	for n := int64(1); ctx.Err() == nil; n++ {
		b := &mlflow.LogBatchRequest{RunID: w.run.RunID, Params: []mlflow.KeyValue{{Key: fmt.Sprint("p", n), Value: fmt.Sprint(n)}}}
		for k := range batchKeys {
			b.Metrics = append(b.Metrics, mlflow.Metric{Key: fmt.Sprint("m", k), Value: mlflow.Float(n), Timestamp: n, Step: n})
		}
		if err := w.c.LogBatch(ctx, b); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		w.acked.Store(n)
		if n%10 != 0 {
			continue
		}
		path := fmt.Sprintf("%s/api/2.0/mlflow-artifacts/artifacts/0/%s/artifacts/d/%d.txt", w.url, w.run.RunID, n)
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, path, strings.NewReader(strings.Repeat("x", int(n))))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("PUT %s: %s", path, resp.Status)
		}
		w.files.Store(n)
	}
	return nil
}

// TestABackupUnderLoadHasWhatWasAcknowledgedBeforeIt backs a store up while 16 clients write, restores the backup into
// both kinds of database, and looks whether each write that was acknowledged before the backup began is there, and each
// batch whole.
func TestABackupUnderLoadHasWhatWasAcknowledgedBeforeIt(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		t.Parallel()
		dir := storeDir(t)
		store := []string{"--backend-store-uri", uri, "--artifacts-destination", "files"}
		url, _ := serveProcess(t, dir, store...)
		writers := make([]*backupWriter, backupWriters)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var wg sync.WaitGroup
		for i := range writers {
			c := impatient(t, url)
			run, err := c.CreateRun(t.Context(), &mlflow.CreateRunRequest{RunName: fmt.Sprint("writer ", i)})
			if err != nil {
				t.Fatal(err)
			}
			w := &backupWriter{c: c, url: url, run: run.Info}
			writers[i] = w
			wg.Go(func() {
				if err := w.write(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		waitUntil(t, "every client has written 30 batches", func() bool {
			for _, w := range writers {
				if w.acked.Load() < 30 {
					return false
				}
			}
			return true
		})
		before, files := make([]int64, len(writers)), make([]int64, len(writers))
		for i, w := range writers {
			before[i], files[i] = w.acked.Load(), w.files.Load()
		}
		backup := filepath.Join(dir, "backup")
		if out, err := weir(t, dir, append([]string{"db", "backup", backup, "--artifacts"}, store...)...).CombinedOutput(); err != nil {
			t.Fatalf("backup: %v\n%s", err, out)
		}
		moved := int64(0)
		for i, w := range writers {
			moved += w.acked.Load() - before[i]
		}
		if moved == 0 {
			t.Error("nobody wrote during the backup: nothing was tested")
		}
		stop()
		wg.Wait()

		var dumps []string
		for kind, target := range map[string]string{"folder": filepath.Join(dir, "restored"), "postgres": sqldbtest.PostgresURI(t)} {
			restored := []string{"--backend-store-uri", target, "--artifacts-destination", filepath.Join(dir, "files-"+kind)}
			if out, err := weir(t, dir, append([]string{"db", "restore", backup}, restored...)...).CombinedOutput(); err != nil {
				t.Fatalf("restore into %s: %v\n%s", kind, err, out)
			}
			if out, err := weir(t, dir, append([]string{"db", "check", "--artifacts"}, restored...)...).CombinedOutput(); err != nil {
				t.Errorf("check of %s: %v\n%s", kind, err, out)
			}
			url, _ := serveProcess(t, dir, restored...)
			c := client(t, url)
			var all []string
			for i, w := range writers {
				n := checkBackedUp(t, c, w.run.RunID, before[i])
				all = append(all, fmt.Sprintf("%s %d", w.run.RunID, n))
				for n := int64(10); n <= files[i]; n += 10 {
					body := get(t, fmt.Sprintf("%s/api/2.0/mlflow-artifacts/artifacts/0/%s/artifacts/d/%d.txt", url, w.run.RunID, n))
					if int64(len(body)) != n {
						t.Errorf("file %d of writer %d has %d bytes", n, i, len(body))
					}
				}
			}
			sort.Strings(all)
			dumps = append(dumps, strings.Join(all, "\n"))
		}
		if diff := cmp.Diff(dumps[0], dumps[1]); diff != "" {
			t.Errorf("the two restored stores differ: %s", diff)
		}
	})
}

// checkBackedUp looks at the run of one writer and gives how many batches it has.
func checkBackedUp(t *testing.T, c *mlflow.Client, id string, atLeast int64) int64 {
	t.Helper()
	run, err := c.GetRun(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(len(run.Data.Params))
	if n < atLeast {
		t.Errorf("run %s has %d batches, %d were acknowledged before the backup", id, n, atLeast)
	}
	for k := range batchKeys {
		key, points := fmt.Sprint("m", k), int64(0)
		for m, err := range c.MetricHistory(t.Context(), id, key) {
			if err != nil {
				t.Fatal(err)
			}
			if points++; m.Step != points {
				t.Fatalf("run %s: point %d of %s is at step %d", id, points, key, m.Step)
			}
		}
		if points != n {
			t.Errorf("run %s has %d params and %d points of %s: a batch is there in part", id, n, points, key)
		}
	}
	return n
}

// waitUntil waits for something that other processes bring about.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after a minute it is not so that %s", what)
		}
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return body
}

// TestABackupThatFailsLeavesNothing backs up a database that is broken: nothing is there afterwards that looks like a backup.
func TestABackupThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := storeDir(t)
	if out, err := weir(t, dir, "experiments", "create", "-n", "e").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	db := filepath.Join(dir, "mlruns", "weir.db")
	waitUntil(t, "the folder's server has ended", func() bool { _, err := os.Stat(db + "-wal"); return os.IsNotExist(err) })
	whole, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte(nil), whole...)
	for i := 4096 * 3; i < len(broken); i += 4096 {
		copy(broken[i:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	}
	if err := os.WriteFile(db, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := weir(t, dir, "db", "backup", "copy").CombinedOutput(); err == nil {
		t.Errorf("a broken database was backed up:\n%s", out)
	}
	left, err := filepath.Glob(filepath.Join(dir, "copy*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
