package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// standing is a Front that answers "here" and what its test needs to talk to it.
type standing struct {
	*Front
	listener net.Listener
	client   *tls.Config // nil without TLS
}

func stand(t *testing.T, secure bool, h http.HandlerFunc) *standing {
	t.Helper()
	listener, err := Listen(t.Context(), "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &standing{listener: listener}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	if secure {
		sample := httptest.NewUnstartedServer(nil)
		sample.StartTLS()
		server.TLSConfig = &tls.Config{Certificates: sample.TLS.Certificates}
		sample.Close()
		s.client = &tls.Config{InsecureSkipVerify: true}
	}
	s.Front = NewFront(server, listener)
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("it ended with %v", err)
		}
	})
	return s
}

// dial makes a connection; refused reports that the server never took it.
func (s *standing) dial(ctx context.Context) (c net.Conn, r *bufio.Reader, refused bool, err error) {
	d := net.Dialer{}
	if c, err = d.DialContext(ctx, "tcp", s.listener.Addr().String()); err != nil {
		return nil, nil, true, err
	}
	if s.client != nil {
		secure := tls.Client(c, s.client)
		if err = secure.HandshakeContext(context.WithoutCancel(ctx)); err != nil {
			return nil, nil, false, fmt.Errorf("handshake: %w", errors.Join(err, c.Close()))
		}
		c = secure
	}
	return c, bufio.NewReader(c), false, nil
}

// ask sends a request and reports whether its answer ends the connection.
func ask(c net.Conn, r *bufio.Reader) (closes bool, err error) {
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nrows"); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(body) != "here") {
		err = fmt.Errorf("status %d, %q", resp.StatusCode, body)
	}
	return resp.Close, err
}

func here(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "here")
}

// TestNoRequestIsLostWhenTheServerStops stops a server that many clients send requests to without a pause, on
// connections that they keep and on new ones. Whatever a client could send has its answer.
func TestNoRequestIsLostWhenTheServerStops(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stand(t, secure, here)
			const clients, enough = 32, 2000
			var answered atomic.Int64
			var busy sync.WaitGroup
			begun := make(chan struct{})
			ctx, end := context.WithCancel(t.Context()) // ends dials that the server keeps out
			for i := range clients {
				busy.Go(func() {
					keeps := i%2 == 0
					for {
						c, r, refused, err := s.dial(ctx)
						if refused {
							return
						}
						for err == nil {
							var closes bool
							if closes, err = ask(c, r); err == nil && answered.Add(1) == enough {
								close(begun)
							}
							if closes || !keeps {
								break
							}
						}
						if c != nil {
							_ = c.Close()
						}
						if err != nil {
							t.Errorf("client %d lost a request after %d: %v", i, answered.Load(), err)
							return
						}
					}
				})
			}
			<-begun
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			end()
			busy.Wait()
		})
	}
}

// TestAConnectionThatIsKeptIsAnsweredOnceMore uses a connection again after the server was told to stop, while a request
// that began before that still runs.
func TestAConnectionThatIsKeptIsAnsweredOnceMore(t *testing.T) {
	t.Parallel()
	started, goOn := make(chan struct{}), make(chan struct{})
	var later atomic.Bool
	s := stand(t, false, func(w http.ResponseWriter, r *http.Request) {
		if later.CompareAndSwap(false, true) {
			close(started)
			<-goOn
		}
		here(w, r)
	})
	slow, r, _, err := s.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	kept, keptR, _, err := s.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	answer := make(chan error, 1)
	go func() {
		_, err := ask(slow, r)
		answer <- err
	}()
	<-started
	if closes, err := ask(kept, keptR); closes || err != nil {
		t.Fatalf("closes %v, %v", closes, err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(t.Context()) }()
	<-s.served // no connection is taken any more
	if closes, err := ask(kept, keptR); !closes || err != nil {
		t.Errorf("closes %v, %v", closes, err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("it stopped before the answer: %v", err)
	default:
	}
	close(goOn)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	// The slow answer was to keep the connection, so the next request has its answer, too.
	if closes, err := ask(slow, r); !closes || err != nil {
		t.Errorf("closes %v, %v", closes, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestASilentConnectionDoesNotKeepAServer stops servers without connections, with one that is long idle, and with a
// request that never ends.
func TestASilentConnectionDoesNotKeepAServer(t *testing.T) {
	t.Parallel()
	none := stand(t, false, here)
	began := time.Now()
	if err := none.Stop(t.Context()); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	idle := stand(t, false, here)
	c, r, _, err := idle.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := ask(c, r); err != nil {
		t.Fatal(err)
	}
	if err := idle.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection ends with %v", err)
	}
	if _, err := net.Dial("tcp", idle.listener.Addr().String()); err == nil {
		t.Error("it takes connections still")
	}
	endless := make(chan struct{})
	started := make(chan struct{})
	hangs := stand(t, false, func(http.ResponseWriter, *http.Request) {
		close(started)
		<-endless
	})
	defer close(endless)
	c, r, _, err = hangs.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { _, _ = ask(c, r) }()
	<-started
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := hangs.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it stopped with %v", err)
	}
}

// TestAConnectionThatWaitsIsAcceptedBeforeTheListenerCloses has clients wait for a server that does not accept.
func TestAConnectionThatWaitsIsAcceptedBeforeTheListenerCloses(t *testing.T) {
	t.Parallel()
	inner, err := Listen(t.Context(), "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	const clients = 10
	for range clients {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	l := &lastCalls{Listener: inner}
	l.close()
	for range clients {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	if c, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v, %v", c, err)
	}
}
