package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// bin holds weir, and mlflow as a link to it.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "weir-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "../cmd/weir")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		if err := os.Symlink("weir", filepath.Join(dir, "mlflow")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		bin = dir
		return m.Run()
	}())
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup:               setup,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":    serve,
			"end":      end, // not "stop", which ends the script
			"http":     httpCommand,
			"setjson":  setJSON,
			"setline":  setLine,
			"kill9":    kill9,
			"gone":     gone,
			"mode":     mode,
			"count":    count,
			"truncate": truncate,
			"lossy":    lossy,
			"lost":     lost,
		},
	})
}

// mark is a variable that every process of one script inherits, by which those are found that it leaves behind.
const mark = "WEIRTEST_SCRIPT"

func setup(env *testscript.Env) error {
	source, err := os.Getwd()
	if err != nil {
		return err
	}
	env.Setenv("SOURCE", source)
	env.Setenv(mark, env.WorkDir)
	env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("R_LIBS", os.Getenv("R_LIBS"))
	env.Setenv("WEIR_PYTHON", os.Getenv("WEIR_PYTHON"))
	env.Setenv("MLFLOW_BIN", filepath.Join(bin, "mlflow"))
	env.Setenv("MLFLOW_PYTHON_BIN", filepath.Join(bin, "mlflow"))
	// A folder's server ends soon after its last client, so that no script waits ten seconds for it.
	env.Setenv("WEIR_LEASE_GRACE", "500ms")
	env.Setenv("WEIR_LEASE_START", "2s")
	work := env.WorkDir
	servers := &servers{byName: map[string]*exec.Cmd{}}
	env.Values[serversKey{}] = servers
	env.Values[droppedKey{}] = new(*atomic.Int64)
	env.Defer(func() {
		for name := range servers.byName {
			servers.end(name, syscall.SIGTERM)
		}
		if left := processesLeft(work, 15*time.Second); len(left) > 0 {
			env.T().Fatal("processes are left behind:\n" + strings.Join(left, "\n"))
		}
	})
	return nil
}

// condition answers [name] in scripts. With WEIR_E2E=all, as `make e2e` sets it, what a script needs must be there: no
// script is left out in silence.
func condition(name string) (bool, error) {
	ok, err := holds(name)
	if err == nil && !ok && name != "root" && os.Getenv("WEIR_E2E") == "all" {
		err = fmt.Errorf("%s is needed and not there; run make setup and make e2e", name)
	}
	return ok, err
}

func holds(name string) (bool, error) {
	switch name {
	case "R":
		_, err := exec.LookPath("Rscript")
		return err == nil, nil
	case "python":
		return os.Getenv("WEIR_PYTHON") != "", nil
	case "rpackage": // our own, installed by `make r`
		return exec.Command("Rscript", "-e", `stopifnot(utils::packageVersion("mlflow") >= "4.0.0")`).Run() == nil, nil
	case "root":
		return os.Getuid() == 0, nil
	}
	if pkg, ok := strings.CutPrefix(name, "rpkg:"); ok {
		return exec.Command("Rscript", "-e", "stopifnot(requireNamespace('"+pkg+"', quietly = TRUE))").Run() == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

type serversKey struct{}

// servers are the processes that scripts have started with serve.
type servers struct{ byName map[string]*exec.Cmd }

func (s *servers) end(name string, sig syscall.Signal) error {
	cmd := s.byName[name]
	if cmd == nil {
		return fmt.Errorf("no server %q", name)
	}
	delete(s.byName, name)
	_ = cmd.Process.Signal(sig)
	return cmd.Wait()
}

// serve starts `weir ARGS…` on a free port, waits until it answers and puts its address into $URL.
//
//	serve [-name NAME] server --backend-store-uri mlruns
func serve(ts *testscript.TestScript, neg bool, args []string) {
	name := "server"
	if len(args) > 2 && args[0] == "-name" {
		name, args = args[1], args[2:]
	}
	cmd := exec.Command(filepath.Join(bin, "weir"), append(args, "--port", "0")...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = environ(ts)
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Value(serversKey{}).(*servers).byName[name] = cmd
	address := make(chan string, 1)
	go func() {
		defer close(address)
		sent := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			line := lines.Text()
			if _, url, ok := strings.Cut(line, "listening on "); ok && !sent {
				sent = true
				address <- url
			}
		}
	}()
	select {
	case url, ok := <-address:
		if !ok {
			ts.Fatalf("weir %s ended", strings.Join(args, " "))
		}
		ts.Setenv("URL", url)
	case <-time.After(20 * time.Second):
		ts.Fatalf("weir %s did not start", strings.Join(args, " "))
	}
}

// end ends a server that serve has started, and fails unless it ends with status 0.
func end(ts *testscript.TestScript, neg bool, args []string) {
	name := "server"
	if len(args) > 0 {
		name = args[0]
	}
	if err := ts.Value(serversKey{}).(*servers).end(name, syscall.SIGTERM); err != nil {
		ts.Fatalf("server %s: %v", name, err)
	}
}

func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "TMPDIR", "R_LIBS", mark, "WEIR_LEASE_GRACE", "WEIR_LEASE_START", "WEIR_BACKEND_STORE_URI", "MLFLOW_BACKEND_STORE_URI", "MLFLOW_BIN", "MLFLOW_PYTHON_BIN", "MLFLOW_TRACKING_URI",
	} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// httpCommand sends one request as a client does and prints status line, chosen headers and body. It fails on a status
// of 400 or more, unless negated.
//
//	http GET $URL/api/2.0/mlflow/experiments/get?experiment_id=0
//	http POST $URL/api/2.0/mlflow/experiments/create {"name":"a"}
//	http -H 'Authorization: Bearer x' PUT $URL/… @file
func httpCommand(ts *testscript.TestScript, neg bool, args []string) {
	header := http.Header{}
	for len(args) > 1 && args[0] == "-H" {
		key, value, _ := strings.Cut(args[1], ":")
		header.Set(strings.TrimSpace(key), strings.TrimSpace(value))
		args = args[2:]
	}
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: http [-H 'Name: value'] METHOD URL [BODY|@FILE]")
	}
	var body io.Reader
	if len(args) == 3 {
		if path, ok := strings.CutPrefix(args[2], "@"); ok {
			body = strings.NewReader(ts.ReadFile(path))
		} else {
			body = strings.NewReader(args[2])
			if header.Get("Content-Type") == "" {
				header.Set("Content-Type", "application/json")
			}
		}
	}
	req, err := http.NewRequest(args[0], args[1], body)
	ts.Check(err)
	req.Header = header
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	client := http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(req)
	ts.Check(err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), response.StatusCode)
	for _, key := range []string{"Content-Type", "Content-Encoding", "Cache-Control", "Location", "Set-Cookie", "Allow", "Content-Security-Policy"} {
		for _, value := range response.Header.Values(key) {
			fmt.Fprintf(ts.Stdout(), "%s: %s\n", key, value)
		}
	}
	fmt.Fprintf(ts.Stdout(), "\n%s\n", data)
	if failed := response.StatusCode >= 400; failed != neg {
		ts.Fatalf("%s %s answered %s\n%s", args[0], args[1], response.Status, data)
	}
}

// setJSON puts a value of the JSON that the last command printed, or of a file, into a variable.
//
//	setjson RUN run.info.run_id
//	setjson TOKEN token mlruns/weir.lock
func setJSON(ts *testscript.TestScript, neg bool, args []string) {
	source := "stdout"
	if len(args) == 3 {
		source = args[2]
	}
	text := ts.ReadFile(source)
	if i := strings.IndexAny(text, "{["); i >= 0 {
		text = text[i:]
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value any
	ts.Check(d.Decode(&value))
	for key := range strings.SplitSeq(args[1], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: no element %d in %s", args[1], i, text)
			}
			value = v[i]
		default:
			ts.Fatalf("no %s in %s", args[1], text)
		}
	}
	if value == nil {
		ts.Fatalf("no %s in %s", args[1], text)
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// setLine puts the last line that is not empty of the last command's output into a variable.
func setLine(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	ts.Setenv(args[0], lines[len(lines)-1])
}

// kill9 ends processes as a crash does.
func kill9(ts *testscript.TestScript, neg bool, args []string) {
	for _, text := range args {
		pid, err := strconv.Atoi(text)
		ts.Check(err)
		ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	}
}

// gone waits until the processes have ended.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	for _, text := range args {
		pid, err := strconv.Atoi(text)
		ts.Check(err)
		for end := time.Now().Add(15 * time.Second); alive(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				ts.Fatalf("process %d is still there", pid)
			}
		}
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && runtime.GOOS != "linux"
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return len(state) > 0 && state[0] != 'Z'
}

// mode checks the permission bits of a file.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, not %s", args[1], got, args[0])
	}
}

// count checks how often a text stands in the last command's output.
func count(ts *testscript.TestScript, neg bool, args []string) {
	if got := strings.Count(ts.ReadFile("stdout"), args[1]); strconv.Itoa(got) != args[0] {
		ts.Fatalf("%q stands %d times in the output, not %s", args[1], got, args[0])
	}
}

// truncate makes a file of a given size.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	size, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), nil, 0o666))
	ts.Check(os.Truncate(ts.MkAbs(args[1]), size))
}

// processesLeft waits for the processes of a script to end and gives those that do not.
func processesLeft(work string, wait time.Duration) []string {
	end := time.Now().Add(wait)
	for {
		left := processesOf(work)
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// processesOf lists the processes with a script's mark, or that work in its folder.
func processesOf(work string) []string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil // no such list on this system
	}
	var found []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !alive(pid) {
			continue
		}
		env, _ := os.ReadFile("/proc/" + e.Name() + "/environ")
		cwd, _ := os.Readlink("/proc/" + e.Name() + "/cwd")
		if bytes.Contains(env, []byte(mark+"="+work+"\x00")) || cwd == work || strings.HasPrefix(cwd, work+"/") {
			command, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
			found = append(found, e.Name()+" "+string(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
		}
	}
	return found
}
