package project

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// Options say what to run and where to track it.
type Options struct {
	// URI is a folder, a script, or a git repository, with "#subfolder" if the project is not at its top. Relative paths
	// are relative to WorkDir, or to the process's own folder.
	URI     string
	WorkDir string
	// EntryPoint is an entry point of the MLproject file or a script of the folder; "main" when empty.
	EntryPoint string
	// Version is a branch, a tag or a commit of a git repository.
	Version string
	Params  []Param

	// ExperimentID or ExperimentName chooses the experiment, "0" without both; a name that is new is created. RunID
	// continues a run instead of making one.
	ExperimentID, ExperimentName string
	RunID, RunName               string
	ParentRunID                  string
	User                         string

	// StorageDir keeps what parameters of type path download; without it a temporary folder is used and removed.
	StorageDir string
	// KillAfter is how long a signalled child has to end before it is killed; ten seconds when 0.
	KillAfter time.Duration

	Client *mlflow.Client
	// TrackingURI is what the child finds in MLFLOW_TRACKING_URI; the client's own address when empty.
	TrackingURI string
	// Env is the child's environment, to which the run's variables are added.
	Env []string
	// Stdout and Stderr take the child's output; Stderr gets the lines about the run as well.
	Stdout, Stderr io.Writer
	// Signals are passed on to the child. The first one ends the run as KILLED, a second one kills at once.
	Signals <-chan os.Signal
}

// Result is how a run ended.
type Result struct {
	RunID  string
	Status mlflow.RunStatus
	// ExitCode is what the program that called should exit with: 0, 1, or 128 and the number of the signal.
	ExitCode int
}

type runner struct {
	o          Options
	dir        string
	storageDir string
	cleanup    []func() error
}

// Run executes a project in a run and waits for its end. A child that fails is no error but a Result; an error means that
// it could not be started, or that the server could not be told. Cancelling the context ends the child as SIGTERM does.
func Run(ctx context.Context, o Options) (result Result, err error) {
	if o.EntryPoint == "" {
		o.EntryPoint = "main"
	}
	if o.KillAfter == 0 {
		o.KillAfter = 10 * time.Second
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.TrackingURI == "" {
		o.TrackingURI = o.Client.TrackingURI()
	}
	if err := checkParams(o.Params); err != nil {
		return Result{}, err
	}
	if o.ExperimentID != "" && o.ExperimentName != "" {
		return Result{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Specify only one of experiment name or experiment id.")
	}
	r := &runner{o: o}
	defer func() {
		for _, f := range r.cleanup {
			if failed := f(); err == nil {
				err = failed
			}
		}
	}()
	src, err := r.fetch(ctx)
	if err != nil {
		return Result{}, err
	}
	r.dir = src.dir
	if src.entryPoint != "" && o.EntryPoint == "main" {
		r.o.EntryPoint = src.entryPoint
	}
	file, err := Load(r.dir)
	if err != nil {
		return Result{}, err
	}
	entry, script, err := file.plan(r.dir, r.o.EntryPoint)
	if err != nil {
		return Result{}, err
	}
	params, err := r.bind(ctx, entry.Parameters, o.Params)
	if err != nil {
		return Result{}, err
	}
	var c command
	if script != nil {
		c = scriptCommand(script, params.extra)
	} else if c, err = buildCommand(entry.Command, params.declared, params.extra); err != nil {
		return Result{}, err
	}
	run, err := r.begin(ctx, src, params.logged)
	if err != nil {
		return Result{}, err
	}
	return r.execute(ctx, run, c)
}

func (r *runner) workDir() string {
	if r.o.WorkDir != "" {
		return r.o.WorkDir
	}
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	return dir
}

func (r *runner) say(format string, args ...any) {
	fmt.Fprintf(r.o.Stderr, format+"\n", args...)
}

// begin makes the run, or takes the one that was named, with its tags and params.
func (r *runner) begin(ctx context.Context, src source, params []Param) (*mlflow.Run, error) {
	tags := []mlflow.KeyValue{
		{Key: "mlflow.user", Value: r.o.User},
		{Key: "mlflow.source.name", Value: src.name},
		{Key: "mlflow.source.type", Value: "PROJECT"},
		{Key: "mlflow.project.entryPoint", Value: r.o.EntryPoint},
		{Key: "mlflow.project.env", Value: "local"},
		{Key: "mlflow.project.backend", Value: "local"},
	}
	tags = append(tags, src.tags...)
	if r.o.ParentRunID != "" {
		tags = append(tags, mlflow.KeyValue{Key: "mlflow.parentRunId", Value: r.o.ParentRunID})
	}
	if r.o.User == "" {
		tags = tags[1:]
	}
	var run *mlflow.Run
	var err error
	if r.o.RunID != "" {
		if run, err = r.o.Client.GetRun(ctx, r.o.RunID); err == nil {
			err = r.o.Client.LogBatch(ctx, &mlflow.LogBatchRequest{RunID: r.o.RunID, Tags: tags})
		}
		if err == nil {
			_, err = r.o.Client.UpdateRun(ctx, &mlflow.UpdateRunRequest{RunID: r.o.RunID, Status: mlflow.RunRunning, RunName: r.o.RunName})
		}
	} else {
		var experiment string
		if experiment, err = r.experiment(ctx); err != nil {
			return nil, err
		}
		run, err = r.o.Client.CreateRun(ctx, &mlflow.CreateRunRequest{
			ExperimentID: experiment, UserID: r.o.User, RunName: r.o.RunName, Tags: tags,
			StartTime: mlflow.Some(time.Now().UnixMilli()),
		})
	}
	if err != nil {
		return nil, err
	}
	const perBatch = 100
	for len(params) > 0 {
		n := min(perBatch, len(params))
		batch := mlflow.LogBatchRequest{RunID: run.Info.RunID}
		for _, p := range params[:n] {
			batch.Params = append(batch.Params, mlflow.KeyValue{Key: p.Name, Value: p.Value})
		}
		if err := r.o.Client.LogBatch(ctx, &batch); err != nil {
			return nil, errors.Join(err, r.end(ctx, run.Info.RunID, mlflow.RunFailed))
		}
		params = params[n:]
	}
	return run, nil
}

func (r *runner) experiment(ctx context.Context) (string, error) {
	if r.o.ExperimentName == "" {
		if r.o.ExperimentID == "" {
			return "0", nil
		}
		return r.o.ExperimentID, nil
	}
	id, err := r.o.Client.CreateExperiment(ctx, &mlflow.CreateExperimentRequest{Name: r.o.ExperimentName})
	if mlflow.CodeOf(err) != mlflow.CodeResourceAlreadyExists || err == nil {
		return id, err
	}
	experiment, err := r.o.Client.GetExperimentByName(ctx, r.o.ExperimentName)
	if err != nil {
		return "", err
	}
	return experiment.ExperimentID, nil
}

// end tells the server how the run ended, also when the caller has no time left.
func (r *runner) end(ctx context.Context, runID string, status mlflow.RunStatus) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_, err := r.o.Client.UpdateRun(ctx, &mlflow.UpdateRunRequest{
		RunID: runID, Status: status, EndTime: mlflow.Some(time.Now().UnixMilli()),
	})
	if err != nil {
		return fmt.Errorf("end run %s as %s: %w", runID, status, err)
	}
	return nil
}

// execute runs the command in the project's folder and ends the run by how it ended.
func (r *runner) execute(ctx context.Context, run *mlflow.Run, c command) (Result, error) {
	id := run.Info.RunID
	result := Result{RunID: id, Status: mlflow.RunFailed, ExitCode: 1}
	r.say("=== Running command '%s' in run with ID '%s' ===", c.shown, id)
	signal, err := r.child(ctx, c, []string{
		"MLFLOW_RUN_ID=" + id,
		"MLFLOW_TRACKING_URI=" + r.o.TrackingURI,
		"MLFLOW_EXPERIMENT_ID=" + run.Info.ExperimentID,
	})
	var exited *exec.ExitError
	switch {
	case signal != 0:
		result.Status, result.ExitCode = mlflow.RunKilled, 128+signal
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // the latter: it ended well, only something it started still holds its output
		result.Status, result.ExitCode = mlflow.RunFinished, 0
	case !errors.As(err, &exited):
		r.say("%v", err) // it never ran
	}
	told := r.end(ctx, id, result.Status)
	if result.Status == mlflow.RunFinished {
		r.say("=== Run (ID '%s') succeeded ===", id)
	} else {
		r.say("=== Run (ID '%s') failed ===", id)
	}
	return result, told
}

// child starts the command and waits; signal is the one that ended the waiting, or 0.
func (r *runner) child(ctx context.Context, c command, vars []string) (signal int, err error) {
	var cmd *exec.Cmd
	line := c.bash
	if line == "" {
		cmd = r.prepare(c.argv, vars)
		if err = cmd.Start(); err != nil && !c.script {
			line = quoteAll(c.argv) // bash knows words that the system does not: builtins, scripts without #!
		}
	}
	if line != "" {
		cmd = r.prepare([]string{"bash", "-c", line}, vars)
		err = cmd.Start()
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return 0, fmt.Errorf("%s is not installed, or not on PATH", cmd.Args[0])
	case err != nil:
		return 0, fmt.Errorf("start %s: %w", cmd.Args[0], err)
	}
	return r.wait(ctx, cmd)
}

// lookPath finds a program on the PATH that the child will have, which may be another than ours.
func lookPath(name string, env []string) (string, error) {
	path, given := "", false
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			path, given = value, true
		}
	}
	if !given {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", exec.ErrNotFound
}

func (r *runner) prepare(argv, vars []string) *exec.Cmd {
	program, missing := argv[0], error(nil)
	if !strings.ContainsRune(program, filepath.Separator) {
		program, missing = lookPath(argv[0], r.o.Env)
		if missing != nil && argv[0] == "python" { // Debian has no program of that name
			program, missing = lookPath("python3", r.o.Env)
		}
	}
	cmd := &exec.Cmd{Path: program, Args: argv, Err: missing}
	cmd.Dir = r.dir
	cmd.Env = append(append([]string{}, r.o.Env...), vars...)
	cmd.Stdout, cmd.Stderr = r.o.Stdout, r.o.Stderr
	cmd.WaitDelay = 5 * time.Second // for what the child started and left behind with its output open
	ownGroup(cmd)
	return cmd
}

// wait waits for the child, and passes signals on to its process group.
func (r *runner) wait(ctx context.Context, cmd *exec.Cmd) (signal int, err error) {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var deadline <-chan time.Time
	done := ctx.Done()
	for {
		select {
		case err := <-ended:
			if signal != 0 {
				endGroup(cmd, deadline)
			}
			return signal, err
		case s := <-r.o.Signals:
			number := signalNumber(s)
			if signal != 0 { // asked twice
				killGroup(cmd)
				continue
			}
			signal = number
			signalGroup(cmd, number)
			deadline = time.After(r.o.KillAfter)
		case <-done:
			done = nil
			if signal == 0 {
				signal = sigterm
				signalGroup(cmd, signal)
				deadline = time.After(r.o.KillAfter)
			}
		case <-deadline:
			killGroup(cmd)
			deadline = nil
		}
	}
}
