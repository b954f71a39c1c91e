package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in memory, so that their deadlines follow the clock of a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial serves h behind LimitSilence for the length of a test in a bubble, and gives a client's end of a connection.
func dialPipe(t *testing.T, h http.HandlerFunc) net.Conn {
	t.Helper()
	l := pipes{make(chan net.Conn), make(chan struct{})}
	s := &http.Server{Handler: LimitSilence(h), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(l) }()
	client, end := net.Pipe()
	l.conns <- end
	t.Cleanup(func() {
		client.Close()
		s.Close()
		synctest.Wait()
	})
	return client
}

// Whatever becomes of a request, its connection ends when the body does not come: of one that is refused unread the HTTP
// server wants to drain the rest before it answers.
func TestBodiesThatStandStillAreEnded(t *testing.T) {
	t.Parallel()
	var fault error
	for name, h := range map[string]http.HandlerFunc{
		"refused unread": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"read": func(w http.ResponseWriter, r *http.Request) {
			if _, fault = io.ReadAll(r.Body); fault != nil {
				http.Error(w, "the body ended early", http.StatusBadRequest)
			}
		},
	} {
		for _, length := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := dialPipe(t, h)
				go func() { _, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n"+length+"\r\n\r\n2") }()
				answer, _ := io.ReadAll(c)
				if took := time.Since(began); took < silence || took > silence+5*time.Second {
					t.Errorf("%s, %s: the connection ended after %v: %s", name, length, took, answer)
				}
				if name == "read" && !errors.Is(fault, os.ErrDeadlineExceeded) {
					t.Errorf("%s: the body's fault is %v", length, fault)
				}
			})
		}
	}
}

// A body that comes slowly is read to its end, however long that takes; and what the handler does then takes as long as
// it needs.
func TestSlowBodiesAndSlowHandlersAreNotEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := dialPipe(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			time.Sleep(10 * silence)
			if err := errors.Join(err, r.Context().Err()); err != nil {
				t.Error(err)
			}
			_, _ = w.Write(body)
		})
		go func() {
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n")
			for _, letter := range "weird" {
				time.Sleep(silence - 5*time.Second)
				_, _ = io.WriteString(c, string(letter))
			}
		}()
		answer, err := io.ReadAll(c)
		if err != nil || !bytes.HasSuffix(answer, []byte("\r\n\r\nweird")) {
			t.Errorf("%s %v", answer, err)
		}
	})
}

// A client that does not take its answer holds neither the answer's memory nor the goroutine for ever.
func TestAnswersThatNobodyReadsAreEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		c := dialPipe(t, func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write(make([]byte, 10<<20))
			ended <- err
		})
		began := time.Now()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		err := <-ended
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != silence {
			t.Errorf("ended after %v by %v", took, err)
		}
	})
}

// A slow reader gets all of its answer, and the connection is good for more requests, long after its last one.
func TestSlowReadersGetTheirAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size = 3 * answerPiece
		c := dialPipe(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			if n, err := io.WriteString(w, strings.Repeat("x", size)); n != size || err != nil {
				t.Errorf("wrote %d: %v", n, err)
			}
		})
		from := bufio.NewReader(c)
		for range 2 {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			answer, err := http.ReadResponse(from, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, buf := 0, make([]byte, 64<<10)
			for err == nil {
				var n int
				n, err = answer.Body.Read(buf)
				got += n
				time.Sleep(silence / 100)
			}
			if got != size || err != io.EOF {
				t.Fatalf("got %d bytes: %v", got, err)
			}
			time.Sleep(2 * silence)
		}
	})
}
