package endpoint

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

//go:embed harness.R
var harness []byte

// worker is one R process with the model loaded.
type worker struct {
	*conn
	cmd     *exec.Cmd
	dir     string // its own temporary folder
	output  *tail
	exited  chan struct{} // closed after the process is gone
	waitErr error         // how it ended; read it after exited
	kill    func()        // ends the process and everything that it started
	report  readyReport

	requests, calls int // that it did; the slot's
}

// readyReport is what a worker says of itself once the model is loaded.
type readyReport struct {
	rVersion string
	versions []string // of the model's packages, in their order
	join     joining  // which requests may be predicted together
}

// launch says how to start workers.
type launch struct {
	command  []string // program, arguments and the path of the worker's program
	language string   // R or Python
	tempDir  string   // below it each worker gets a folder
	env      []string
	flavor   string
	file     string // path of the serialized model
	packages []string
	python   rds.Value     // what a Python worker is told to load; nil for one of R
	timeout  time.Duration // for loading the model
	// maxMemory is what a worker may hold before it is replaced; twice that is what the system gives it. 0: no limit.
	maxMemory int64
	start     func(*exec.Cmd) error
}

// startWorker starts an R process, loads the model and returns once it is ready. The errors say what a user can do.
func (l *launch) startWorker(ctx context.Context) (w *worker, err error) {
	dir, err := os.MkdirTemp(l.tempDir, "worker-")
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	w = &worker{dir: dir, output: &tail{}, exited: make(chan struct{})}
	if err := w.spawn(l); err != nil {
		return nil, errors.Join(fmt.Errorf("start a worker: %w", err), os.RemoveAll(dir))
	}
	stop := context.AfterFunc(ctx, w.kill)
	defer stop()
	if err := w.load(l); err != nil {
		w.stop(0)
		return nil, err
	}
	return w, nil
}

// spawn starts the process with one pipe in each direction.
func (w *worker) spawn(l *launch) (err error) {
	childIn, to, err := os.Pipe()
	if err != nil {
		return err
	}
	from, childOut, err := os.Pipe()
	if err != nil {
		return errors.Join(err, childIn.Close(), to.Close())
	}
	widen(to) // a frame that fits goes over in one step instead of many
	widen(from)
	w.conn = newConn(to, from)
	w.cmd = exec.Command(l.command[0], l.command[1:]...)
	w.cmd.Dir = w.dir
	w.cmd.Env = append(l.env[:len(l.env):len(l.env)], "TMPDIR="+w.dir)
	w.cmd.ExtraFiles = []*os.File{childIn, childOut}
	w.cmd.Stdout, w.cmd.Stderr = w.output, w.output
	w.cmd.WaitDelay = time.Second // a grandchild may hold standard output open
	isolate(w.cmd)
	err = l.start(w.cmd)
	if err == nil {
		limit(w.cmd.Process.Pid, l.maxMemory)
	}
	closed := errors.Join(childIn.Close(), childOut.Close())
	if err != nil {
		return errors.Join(err, w.close())
	}
	w.kill = sync.OnceFunc(func() { killAll(w.cmd.Process) })
	go func() {
		w.waitErr = w.cmd.Wait()
		w.kill() // what it started must not keep the pipe open
		close(w.exited)
	}()
	return closed
}

// load says hello, has the model loaded and reads how that went.
func (w *worker) load(l *launch) error {
	deadline := time.Now().Add(l.timeout)
	kind, payload, err := w.read(0, deadline)
	if err == nil && kind != frameHello {
		err = fmt.Errorf("%w: kind %d instead of hello", errProtocol, kind)
	}
	if err != nil {
		return w.startError(l, "start", err)
	}
	hello, err := decodeList(payload)
	if err != nil {
		return err
	}
	if v, ok := hello.Field("protocol").(*rds.Integer); !ok || len(v.V) != 1 || v.V[0] != protocolVersion {
		return fmt.Errorf("%w: it speaks another version", errProtocol)
	}
	w.report.rVersion = text(hello, "r_version")
	what := l.python
	if what == nil {
		what = rds.NamedList([]string{"flavor", "file", "packages"}, []rds.Value{rds.Strings(l.flavor), rds.Strings(l.file), rds.Strings(l.packages...)})
	}
	frame, err := rds.AppendNative(make([]byte, headerSize), what)
	if err != nil {
		return err
	}
	kind, payload, err = w.call(frameLoad, frame, deadline)
	if err != nil {
		return w.startError(l, "load the model", err)
	}
	switch kind {
	case frameError:
		m, err := decodeMessage(payload)
		if err != nil {
			return err
		}
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the model cannot be loaded: %s", m.text)
	case frameReady:
		return w.checkReady(payload)
	}
	return fmt.Errorf("%w: kind %d instead of ready", errProtocol, kind)
}

func (w *worker) checkReady(payload []byte) error {
	ready, err := decodeList(payload)
	if err != nil {
		return err
	}
	w.report.versions = texts(ready, "versions")
	w.report.join = map[string]joining{"numbers": joinNumbers, "all": joinAll}[text(ready, "join")]
	var faults []string
	if missing := texts(ready, "missing"); len(missing) > 0 {
		faults = append(faults, fmt.Sprintf("the model needs R packages that are not installed: %s (searched %s); install them or name their library",
			strings.Join(missing, ", "), strings.Join(texts(ready, "paths"), ", ")))
	}
	if broken := texts(ready, "broken"); len(broken) > 0 {
		faults = append(faults, "R packages of the model cannot be loaded: "+strings.Join(broken, ", "))
	}
	if faults != nil {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%s", strings.Join(faults, "; "))
	}
	return nil
}

// startError says why a worker did not come up: what R printed last is the best answer.
func (w *worker) startError(l *launch, what string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return mlflow.Errorf(mlflow.CodeDeadlineExceeded, "the %s worker did not %s within %s", l.language, what, l.timeout)
	}
	if errors.Is(err, errProtocol) {
		return err
	}
	w.awaitExit(time.Second)
	text := w.output.lastLine()
	if text == "" {
		text = w.ending()
	}
	return mlflow.Errorf(mlflow.CodeBadGateway, "the %s worker could not %s: %s", l.language, what, text)
}

// ending says how the process ended; call it after exited.
func (w *worker) ending() string {
	if w.waitErr == nil {
		return "it ended by itself, exit status 0"
	}
	return w.waitErr.Error()
}

// dead reports whether the process is gone.
func (w *worker) dead() bool {
	select {
	case <-w.exited:
		return true
	default:
		return false
	}
}

// stop closes the worker's input, which ends it, waits for grace and then kills what is left. It returns once the
// process is gone and its folder removed.
func (w *worker) stop(grace time.Duration) {
	_ = w.to.Close()
	w.awaitExit(grace)
	_ = w.from.Close()
	_ = os.RemoveAll(w.dir)
}

// awaitExit returns once the process is gone; it is killed when it is not gone by itself within grace.
func (w *worker) awaitExit(grace time.Duration) {
	if grace > 0 {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-w.exited:
			return
		case <-timer.C:
		}
	}
	w.kill()
	<-w.exited
}

// tail keeps the end of what a worker's code printed.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 8 << 10

// Write never fails and never blocks a worker.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-tailSize):]...)
	if extra := len(t.buf) - tailSize; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

func (t *tail) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	last := strings.ToValidUTF8(strings.TrimSpace(lines[len(lines)-1]), "?")
	if len(last) > 300 {
		last = last[:300]
	}
	return last
}

// writeHarness puts a worker's program into a folder.
func writeHarness(dir, name string, program []byte) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, program, 0o600)
}
