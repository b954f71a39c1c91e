package endpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

func pidOf(t *testing.T, ask func(do string) (int, string)) string {
	t.Helper()
	status, body := ask(order("pid"))
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	return body
}

func TestAWorkerIsReplacedAfterItsRequests(t *testing.T) {
	t.Parallel()
	for _, spares := range []int{0, 1} {
		_, server := serve(t, "obey", func(c *Config) { c.MaxRequests, c.Spares = 5, spares })
		ask := func(do string) (int, string) { return post(t, server, "/invocation", "application/json", do) }
		pids := map[string]int{}
		await(t, func() bool {
			pids[pidOf(t, ask)]++
			return len(pids) == 4
		})
		for pid, n := range pids {
			if n < 5 && spares == 0 && n > 1 { // the last one has only begun
				t.Errorf("worker %s did %d requests", pid, n)
			}
		}
	}
}

func TestASpareTakesThePlaceOfADeadWorkerAtOnce(t *testing.T) {
	t.Parallel()
	e, server := serve(t, "obey", func(c *Config) { c.Spares = 1 })
	ask := func(do string) (int, string) { return post(t, server, "/invocation", "application/json", do) }
	for range 3 {
		first := pidOf(t, ask)
		await(t, func() bool { return e.spareWorkers.Load() == 1 })
		if status, _ := ask(order("quit")); status != 502 {
			t.Errorf("quit: %d", status)
		}
		began := time.Now()
		if next := pidOf(t, ask); next == first {
			t.Error("the same process answers")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the next answer came after %s", took)
		}
	}
}

func TestAWorkerThatGrowsIsReplaced(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "obey", func(c *Config) { c.MaxMemory = 300 << 20 })
	ask := func(do string) (int, string) { return post(t, server, "/invocation", "application/json", do) }
	first := pidOf(t, ask)
	hoard := func(mb int) string {
		return fmt.Sprintf(`[{"do": "eval", "code": "{ assign('hoard', rep(1, %d * 131072), globalenv()); 1 }"}]`, mb)
	}
	if status, body := ask(hoard(100)); status != 200 {
		t.Fatalf("100 MB: %d %s", status, body)
	}
	for range 40 {
		if pidOf(t, ask) != first {
			t.Fatal("it was replaced below the limit")
		}
	}
	if status, body := ask(hoard(900)); status != 500 || !strings.Contains(body, "cannot allocate vector") {
		t.Errorf("900 MB: %d %s", status, body)
	}
	if status, body := ask(hoard(350)); status != 200 {
		t.Errorf("350 MB: %d %s", status, body)
	}
	await(t, func() bool { return pidOf(t, ask) != first })
}

func TestFoldersOfKilledServersAreRemoved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	old := time.Now().Add(-2 * tempGrace)
	make := func(name string, lock bool) string {
		dir := filepath.Join(parent, name)
		if err := os.MkdirAll(filepath.Join(dir, "worker-1", "Rtmp1"), 0o700); err != nil {
			t.Fatal(err)
		}
		if lock {
			if err := os.WriteFile(filepath.Join(dir, tempLock), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	killed, alive, young := make(tempPrefix+"killed", true), make(tempPrefix+"alive", true), make(tempPrefix+"young", true)
	other, foreign := make("weir-else", true), make(tempPrefix+"foreign", false)
	f, err := os.OpenFile(filepath.Join(alive, tempLock), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := tryLock(f); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(young, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	cleanTemp(parent, time.Now())
	for dir, want := range map[string]bool{killed: false, alive: true, young: true, other: true, foreign: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s is there: %v", dir, err == nil)
		}
	}
}

func TestAModelThatWasChangedIsNotServed(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(modelsDir, "lm", "crate.bin"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	spec := fmt.Sprintf("flavors: {crate: {model: crate.bin}}\nsha256: {crate.bin: %x}\n", sha256.Sum256(data))
	for name, content := range map[string]string{"MLmodel": spec, "crate.bin": string(data)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(t.Context(), Config{Dir: dir, Workers: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "crate.bin"), append(data, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = New(t.Context(), Config{Dir: dir, Workers: 1})
	if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), "crate.bin is not the one that was logged") {
		t.Errorf("a changed file: %v", err)
	}
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestAFileThatHidesCodeIsWarnedOf(t *testing.T) {
	t.Parallel()
	// A pairlist whose value is a promise that nobody has forced: what makes R before 4.4 run code at loading.
	script := `dir <- commandArgs(TRUE)[1]
fit <- lm(dist ~ speed, cars)
f <- function(...) environment(); lazy <- f(stop("an argument"))
fit$keep <- lazy
saveRDS(fit, file.path(dir, "lazy.rds"))
x <- serialize(structure(fit, note = pairlist(quote(hidden(1)))), NULL, version = 2)
mark <- serialize(quote(hidden(1)), NULL, version = 2)[-(1:14)]
at <- which(vapply(seq_len(length(x) - length(mark)), function(i) identical(x[i + seq_along(mark) - 1L], mark), NA))
promise <- c(as.raw(c(0, 0, 0, 5)), as.raw(c(0, 0, 0, 252)), mark)
stopifnot(length(at) == 1L)
writeBin(c(x[seq_len(at - 1L)], promise, x[(at + length(mark)):length(x)]), file.path(dir, "crafted.rds"))
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "make.R"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "Rscript", "--vanilla", filepath.Join(dir, "make.R"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct {
		file  string
		warns bool
	}{{"lazy.rds", false}, {"crafted.rds", true}} {
		log := &syncBuffer{}
		e := &Endpoint{cfg: Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, launch: launch{file: filepath.Join(dir, c.file)}}
		e.slots.Add(1)
		e.warnOfPromises("4.2.2")
		if got := strings.Contains(log.String(), "CVE-2024-27322"); got != c.warns {
			t.Errorf("%s: warned %v: %s", c.file, got, log.String())
		}
	}
	for version, want := range map[string]bool{"4.2.2": true, "4.3.3": true, "4.4.0": false, "4.10.1": false, "3.6.3": true, "5.0.0": false, "": false} {
		if runsPromises(version) != want {
			t.Errorf("R %s: %v", version, !want)
		}
	}
}
