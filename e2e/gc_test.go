package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// TestAGCThatIsKilledGoesOn kills `weir gc` again and again while a server works on the store and clients write. In the end
// nothing of the deleted runs is left, everything else is whole, and no client has noticed.
func TestAGCThatIsKilledGoesOn(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		t.Parallel()
		dir := storeDir(t)
		store := []string{"--backend-store-uri", uri, "--artifacts-destination", "files"}
		url, _ := serveProcess(t, dir, store...)
		const runs = 480
		kept := fillForGC(t, url, runs)

		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var wg sync.WaitGroup
		var mu sync.Mutex
		var took []time.Duration
		for n := range 4 {
			wg.Go(func() {
				c := impatient(t, url)
				for i := int64(1); ctx.Err() == nil; i++ {
					began := time.Now()
					err := c.LogMetric(t.Context(), &mlflow.LogMetricRequest{RunID: kept[n], Key: "beside", Value: mlflow.Float(i), Timestamp: i, Step: i})
					if err != nil {
						t.Errorf("a write beside a gc: %v", err)
						return
					}
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		killed := 0
		for range 12 {
			gc := weir(t, dir, append([]string{"gc"}, store...)...)
			if err := gc.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(40+rand.IntN(250)) * time.Millisecond)
			if gc.Process.Kill() == nil && gc.Wait() != nil {
				killed++
			}
		}
		out, err := weir(t, dir, append([]string{"gc"}, store...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("the last gc: %v\n%s", err, out)
		}
		stop()
		wg.Wait()
		if killed == 0 {
			t.Error("no gc was killed: nothing was tested")
		}
		slices.Sort(took)
		t.Logf("%d gcs were killed; %d writes beside them, p99 %v; %s", killed, len(took), took[len(took)*99/100], lastLine(out))

		if out, err := weir(t, dir, append([]string{"db", "check", "--artifacts", "--json"}, store...)...).CombinedOutput(); err != nil ||
			!strings.Contains(string(out), `"unfinished": 0`) || !strings.Contains(string(out), fmt.Sprintf(`"runs": %d`, len(kept))) {
			t.Errorf("check: %v\n%s", err, out)
		}
		folders, err := os.ReadDir(filepath.Join(dir, "files", "0"))
		if err != nil || len(folders) != len(kept) {
			t.Errorf("the files of %d runs are there, %d runs stay: %v", len(folders), len(kept), err)
		}
		for _, id := range kept {
			if got := get(t, url+"/get-artifact?path=a.txt&run_id="+id); string(got) != id {
				t.Errorf("run %s has the file %q", id, got)
			}
		}
	})
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// fillForGC makes runs with metrics and a file each, deletes all but each tenth, and gives those.
func fillForGC(t *testing.T, url string, runs int) (kept []string) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			c := client(t, url)
			for i := w; i < runs; i += 8 {
				id, err := runForGC(t.Context(), c, url)
				if err != nil {
					t.Error(err)
					return
				}
				if i%10 == 0 {
					mu.Lock()
					kept = append(kept, id)
					mu.Unlock()
					continue
				}
				if err := c.DeleteRun(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return kept
}

func runForGC(ctx context.Context, c *mlflow.Client, url string) (id string, err error) {
	run, err := c.CreateRun(ctx, &mlflow.CreateRunRequest{ExperimentID: "0"})
	if err != nil {
		return "", err
	}
	id = run.Info.RunID
	b := &mlflow.LogBatchRequest{RunID: id}
	for i := range int64(400) {
		b.Metrics = append(b.Metrics, mlflow.Metric{Key: fmt.Sprint("m", i%20), Value: mlflow.Float(i), Timestamp: i, Step: i})
	}
	for i := range 50 {
		b.Params = append(b.Params, mlflow.KeyValue{Key: fmt.Sprint("p", i), Value: "v"})
	}
	if err := c.LogBatch(ctx, b); err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url+"/api/2.0/mlflow-artifacts/artifacts/0/"+id+"/artifacts/a.txt", strings.NewReader(id))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("PUT: %s", resp.Status)
	}
	return id, nil
}
