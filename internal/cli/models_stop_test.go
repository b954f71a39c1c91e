package cli

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestAServerThatStopsAnswersWhatIsOnItsWay sends a request on a connection that is kept alive, and one on a new one,
// after the server was told to stop.
func TestAServerThatStopsAnswersWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	var bye farewell
	server := httptest.NewUnstartedServer(bye.wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })))
	server.Config.ConnState = bye.connState
	server.Start()
	defer server.Close()
	dial := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		return conn, bufio.NewReader(conn)
	}
	ask := func(conn net.Conn, r *bufio.Reader, closes bool) {
		t.Helper()
		if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Close != closes {
			t.Errorf("status %d, closes %v, want %v", resp.StatusCode, resp.Close, closes)
		}
	}
	kept, r := dial()
	defer kept.Close()
	ask(kept, r, false)
	began := time.Now()
	gone := make(chan struct{})
	go func() {
		bye.wait()
		close(gone)
	}()
	for stopping := false; !stopping; {
		bye.mu.Lock()
		stopping = bye.stopping
		bye.mu.Unlock()
	}
	late, r2 := dial()
	defer late.Close()
	ask(late, r2, true)
	ask(kept, r, true)
	<-gone
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it waited %s", took)
	}
	var idle farewell
	began = time.Now()
	idle.wait()
	if took := time.Since(began); took >= farewellTime {
		t.Errorf("without connections it waited %s", took)
	}
}
