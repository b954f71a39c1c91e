package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

type ready struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	PID   int    `json:"pid"`
}

// weir prepares a call of the program in a folder, marked so that what it leaves behind is found.
func weir(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "weir"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), mark+"="+dir, "WEIR_LEASE_START=3s", "WEIR_LEASE_GRACE=300ms", "MLFLOW_TRACKING_URI=")
	return cmd
}

// storeDir is a folder whose processes have all ended when the test ends.
func storeDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if left := processesLeft(dir, 15*time.Second); len(left) > 0 {
			t.Errorf("processes are left behind:\n%s", strings.Join(left, "\n"))
		}
	})
	return dir
}

func connect(t *testing.T, dir string) ready {
	t.Helper()
	var stderr bytes.Buffer
	cmd := weir(t, dir, "connect", "store")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("connect: %v: %s", err, stderr.String())
	}
	var r ready
	if err := json.Unmarshal(out, &r); err != nil || bytes.Count(out, []byte("\n")) != 1 {
		t.Fatalf("connect printed %q: %v", out, err)
	}
	return r
}

func TestManyConnectsAtOnceGiveOneServer(t *testing.T) {
	t.Parallel()
	dir := storeDir(t)
	got := make([]ready, 12)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i] = connect(t, dir) })
	}
	all.Wait()
	for _, r := range got {
		if r != got[0] {
			t.Fatalf("two servers: %+v and %+v", r, got[0])
		}
	}
	// Those that came second have said so, and are ending.
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		servers := processesOf(dir)
		if len(servers) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d servers are running: %v", len(servers), servers)
		}
	}
}

func TestManyConnectsAfterAKillGiveOneServer(t *testing.T) {
	t.Parallel()
	dir := storeDir(t)
	first := connect(t, dir)
	for range 3 {
		if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		got := make([]ready, 6)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() { got[i] = connect(t, dir) })
		}
		all.Wait()
		for _, r := range got {
			if r.PID == first.PID || r != got[0] {
				t.Fatalf("got %+v and %+v after killing %+v", r, got[0], first)
			}
		}
		first = got[0]
	}
}

// hold opens a lease and gives a function that ends it.
func hold(t *testing.T, r ready) (end func()) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+"/api/weir/v1/lease", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || response.StatusCode != http.StatusOK || !strings.Contains(line, "held") {
		t.Fatalf("lease: %s %q %v", response.Status, line, err)
	}
	return func() { response.Body.Close() }
}

func TestAServerLivesWhileALeaseIsHeldAndEndsSoonAfter(t *testing.T) {
	t.Parallel()
	dir := storeDir(t)
	r := connect(t, dir)
	one, two := hold(t, r), hold(t, r)
	one()
	time.Sleep(900 * time.Millisecond) // three times the grace: only a clock can show that nothing happens
	if !alive(r.PID) {
		t.Fatal("the server ended although a lease was held")
	}
	two()
	for end := time.Now().Add(10 * time.Second); alive(r.PID); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server lives on without a lease")
		}
	}
}

func TestALeaseEndsWithItsClientHoweverThatEnds(t *testing.T) {
	t.Parallel()
	dir := storeDir(t)
	r := connect(t, dir)
	client := exec.Command("curl", "-sN", "-H", "Authorization: Bearer "+r.Token, r.URL+"/api/weir/v1/lease")
	out, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_ = client.Process.Kill()
	_ = client.Wait()
	for end := time.Now().Add(10 * time.Second); alive(r.PID); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server does not notice that its client was killed")
		}
	}
}

func TestSIGTERMEndsAServerThoughLeasesAreHeld(t *testing.T) {
	t.Parallel()
	dir := storeDir(t)
	r := connect(t, dir)
	defer hold(t, r)()
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); alive(r.PID); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server waits for its leases")
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, "store", "weir.lock")); err != nil || len(data) > 0 {
		t.Errorf("the lock holds %q, %v", data, err)
	}
	if next := connect(t, dir); next.PID == r.PID {
		t.Error("no new server")
	}
}
