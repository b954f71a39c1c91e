package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// Config says what to serve and how. Only Dir has no default.
type Config struct {
	Dir          string        // the model's folder: model.Fetch gives it
	Workers      int           // R processes; the number of CPUs, at most 4, when 0
	Timeout      time.Duration // for one request, its wait in the queue included; 60 s when 0
	StartTimeout time.Duration // for an R process to load the model; 2 min when 0
	QueueLimit   int           // requests that may wait; 64 for each worker when 0
	MaxBatchRows int           // rows of waiting requests that are predicted together where the model allows it; 256 when 0, 1 for none
	// MaxBatchDelay is how long a request that may be joined waits for others; without it only those join that wait anyway.
	MaxBatchDelay time.Duration
	// Spares are workers beside those that serve, ready to take the place of one that dies or wears out.
	Spares      int
	MaxRequests int                 // after which a worker is replaced; 0 for never
	MaxMemory   int64               // bytes that a worker may hold before it is replaced, on Linux; with twice as many R's allocation fails. 0 for no limit
	MaxBody     int64               // bytes of one request's body; 100 MiB when 0
	Rscript     string              // the program; "Rscript" on PATH when empty
	RLibs       []string            // R's library paths, instead of the ones that the model recorded
	PassEnv     []string            // names of environment variables that workers see beside the standard ones
	Getenv      func(string) string // the server's environment; without it workers get a PATH and a locale only
	Name        string              // of the model on the routes of the Open Inference Protocol; the folder's name when empty
	Version     string              // what /version answers
	// AllowPython permits workers of Python for models that only Python can load; Python is the program, "python3" on PATH when empty.
	AllowPython bool
	Python      string
	TrustModel  bool          // no warning of a file that R before 4.4 runs hidden code of while it loads it (CVE-2024-27322)
	Params      []model.Param // of predict, for requests that do not have them
	Debug       bool          // answers to failed predictions carry R's call and traceback
	Unbox       bool          // /predict and /invocation answer a vector of one element without its brackets, as CRAN's server does
	Bare        bool          // Predict writes the predictions alone, as `mlflow rfunc predict` does
	Logger      *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Workers <= 0 {
		c.Workers = min(4, runtime.NumCPU())
	}
	if c.Name == "" {
		c.Name = modelName(c.Dir)
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = 2 * time.Minute
	}
	if c.QueueLimit <= 0 {
		c.QueueLimit = 64 * c.Workers
	}
	if c.MaxBatchRows <= 0 {
		c.MaxBatchRows = 256
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 100 << 20
	}
	if c.Rscript == "" {
		c.Rscript = "Rscript"
	}
	if c.Getenv == nil {
		c.Getenv = func(string) string { return "" }
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// Endpoint serves one model with a pool of R workers.
type Endpoint struct {
	cfg    Config
	model  *model.MLmodel
	launch launch
	queue  *queue
	temp   string
	held   io.Closer // the lock that says that temp is in use
	mux    http.Handler

	ctx    context.Context // ends when the workers must go
	cancel context.CancelFunc
	slots  sync.WaitGroup

	join  joining  // which requests may be joined; written before ready is closed
	joins joinKeys // what is known of joining them

	spares chan *worker
	large  *semaphore.Weighted // for large bodies, see readBody

	first      chan struct{} // closed once the first slot tried to start a worker
	firstStart func()        // closes first

	ready  chan struct{} // closed once a worker is ready
	failed chan struct{} // closed once no worker could be started at all

	mu       sync.Mutex
	closing  bool
	active   sync.WaitGroup // jobs that were accepted and are not done
	startErr error          // why the model cannot be served

	readyWorkers atomic.Int32
	spareWorkers atomic.Int32
	running      atomic.Int32 // jobs that workers have in hand
	startFaults  atomic.Int32 // failed starts since the last good one
	stats        stats
}

// New reads the model and begins to start its workers; Ready says when they can answer and Close ends them. It does not
// wait for R, so that /health can be answered from the start. The errors name what is wrong with the model or with R.
func New(ctx context.Context, cfg Config) (*Endpoint, error) {
	cfg.setDefaults()
	m, err := model.Load(cfg.Dir)
	if err != nil {
		return nil, err
	}
	l, program, err := newLaunch(&cfg, m)
	if err != nil {
		return nil, err
	}
	if err := m.CheckDigests(cfg.Dir); err != nil {
		return nil, err
	}
	cleanTemp(os.TempDir(), time.Now())
	temp, held, err := makeTemp()
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	script, err := writeHarness(temp, l.script(), program)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("endpoint: %w", err), held.Close(), os.RemoveAll(temp))
	}
	e := &Endpoint{
		cfg: cfg, model: m, temp: temp, held: held,
		queue:  newQueue(cfg.QueueLimit),
		spares: make(chan *worker),
		large:  semaphore.NewWeighted(cfg.MaxBody),
		first:  make(chan struct{}),
		ready:  make(chan struct{}), failed: make(chan struct{}),
	}
	e.firstStart = sync.OnceFunc(func() { close(e.first) })
	// Workers outlive the call that starts them; Close ends them.
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.command = append(l.command, script)
	l.tempDir, l.env, l.timeout, l.maxMemory = temp, environment(&cfg, m.RLibs), cfg.StartTimeout, cfg.MaxMemory
	e.launch = l
	e.mux = e.routes()
	starts := make(chan func())
	e.launch.start = func(cmd *exec.Cmd) error {
		err := make(chan error)
		starts <- func() { err <- cmd.Start() }
		return <-err
	}
	go startOnOneThread(starts)
	for i := range cfg.Workers {
		e.slots.Add(1)
		go e.runSlot(i)
	}
	for range cfg.Spares {
		e.slots.Add(1)
		go e.keepSpare()
	}
	go func() {
		e.slots.Wait()
		close(starts)
	}()
	return e, nil
}

// startOnOneThread starts all processes from one thread that lives as long as they may: on Linux the kernel kills a
// worker when the thread that started it ends.
func startOnOneThread(starts <-chan func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := range starts {
		start()
	}
}

// standardEnv are the variables that a worker sees of its server's: none of them carries a secret.
var standardEnv = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TZDIR", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH",
	"JAVA_HOME", "R_LIBS_SITE", "R_LIBS_USER", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"}

// environment makes the workers' environment: the allow-list, a UTF-8 locale, and the library paths: the configured ones,
// or the recorded ones and then the server's own.
func environment(cfg *Config, recorded []string) []string {
	var env []string
	user := userLibraries(cfg.Getenv)
	for _, name := range slices.Concat(standardEnv, cfg.PassEnv) {
		v := cfg.Getenv(name)
		if v == "" && name == "R_LIBS_USER" {
			v = user[name]
		}
		if v != "" {
			env = append(env, name+"="+v)
		}
	}
	if cfg.Getenv("PATH") == "" {
		env = append(env, "PATH=/usr/local/bin:/usr/bin:/bin") // R's own start script needs one
	}
	locale := "C.UTF-8"
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := cfg.Getenv(name); v != "" {
			if up := strings.ToUpper(v); strings.HasSuffix(up, "UTF-8") || strings.HasSuffix(up, "UTF8") {
				locale = v
			}
			break
		}
	}
	env = append(env, "LC_ALL="+locale, "LANG="+locale, "LANGUAGE=en") // messages are matched in English
	libs := cfg.RLibs
	if len(libs) == 0 {
		libs = recorded
		own := cfg.Getenv("R_LIBS")
		if own == "" {
			own = user["R_LIBS"]
		}
		if own != "" { // for models that record nothing, or come from another machine
			libs = slices.Concat(recorded, []string{own})
		}
	}
	if len(libs) > 0 {
		env = append(env, "R_LIBS="+strings.Join(libs, string(os.PathListSeparator)))
	}
	return env
}

// Model is what the MLmodel file says of the served model.
func (e *Endpoint) Model() *model.MLmodel { return e.model }

// Ready waits until a worker can answer. It returns the reason when the model cannot be served at all: a package that is
// missing (by name), a file that R cannot load, an R that does not start.
func (e *Endpoint) Ready(ctx context.Context) error {
	if e.started() {
		return nil
	}
	select {
	case <-e.ready:
		return nil
	case <-e.failed:
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.startErr
	case <-e.ctx.Done():
		return errStopping()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// started reports whether a worker has been ready.
func (e *Endpoint) started() bool {
	select {
	case <-e.ready:
		return true
	default:
		return false
	}
}

// Handler gives the routes of MLflow's scoring server.
func (e *Endpoint) Handler() http.Handler { return e.mux }

// Close lets accepted requests finish, refuses new ones with 503, and ends every worker. When ctx ends before that, what
// is still running is ended with 503 or 502. It returns once no process and no temporary file is left.
func (e *Endpoint) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closing = true
	e.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		e.active.Wait()
		close(drained)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = ctx.Err()
	}
	e.cancel()
	refuse := func() {
		for _, j := range e.queue.drain() {
			j.done <- outcome{err: errStopping()}
		}
	}
	refuse()
	e.slots.Wait()
	refuse() // what a slot put back
	<-drained
	_ = e.held.Close() // a second call finds it closed
	return errors.Join(err, os.RemoveAll(e.temp))
}

func errStopping() error {
	return mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "the endpoint is stopping")
}

// predict sends a request through the queue and waits for the prediction.
func (e *Endpoint) predict(ctx context.Context, in *model.Input) (rds.Value, error) {
	in.Params = withDefaults(in.Params, e.cfg.Params)
	j := &job{in: in, deadline: time.Now().Add(e.cfg.Timeout), done: make(chan outcome, 1)}
	if e.started() {
		j.key = e.joinKey(in)
	}
	if j.key == "" { // here rather than in the slot, where it would keep a worker waiting
		var err error
		if j.frame, err = encodeRequest(in); err != nil {
			return nil, err
		}
	}
	if err := e.submit(j); err != nil {
		return nil, err
	}
	out := e.wait(ctx, j)
	if nothingToPredict(out.err, in) {
		return &rds.List{}, nil
	}
	if out.err == nil {
		e.stats.rows.Add(int64(in.Rows))
	}
	if out.err != nil || out.value != nil {
		return out.value, out.err
	}
	v, err := rds.Decode(out.payload)
	if err != nil {
		return nil, mlflow.Errorf(mlflow.CodeBadGateway, "the %s worker's answer cannot be read: %v", e.launch.language, err)
	}
	return v, nil
}

// withDefaults adds the params that a request does not have.
func withDefaults(params, defaults []model.Param) []model.Param {
	for _, d := range defaults {
		if !slices.ContainsFunc(params, func(p model.Param) bool { return p.Name == d.Name }) {
			params = append(params, d)
		}
	}
	return params
}

// wait gives the outcome of an accepted job.
func (e *Endpoint) wait(ctx context.Context, j *job) outcome {
	defer e.active.Done()
	timer := time.NewTimer(e.cfg.Timeout)
	defer timer.Stop()
	select {
	case out := <-j.done:
		return out
	case <-timer.C:
		if e.queue.withdraw(j) {
			return outcome{err: mlflow.Errorf(mlflow.CodeDeadlineExceeded, "no worker was free within %s", e.cfg.Timeout)}
		}
	case <-ctx.Done():
		if e.queue.withdraw(j) {
			return outcome{err: ctx.Err()}
		}
	}
	return <-j.done // the slot keeps the deadline
}

// submit accepts a job or says why it cannot be: starting, stopping, broken, full.
func (e *Endpoint) submit(j *job) error {
	started := e.started()
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closing:
		return errStopping()
	case !started && e.startErr != nil:
		return mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "the model cannot be served: %v", e.startErr)
	case !started:
		return mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "the endpoint is starting")
	case !e.healthy():
		return mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "no %s worker can be started at the moment", e.launch.language)
	case !e.queue.push(j):
		return mlflow.Errorf(mlflow.CodeResourceExhausted, "%d requests are waiting already", e.cfg.QueueLimit)
	}
	e.active.Add(1)
	return nil
}

// maxStartFaults is how many starts in a row may fail before requests are refused instead of queued.
const maxStartFaults = 5

// healthy reports whether a worker is ready, or is likely to be soon.
func (e *Endpoint) healthy() bool {
	return e.readyWorkers.Load() > 0 || e.startFaults.Load() < maxStartFaults
}
