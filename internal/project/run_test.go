//go:build unix

package project

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

// tracker is a tracking server that remembers what it was told.
type tracker struct {
	mu       sync.Mutex
	created  []mlflow.CreateRunRequest
	params   map[string]string
	tags     map[string]string
	batches  int
	statuses []mlflow.RunStatus
	ended    int64
	files    map[string]string
}

func (k *tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	read := func(v any) { _ = json.Unmarshal(body, v) }
	run := mlflow.Run{Info: mlflow.RunInfo{RunID: "r1", ExperimentID: "7"}}
	var answer any = mlflow.Empty{}
	switch path := strings.TrimPrefix(r.URL.Path, "/api/2.0/mlflow/"); path {
	case "experiments/create":
		w.WriteHeader(400)
		answer = mlflow.Errorf(mlflow.CodeResourceAlreadyExists, "taken")
	case "experiments/get-by-name":
		answer = mlflow.ExperimentResponse{Experiment: mlflow.Experiment{ExperimentID: "7"}}
	case "runs/create":
		var req mlflow.CreateRunRequest
		read(&req)
		k.created = append(k.created, req)
		for _, tag := range req.Tags {
			k.tags[tag.Key] = tag.Value
		}
		answer = mlflow.RunResponse{Run: run}
	case "runs/get":
		answer = mlflow.RunResponse{Run: run}
	case "runs/log-batch":
		var req mlflow.LogBatchRequest
		read(&req)
		k.batches++
		for _, p := range req.Params {
			k.params[p.Key] = p.Value
		}
		for _, tag := range req.Tags {
			k.tags[tag.Key] = tag.Value
		}
	case "runs/update":
		var req mlflow.UpdateRunRequest
		read(&req)
		k.statuses = append(k.statuses, req.Status)
		k.ended = req.EndTime.Value
		answer = mlflow.UpdateRunResponse{RunInfo: run.Info}
	default:
		name, ok := strings.CutPrefix(r.URL.Path, "/api/2.0/mlflow-artifacts/artifacts/")
		if content, found := k.files[name]; ok && found {
			_, _ = io.WriteString(w, content)
			return
		}
		if r.URL.Path != "/api/2.0/mlflow-artifacts/artifacts" {
			w.WriteHeader(404)
			answer = mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "%s", path)
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

type outcome struct {
	Result
	err            error
	stdout, stderr string
	tracker        *tracker
}

// safeBuffer is written to by the child's copier and read by the test at the same time.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	on func(text string)
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.b.Write(p)
	if s.on != nil {
		s.on(s.b.String())
	}
	return n, err
}

func start(t *testing.T, ctx context.Context, o Options, onStdout func(string)) outcome {
	t.Helper()
	k := &tracker{params: map[string]string{}, tags: map[string]string{}, files: map[string]string{"1/data.csv": "remote"}}
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	client, err := mlflow.NewClient(server.URL, mlflow.ClientOptions{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := &safeBuffer{on: onStdout}, &safeBuffer{}
	o.Client, o.Stdout, o.Stderr = client, stdout, stderr
	if o.Env == nil {
		o.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	}
	result, err := Run(ctx, o)
	return outcome{result, err, stdout.b.String(), stderr.b.String(), k}
}

func run(t *testing.T, o Options) outcome {
	t.Helper()
	return start(t, t.Context(), o, nil)
}

func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAScriptRunsInATrackedRun(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"train.sh": `echo "$MLFLOW_RUN_ID $MLFLOW_EXPERIMENT_ID"; test -n "$MLFLOW_TRACKING_URI"; pwd; printf '<%s>' "$@"`})
	for _, o := range []Options{{URI: filepath.Join(dir, "train.sh")}, {URI: dir, EntryPoint: "train.sh"}, {URI: "file://" + dir, EntryPoint: "train.sh"}} {
		o.Params = []Param{{"alpha", "0.5"}, {"note", "it's $(date)"}}
		o.ExperimentName, o.RunName, o.User, o.ParentRunID = "exp", "first", "ann", "p1"
		got := run(t, o)
		if got.err != nil || got.Result != (Result{RunID: "r1", Status: mlflow.RunFinished}) {
			t.Fatalf("%+v %s", got.Result, got.stderr)
		}
		real, _ := filepath.EvalSymlinks(dir)
		if want := "r1 7\n" + real + "\n<--alpha><0.5><--note><it's $(date)>"; got.stdout != want {
			t.Errorf("stdout %q, want %q", got.stdout, want)
		}
		if want := "=== Running command 'bash train.sh --alpha 0.5 --note 'it'\"'\"'s $(date)'' in run with ID 'r1' ===\n" +
			"=== Run (ID 'r1') succeeded ===\n"; got.stderr != want {
			t.Errorf("stderr %q, want %q", got.stderr, want)
		}
		k := got.tracker
		if diff := cmp.Diff(map[string]string{"alpha": "0.5", "note": "it's $(date)"}, k.params); diff != "" || k.batches != 1 {
			t.Errorf("params, in %d batches: %s", k.batches, diff)
		}
		want := map[string]string{
			"mlflow.user": "ann", "mlflow.source.name": o.URI, "mlflow.source.type": "PROJECT", "mlflow.project.entryPoint": "train.sh",
			"mlflow.project.env": "local", "mlflow.project.backend": "local", "mlflow.parentRunId": "p1",
		}
		if strings.HasPrefix(o.URI, "file:") {
			want["mlflow.source.name"] = dir
		}
		if diff := cmp.Diff(want, k.tags); diff != "" {
			t.Error(diff)
		}
		if k.created[0].ExperimentID != "7" || k.created[0].RunName != "first" || k.created[0].UserID != "ann" || !k.created[0].StartTime.Set {
			t.Errorf("%+v", k.created[0])
		}
		if diff := cmp.Diff([]mlflow.RunStatus{mlflow.RunFinished}, k.statuses); diff != "" || k.ended == 0 {
			t.Error(diff, k.ended)
		}
	}
}

func TestAScriptThatFailsFailsItsRun(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"bad.sh": "echo oops >&2; exit 3", "gone.sh": "kill -9 $$"})
	for _, script := range []string{"bad.sh", "gone.sh"} {
		got := run(t, Options{URI: dir, EntryPoint: script})
		if got.err != nil || got.ExitCode != 1 || got.Status != mlflow.RunFailed {
			t.Errorf("%s: %+v %v", script, got.Result, got.err)
		}
		if !strings.HasSuffix(got.stderr, "=== Run (ID 'r1') failed ===\n") || got.tracker.statuses[0] != mlflow.RunFailed {
			t.Errorf("%s: %s", script, got.stderr)
		}
	}
}

const mlproject = `
name: demo
entry_points:
  main:
    parameters:
      alpha: float
      rows: {type: int, default: 010}
      data: {type: path, default: data.csv}
    command: "sh show.sh {alpha} {rows} {data}"
  shell:
    parameters: {word: {default: x}}
    command: "printf '%s|' {word} | tr a-z A-Z && exit 0"
  builtin:
    command: "exit 4"
  noshebang:
    command: "./plain.sh one"
`

func TestAnMLprojectFile(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{
		"mlPROJECT": mlproject, "show.sh": `printf '<%s>' "$@"`, "data.csv": "x", "plain.sh": "echo plain $1", "sub/local.csv": "y",
	})
	if err := os.Chmod(filepath.Join(dir, "plain.sh"), 0o777); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		o      Options
		stdout string
		exit   int
		params map[string]string
	}{
		{"defaults and undeclared ones", Options{Params: []Param{{"alpha", "1e-3"}, {"more", "a b"}}},
			"<1e-3><010><" + dir + "/data.csv><--more><a b>", 0,
			map[string]string{"alpha": "1e-3", "rows": "010", "data": "data.csv", "more": "a b"}},
		{"a path of the user's folder", Options{WorkDir: filepath.Join(dir, "sub"), Params: []Param{{"data", "local.csv"}, {"alpha", "1"}}},
			"<1><010><" + dir + "/sub/local.csv>", 0, map[string]string{"alpha": "1", "rows": "010", "data": "local.csv"}},
		{"shell syntax", Options{EntryPoint: "shell", Params: []Param{{"word", "a; b"}}}, "A; B|", 0, map[string]string{"word": "a; b"}},
		{"a builtin", Options{EntryPoint: "builtin"}, "", 1, map[string]string{}},
		{"a script without #!", Options{EntryPoint: "noshebang"}, "plain one\n", 0, map[string]string{}},
		{"a file beside the file", Options{EntryPoint: "show.sh", Params: []Param{{"x", "1"}}}, "<--x><1>", 0, map[string]string{"x": "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.o.URI = dir
			got := run(t, tt.o)
			if got.err != nil || got.stdout != tt.stdout || got.ExitCode != tt.exit {
				t.Errorf("%+v, %v, stdout %q, stderr %s", got.Result, got.err, got.stdout, got.stderr)
			}
			if diff := cmp.Diff(tt.params, got.tracker.params); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARemotePathIsDownloadedAndRemoved(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"MLproject": "entry_points: {main: {parameters: {d: path}, command: 'cat {d}'}}"})
	got := run(t, Options{URI: dir, Params: []Param{{"d", "mlflow-artifacts:/1/data.csv"}}})
	if got.err != nil || got.stdout != "remote" || got.tracker.params["d"] != "mlflow-artifacts:/1/data.csv" {
		t.Fatalf("%+v %v %q", got.Result, got.err, got.stdout)
	}
	m := regexp.MustCompile(`=== Created directory (.+) for downloading remote URIs passed to arguments of type 'path' ===`).FindStringSubmatch(got.stderr)
	if m == nil {
		t.Fatalf("stderr %s", got.stderr)
	}
	if _, err := os.Stat(m[1]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", m[1])
	}
	keep := filepath.Join(t.TempDir(), "keep")
	got = run(t, Options{URI: dir, StorageDir: keep, Params: []Param{{"d", "mlflow-artifacts:/1/data.csv"}}})
	if found, _ := filepath.Glob(filepath.Join(keep, "*", "param_0", "data.csv")); got.err != nil || len(found) != 1 {
		t.Errorf("%v %v", got.err, found)
	}
}

func TestFaultsBeforeTheRunMakeNoRun(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{
		"MLproject": mlproject, "data.csv": "", "x.txt": "", "two/MLproject": "python_env: a\nconda_env: b\n",
		"docker/MLproject": "docker_env: {image: x}\n", "broken/MLproject": "entry_points: [", "empty/a.R": "", "empty/b.sh": "",
		"odd/MLproject": "entry_points: {main: {command: ' '}}", "list/MLproject": "entry_points: {main: {command: x, parameters: [a]}}",
	})
	tests := []struct {
		name, want string
		o          Options
	}{
		{"no folder", "there is no project", Options{URI: filepath.Join(dir, "no")}},
		{"no script", "not a script", Options{URI: filepath.Join(dir, "x.txt")}},
		{"no entry point", "Could not find nothing among entry points ['builtin', 'main', 'noshebang', 'shell']", Options{URI: dir, EntryPoint: "nothing"}},
		{"no file", "there is no file no.R", Options{URI: dir, EntryPoint: "no.R"}},
		{"a file outside", "not inside the project", Options{URI: dir, EntryPoint: "../x.sh"}},
		{"no main", "the folder has a.R, b.sh", Options{URI: filepath.Join(dir, "empty")}},
		{"missing parameters", "No value given for missing parameters: 'alpha'", Options{URI: dir}},
		{"not a float", "'much' is not", Options{URI: dir, Params: []Param{{"alpha", "much"}}}},
		{"no such path", "no such file or directory", Options{URI: dir, Params: []Param{{"alpha", "1"}, {"data", "no.csv"}}}},
		{"a bad name", "cannot be a parameter's name", Options{URI: dir, Params: []Param{{"a;b", "1"}}}},
		{"a name like a flag", "cannot be a parameter's name", Options{URI: dir, Params: []Param{{"-e", "1"}}}},
		{"nul", "NUL", Options{URI: dir, Params: []Param{{"a", "1\x00"}}}},
		{"two environments", "multiple environment fields", Options{URI: filepath.Join(dir, "two")}},
		{"docker", "docker_env", Options{URI: filepath.Join(dir, "docker")}},
		{"no yaml", "MLproject", Options{URI: filepath.Join(dir, "broken")}},
		{"no command", "has no command", Options{URI: filepath.Join(dir, "odd")}},
		{"parameters as a list", "must be a mapping", Options{URI: filepath.Join(dir, "list")}},
		{"a version of a folder", "only supported for Git", Options{URI: dir, Version: "v1"}},
		{"subfolder outside", "leads out", Options{URI: dir + "#../x"}},
		{"another scheme", "neither a folder", Options{URI: "s3://bucket/project"}},
		{"a transport that runs programs", "neither a folder", Options{URI: "ext::sh -c touch% x"}},
		{"two experiments", "only one of", Options{URI: dir, ExperimentID: "1", ExperimentName: "x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, tt.o)
			if mlflow.CodeOf(got.err) != mlflow.CodeInvalidParameterValue || !strings.Contains(got.err.Error(), tt.want) {
				t.Errorf("%v", got.err)
			}
			if len(got.tracker.created) != 0 {
				t.Error("a run was made")
			}
		})
	}
}

func TestARunCanBeContinued(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"a.sh": "echo $MLFLOW_RUN_ID"})
	got := run(t, Options{URI: dir, EntryPoint: "a.sh", RunID: "r1", Params: []Param{{"p", "1"}}})
	if got.err != nil || got.stdout != "r1\n" || len(got.tracker.created) != 0 || got.tracker.params["p"] != "1" {
		t.Errorf("%+v %v", got.Result, got.err)
	}
	if diff := cmp.Diff([]mlflow.RunStatus{mlflow.RunRunning, mlflow.RunFinished}, got.tracker.statuses); diff != "" {
		t.Error(diff)
	}
}

func TestManyParamsGoInBatchesOfAHundred(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"a.sh": "true"})
	var params []Param
	for i := range 250 {
		params = append(params, Param{"p" + strings.Repeat("x", i), "1"})
	}
	if got := run(t, Options{URI: dir, EntryPoint: "a.sh", Params: params}); got.tracker.batches != 3 || len(got.tracker.params) != 250 {
		t.Errorf("%d batches, %d params", got.tracker.batches, len(got.tracker.params))
	}
}

// goesAway waits until no process of a group is there: who was killed stays until the system's first process has noticed.
func goesAway(group int) bool {
	for range 1000 {
		if errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
			return true
		}
		<-time.After(10 * time.Millisecond)
	}
	return false
}

func groupIn(t *testing.T, stdout string) int {
	t.Helper()
	group := 0
	for _, c := range strings.SplitN(stdout, "\n", 2)[0] {
		group = group*10 + int(c-'0')
	}
	if group < 2 {
		t.Fatalf("no process id in %q", stdout)
	}
	return group
}

func TestSignalsEndTheChildAndItsChildren(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, script string
		signals      []os.Signal
		killAfter    time.Duration
		exit         int
		stdout       string
	}{
		{"interrupt", "echo $$; sleep 300 & echo ready; wait", []os.Signal{syscall.SIGINT}, time.Minute, 130, ""},
		{"terminate, with a last word", "echo $$; trap 'echo bye; exit 0' TERM; sleep 300 & echo ready; wait", []os.Signal{syscall.SIGTERM}, time.Minute, 143, "bye"},
		{"a child that does not listen", "echo $$; trap '' INT TERM; (trap '' INT TERM; sleep 300) & echo ready; sleep 300", []os.Signal{syscall.SIGTERM}, 100 * time.Millisecond, 143, ""},
		{"asked twice", "echo $$; trap '' INT TERM; echo ready; sleep 300", []os.Signal{syscall.SIGINT, syscall.SIGINT}, time.Minute, 130, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := project(t, map[string]string{"a.sh": tt.script})
			signals := make(chan os.Signal, 2)
			var once sync.Once
			got := start(t, t.Context(), Options{URI: dir, EntryPoint: "a.sh", Signals: signals, KillAfter: tt.killAfter}, func(text string) {
				if strings.Contains(text, "ready") {
					once.Do(func() {
						for _, s := range tt.signals {
							signals <- s
						}
					})
				}
			})
			if got.err != nil || got.Status != mlflow.RunKilled || got.ExitCode != tt.exit || !strings.Contains(got.stdout, tt.stdout) {
				t.Errorf("%+v %v %q", got.Result, got.err, got.stdout)
			}
			if diff := cmp.Diff([]mlflow.RunStatus{mlflow.RunKilled}, got.tracker.statuses); diff != "" {
				t.Error(diff)
			}
			if group := groupIn(t, got.stdout); !goesAway(group) {
				t.Errorf("group %d is still there", group)
			}
		})
	}
}

func TestACancelledContextEndsTheRunAsKilled(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"a.sh": "echo $$; echo ready; exec sleep 300"})
	ctx, cancel := context.WithCancel(t.Context())
	got := start(t, ctx, Options{URI: dir, EntryPoint: "a.sh"}, func(text string) {
		if strings.Contains(text, "ready") {
			cancel()
		}
	})
	if got.err != nil || got.Status != mlflow.RunKilled || got.ExitCode != 143 || got.tracker.statuses[0] != mlflow.RunKilled {
		t.Errorf("%+v %v", got.Result, got.err)
	}
}

func TestAMissingInterpreterIsNamed(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"a.R": ""})
	got := run(t, Options{URI: dir, EntryPoint: "a.R", Env: []string{"PATH=" + dir}})
	if got.ExitCode != 1 || got.Status != mlflow.RunFailed || !strings.Contains(got.stderr, "Rscript is not") {
		t.Errorf("%+v %v %s", got.Result, got.err, got.stderr)
	}
}

// The R package is not needed here: a stand-in with the same name shows how it is called.
func TestAnRScriptGoesThroughMlflowSource(t *testing.T) {
	t.Parallel()
	lib := t.TempDir()
	pkg := project(t, map[string]string{
		"DESCRIPTION": "Package: mlflow\nVersion: 0.0.1\nTitle: Stand-In\nDescription: Stand-in.\nLicense: none\nAuthor: x\nMaintainer: x <x@x.x>\n",
		"NAMESPACE":   "export(mlflow_source)\n",
		"R/x.R":       "mlflow_source <- function(uri) { cat(uri, commandArgs(trailingOnly = TRUE), Sys.getenv('MLFLOW_RUN_ID'), sep = '|'); source(uri) }\n",
	})
	if out, err := exec.Command("R", "CMD", "INSTALL", "--no-docs", "--no-test-load", "-l", lib, pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := project(t, map[string]string{"it's a.R": "cat('|sourced')", "bad.R": "stop('no')"})
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "R_LIBS=" + lib, "LANG=C.UTF-8"}
	got := run(t, Options{URI: filepath.Join(dir, "it's a.R"), Env: env, Params: []Param{{"alpha", "a b"}}})
	if want := "it's a.R|--args|--alpha|a b|r1|sourced"; got.err != nil || got.stdout != want || got.ExitCode != 0 {
		t.Errorf("%+v %v stdout %q stderr %s", got.Result, got.err, got.stdout, got.stderr)
	}
	if got := run(t, Options{URI: filepath.Join(dir, "bad.R"), Env: env}); got.ExitCode != 1 || got.Status != mlflow.RunFailed {
		t.Errorf("%+v", got.Result)
	}
}
