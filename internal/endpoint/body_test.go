package endpoint

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"
)

// deadlines is a connection whose deadlines pass in the test's own time.
type deadlines struct {
	*httptest.ResponseRecorder
	at time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.at = at
	return nil
}

// stalled is a body that stops after its first piece.
type stalled struct {
	conn  *deadlines
	first string
}

func (s *stalled) Read(p []byte) (int, error) {
	if n := copy(p, s.first); n > 0 {
		s.first = s.first[n:]
		return n, nil
	}
	time.Sleep(time.Until(s.conn.at))
	return 0, os.ErrDeadlineExceeded
}

func (*stalled) Close() error { return nil }

func TestABodyThatStopsIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		for _, length := range []int64{100, -1} {
			r := httptest.NewRequest(http.MethodPost, "/invocations", nil)
			r.Body, r.ContentLength = &stalled{conn, `{"inputs":`}, length
			began := time.Now()
			_, release, err := readBody(conn, r, 1000, semaphore.NewWeighted(1000))
			release()
			if took := time.Since(began); took != bodyPause || err == nil || !strings.Contains(err.Error(), "did not go on for 30s") {
				t.Errorf("length %d: %v after %s", length, err, took)
			}
			if conn.at.IsZero() {
				t.Error("no deadline is left for the HTTP server, which waits for the rest of the body")
			}
		}
		r := httptest.NewRequest(http.MethodPost, "/invocations", strings.NewReader("{}"))
		if _, release, err := readBody(conn, r, 1000, semaphore.NewWeighted(1000)); err != nil || !conn.at.IsZero() {
			t.Error("a deadline is left, which would end the wait for R", err)
		} else {
			release()
		}
	})
}

// Large bodies wait for each other: what is read from them takes many times their size. Small ones do not wait.
func TestLargeBodiesShareRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 20 << 20
		room := semaphore.NewWeighted(limit)
		read := func(ctx context.Context, size, length int64) (release func(), err error) {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/invocations", io.LimitReader(spaces{}, size))
			r.ContentLength = length
			body, release, err := readBody(httptest.NewRecorder(), r, limit, room)
			if err == nil && int64(len(body)) != size {
				t.Errorf("read %d of %d bytes", len(body), size)
			}
			return release, err
		}
		first, err := read(t.Context(), 15<<20, 15<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, length := range []int64{smallBody - 1, -1} {
			release, err := read(t.Context(), smallBody-1, length)
			if err != nil {
				t.Error(err)
			}
			release()
		}
		for _, length := range []int64{10 << 20, -1} { // the second does not say how much comes
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				release, err := read(ctx, 10<<20, length)
				release()
				ended <- err
			}()
			synctest.Wait()
			select {
			case err := <-ended:
				t.Errorf("length %d did not wait: %v", length, err)
			default:
			}
			cancel() // a client that goes away leaves the line
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("length %d: %v", length, err)
			}
		}
		first()
		second, err := read(t.Context(), 10<<20, -1)
		if err != nil {
			t.Fatal(err)
		}
		second()
		if !room.TryAcquire(limit) {
			t.Error("room is not given back")
		}
	})
}

// A large body that trickles is given up: others wait for its room.
func TestALargeBodyMustNotTrickle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		room := semaphore.NewWeighted(10 << 20)
		r := httptest.NewRequest(http.MethodPost, "/invocations", trickle{})
		r.ContentLength = 10 << 20
		_, release, err := readBody(httptest.NewRecorder(), r, 10<<20, room)
		release()
		if err == nil || !strings.Contains(err.Error(), "too slowly") || !room.TryAcquire(10<<20) {
			t.Errorf("got %v", err)
		}
	})
}

// spaces is an endless body.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) { return len(p), nil }

// trickle is a body of which a byte comes each second.
type trickle struct{}

func (trickle) Read([]byte) (int, error) {
	time.Sleep(time.Second)
	return 1, nil
}

func TestABodyThatIsTooLargeGetsItsAnswer(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "lm", func(c *Config) { c.MaxBody = 1 << 20 })
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = 3 << 20
	if _, err := fmt.Fprintf(conn, "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat(" ", size)); err != nil {
		t.Fatal(err) // a client that writes all before it reads
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), "more than 1048576 bytes") {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
}

func TestSwaggerOfTheLegacyRoute(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "typed", nil)
	for query, want := range map[string]string{"": "2.0", "?version=3": "3.1.0"} {
		resp, err := server.Client().Get(server.URL + "/swagger.json" + query)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Swagger, OpenAPI string
			Paths            map[string]any
			Definitions      struct {
				Type struct {
					Properties map[string]struct {
						Items struct {
							Type string
							Enum []string
						}
					}
				}
			}
		}
		err = errors.Join(json.NewDecoder(resp.Body).Decode(&page), resp.Body.Close())
		if err != nil || page.Swagger+page.OpenAPI != want {
			t.Errorf("%s: %+v, %v", query, page, err)
		}
		if query == "" && (page.Paths["/predict/"] == nil || page.Definitions.Type.Properties["kind"].Items.Enum[0] != "b" || page.Definitions.Type.Properties["n"].Items.Type != "integer") {
			t.Errorf("%+v", page)
		}
	}
}
