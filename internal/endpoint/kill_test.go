//go:build linux

package endpoint

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestNoWorkerOutlivesAKilledServer(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WEIR_TEST_SERVER="+modelsDir+"/obey", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url = strings.TrimSpace(url)
	ask := func(do string) (string, error) {
		resp, err := http.Post(url+"/invocation", "application/json", strings.NewReader(order(do)))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	var workers []string
	await(t, func() bool {
		workers = workersOf(cmd.Process.Pid)
		return len(workers) == 2
	})
	ended := make(chan struct{})
	go func() { // one worker is in an endless loop and reads no pipe, the other is idle
		defer close(ended)
		_, _ = ask("loop")
	}()
	if body, err := ask("pid"); err != nil || !strings.HasPrefix(body, "[") {
		t.Errorf("%s, %v", body, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	<-ended
	await(t, func() bool {
		for _, w := range workers {
			pid, _ := strconv.Atoi(w)
			if syscall.Kill(pid, 0) == nil && !zombie(w) {
				return false
			}
		}
		return true
	})
	http.DefaultClient.CloseIdleConnections()
}

func zombie(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}
