package server

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// ConnectOptions say how Connect finds or starts the server of a store.
type ConnectOptions struct {
	// Store is the folder or SQLite file.
	Store Store
	// Executable is the weir binary that is started where no server lives.
	Executable string
	// Environ is the environment of that server; variables that would configure it are left out.
	Environ []string
	// ServerArgs are added to its command line.
	ServerArgs []string
	// Wait bounds everything; 10 s when zero.
	Wait time.Duration
}

const (
	connectWait = 10 * time.Second
	connectPoll = 10 * time.Millisecond
	maxLog      = 1 << 20 // bytes from which a server's log begins anew
)

// Connect gives the server that works for a store on this host and starts one where none lives. The server waits at
// least ten seconds for the caller to hold a lease.
func Connect(ctx context.Context, o ConnectOptions) (Ready, error) {
	if !o.Store.Local() {
		return Ready{}, fmt.Errorf("%s is for servers; start one with `weir server --backend-store-uri …` and use its address", o.Store)
	}
	if err := o.Store.prepare(); err != nil {
		return Ready{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return Ready{}, fmt.Errorf("name of this host: %w", err)
	}
	if o.Wait == 0 {
		o.Wait = connectWait
	}
	ctx, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	for {
		info, alive, err := lookAtLock(o.Store, host)
		if err != nil {
			return Ready{}, err
		}
		if !alive {
			ready, err := startServer(ctx, o)
			if !errors.Is(err, errBusy) {
				return ready, err
			}
			continue // another client was faster
		}
		if info.URL != "" && answers(ctx, info) {
			return Ready{URL: info.URL, Token: info.Token, PID: info.PID, Version: info.Version}, nil
		}
		select { // it is about to be ready, or about to end
		case <-time.After(connectPoll):
		case <-ctx.Done():
			return Ready{}, fmt.Errorf("the server of %s (pid %d) does not answer; end it with `kill %d` and try again", o.Store, info.PID, info.PID)
		}
	}
}

// lookAtLock says whether a server of this host holds the store's lock, and what it wrote. What a dead server wrote is
// not given: its port may belong to somebody else by now.
func lookAtLock(store Store, host string) (info lockInfo, alive bool, err error) {
	f, err := openLock(store)
	if err != nil {
		return info, false, err
	}
	defer f.Close()
	info, readErr := readLock(f)
	if readErr == nil && info.foreign(host, time.Now()) {
		return info, true, &foreignError{store, info}
	}
	switch err := tryLock(f); {
	case errors.Is(err, errBusy):
		if readErr != nil {
			info = lockInfo{} // just being written
		}
		return info, true, nil
	case err != nil:
		return info, false, err
	}
	return lockInfo{}, false, nil
}

// direct reaches servers of this machine whatever proxies the environment names.
func direct(timeout time.Duration) *http.Client {
	return &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: timeout}
}

// answers asks a server whether it is there and accepts the token, which also makes it wait for what comes next.
func answers(ctx context.Context, info lockInfo) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, info.URL+"/api/weir/v1/server", nil)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer "+info.Token)
	response, err := direct(2 * time.Second).Do(req)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// readyLine is the one line that a server with leases writes to its standard output.
type readyLine struct {
	Ready
	Busy bool `json:"busy,omitempty"`
}

// startServer starts a server for the store that outlives this process, and waits until it answers.
func startServer(ctx context.Context, o ConnectOptions) (Ready, error) {
	log, begin, err := openLog(o.Store.LogPath())
	if err != nil {
		return Ready{}, err
	}
	defer log.Close()
	uri := o.Store.Folder
	if uri == "" {
		uri = o.Store.File
	}
	if o.Store.File != "" {
		uri = "sqlite:///" + o.Store.File
	}
	args := append([]string{"server", "--backend-store-uri", uri, "--port", "0", "--lease"}, o.ServerArgs...)
	cmd := exec.Command(o.Executable, args...) // not bound to ctx: it lives on
	cmd.Env = serverEnviron(o.Environ)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return Ready{}, fmt.Errorf("start a server for %s: %w", o.Store, err)
	}
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return Ready{}, fmt.Errorf("start a server for %s: %w", o.Store, err)
	}
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		said <- line
		_ = cmd.Wait() // whenever it ends: while this process lives, the child must not stay as a zombie
	}()
	var line readyLine
	select {
	case text := <-said:
		if json.Unmarshal([]byte(text), &line) != nil {
			return Ready{}, fmt.Errorf("the server for %s did not start: %s", o.Store, lastLine(o.Store.LogPath(), begin))
		}
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		return Ready{}, fmt.Errorf("the server for %s was not ready in time: %s", o.Store, lastLine(o.Store.LogPath(), begin))
	}
	if line.Busy {
		return Ready{}, errBusy
	}
	return line.Ready, nil
}

// serverEnviron leaves out what would configure the server: it works for all clients of the folder, not for the one
// that happened to come first. What the artifact stores need stays.
func serverEnviron(environ []string) []string {
	var kept []string
	for _, v := range environ {
		configures := strings.HasPrefix(v, "WEIR_") || (strings.HasPrefix(v, "MLFLOW_") && !strings.HasPrefix(v, "MLFLOW_S3_"))
		if !configures {
			kept = append(kept, v)
		}
	}
	return kept
}

// openLog opens a log for appending and says where new lines begin.
func openLog(path string) (f *os.File, begin int64, err error) {
	f, err = openOwn(path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return nil, 0, fmt.Errorf("open the server's log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() <= maxLog {
		return f, info.Size(), nil
	}
	if err = cmp.Or(err, f.Truncate(0)); err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("open the server's log: %w", err)
	}
	return f, 0, nil
}

// lastLine gives the last line that stands in a log from begin on.
func lastLine(path string, begin int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	data, _ := io.ReadAll(io.NewSectionReader(f, begin, maxLog))
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		return "it said nothing; see " + path
	}
	return strings.TrimPrefix(last, "weir: ")
}

// Hold takes a lease: the server lives until end is called, or this process ends.
func (r Ready) Hold(ctx context.Context) (end func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+leasePath, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	response, err := direct(0).Do(req)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "the server answered %s", response.Status)
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("hold a lease of the server at %s: %w", r.URL, err)
	}
	return func() {
		cancel()
		response.Body.Close()
	}, nil
}

// SayReady writes the line by which Connect learns that a server answers; err is what Run gave before it was ready.
func SayReady(w io.Writer, ready Ready) error {
	return json.NewEncoder(w).Encode(readyLine{Ready: ready})
}

// SayBusy tells Connect that another server of this host was faster. It reports whether err means that.
func SayBusy(w io.Writer, err error) bool {
	return errors.Is(err, errBusy) && json.NewEncoder(w).Encode(readyLine{Busy: true}) == nil
}
