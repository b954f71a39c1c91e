package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a running server with an address; Python's has children.
type process struct {
	cmd  *exec.Cmd
	host string
}

// server starts the target on the store in the run's folder.
func (b *bench) server() (*process, error) {
	p, _, err := b.spawnServer()
	return p, err
}

func (b *bench) spawnServer() (*process, time.Duration, error) {
	if b.target == onPython {
		return b.spawnPython()
	}
	store := "sqlite:///" + b.dir + "/weir.db"
	if b.target == onPostgres {
		var err error
		if store, err = b.pg.database(b.dir); err != nil {
			return nil, 0, err
		}
	}
	return b.spawn("server", "--backend-store-uri", store, "--artifacts-destination", b.dir+"/artifacts", "--port", "0")
}

// spawn starts weir and waits until /health answers; it gives the time from exec to that answer.
func (b *bench) spawn(args ...string) (*process, time.Duration, error) {
	cmd := exec.Command(b.weir, args...)
	cmd.Dir = b.dir
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, 0, err
	}
	begin := time.Now()
	p, err := begun(cmd)
	if err != nil {
		return nil, 0, err
	}
	var said []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said = append(said, lines.Text())
		_, rest, ok := strings.Cut(lines.Text(), "http://")
		if !ok {
			continue
		}
		p.host = strings.TrimRight(strings.Fields(rest)[0], "/.,")
		if err := p.ready(time.Second); err != nil {
			p.stop()
			return nil, 0, err
		}
		took := time.Since(begin)
		go io.Copy(io.Discard, out) // a full pipe would stop the server
		return p, took, nil
	}
	p.stop()
	return nil, 0, fmt.Errorf("weir %v did not start: %s", args, strings.Join(said, "; "))
}

// spawnPython starts Python's server with its default workers and without what runs jobs in the background: those processes
// take the cores for minutes after each start.
func (b *bench) spawnPython() (*process, time.Duration, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	host := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(host)
	cmd := exec.Command(b.mlflow, "server", "--backend-store-uri", "sqlite:///"+b.dir+"/mlflow.db", "--artifacts-destination", b.dir+"/artifacts",
		"--host", "127.0.0.1", "--port", port)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(b.mlflow)+string(os.PathListSeparator)+os.Getenv("PATH"), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false")
	begin := time.Now()
	p, err := begun(cmd)
	if err != nil {
		return nil, 0, err
	}
	p.host = host
	if err := p.ready(3 * time.Minute); err != nil {
		p.stop()
		return nil, 0, err
	}
	return p, time.Since(begin), nil
}

// begun starts a command in a process group of its own and waits for its end.
func begun(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	starting.Lock()
	defer starting.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	running.Store(cmd.Process.Pid, true)
	return &process{cmd: cmd}, nil
}

var (
	running  sync.Map   // the process groups of the servers that were started and not stopped
	starting sync.Mutex // held for ever once nothing more may start
)

// onInterrupt leaves nothing behind when the user has enough: servers are killed, and what clean removes goes too.
func onInterrupt(clean func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		starting.Lock()
		running.Range(func(pid, _ any) bool {
			_ = syscall.Kill(-pid.(int), syscall.SIGKILL)
			return true
		})
		for range 20 { // what was killed may write until it is gone
			time.Sleep(50 * time.Millisecond)
			clean()
		}
		os.Exit(130)
	}()
}

// ready waits until /health answers 200.
func (p *process) ready(atMost time.Duration) error {
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + p.host + "/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		if time.Since(begin) > atMost {
			return fmt.Errorf("%s does not answer: %w", p.cmd.Path, err)
		}
	}
}

// stop ends the server and what it started.
func (p *process) stop() {
	pid := p.cmd.Process.Pid
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(20*time.Second, func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	_ = p.cmd.Wait()
	late.Stop()
	_ = syscall.Kill(-pid, syscall.SIGKILL) // workers that outlive their parent
	running.Delete(pid)
}

// group gives the processes of the server: itself and its children.
func (p *process) group() (pids []string, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		fields, ok := statOf(e.Name())
		if ok && len(fields) > 2 && fields[2] == strconv.Itoa(p.cmd.Process.Pid) {
			pids = append(pids, e.Name())
		}
	}
	return pids, nil
}

// statOf gives the fields of /proc/pid/stat behind the name: state, parent, group and so on.
func statOf(pid string) ([]string, bool) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil, false
	}
	_, rest, ok := strings.Cut(string(stat), ") ")
	return strings.Fields(rest), ok
}

// memory gives resident and anonymous memory in MB.
func (p *process) memory() (rss, anonymous float64, err error) {
	pids, err := p.group()
	if err != nil {
		return 0, 0, err
	}
	for _, pid := range pids {
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(status)) {
			fields := strings.Fields(line)
			if len(fields) < 2 {
				continue
			}
			kb, _ := strconv.ParseFloat(fields[1], 64)
			switch fields[0] {
			case "VmRSS:":
				rss += kb / 1024
			case "RssAnon:":
				anonymous += kb / 1024
			}
		}
	}
	return rss, anonymous, nil
}

// cpu gives the processor time that the server has used, in microseconds: on a busy machine it says more than the clock.
func (p *process) cpu() (float64, error) {
	pids, err := p.group()
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, pid := range pids {
		if fields, ok := statOf(pid); ok && len(fields) > 12 {
			user, _ := strconv.ParseFloat(fields[11], 64)
			system, _ := strconv.ParseFloat(fields[12], 64)
			total += user + system
		}
	}
	return total * 10_000, nil // Linux counts in hundredths of a second
}
