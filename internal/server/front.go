package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Front serves HTTP on a listener and stops without losing a request. When it stops, no new connection is made, those
// that clients hold already are answered, each answer ends its connection, and a connection on which nothing comes for a
// while is closed.
type Front struct {
	http     *http.Server
	listener *lastCalls
	served   chan struct{} // closed when no connection is accepted any more
	stopping atomic.Bool

	mu   sync.Mutex
	open map[net.Conn]*stay
}

// stay is what a connection does, since when, and how often a server that stops has found it silent since.
type stay struct {
	state  http.ConnState
	since  time.Time
	silent int
}

// A server that stops looks at its connections once in lookTime and closes one that is silent so many times: one that is
// used again and again is not silent for long, and one that is new may have its first request on its way. They are looks
// instead of a time because on a machine that stands still for a moment the clients do, too.
const (
	lookTime  = 10 * time.Millisecond
	newLooks  = 500
	idleLooks = 30
	longIdle  = 2 * time.Second // a connection idle for so long is hardly used in this moment
	longLooks = 5
)

// NewFront prepares h, whose Handler and ConnState it sets, for serving on a listener of Listen.
func NewFront(h *http.Server, listener net.Listener) *Front {
	f := &Front{
		http: h, listener: &lastCalls{Listener: listener}, served: make(chan struct{}),
		open: map[net.Conn]*stay{},
	}
	next := h.Handler
	h.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
	h.ConnState = f.note
	return f
}

// Serve serves until Stop, with TLS when the server has a TLSConfig. It returns why it ended.
func (f *Front) Serve() error {
	defer close(f.served)
	if f.http.TLSConfig != nil {
		return f.http.ServeTLS(f.listener, "", "")
	}
	return f.http.Serve(f.listener)
}

// note is the server's ConnState.
func (f *Front) note(c net.Conn, state http.ConnState) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(f.open, c)
		return
	}
	s := f.open[c]
	if s == nil {
		s = &stay{}
		f.open[c] = s
	}
	*s = stay{state: state, since: now}
}

// Stop returns once every request that a client could send is answered. When ctx ends before that, it ends the
// connections and gives ctx's error. Serve must have been called.
func (f *Front) Stop(ctx context.Context) error {
	f.stopping.Store(true)
	f.listener.close()
	<-f.served
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for f.closeSilent(time.Now()) && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	// What is left are connections of HTTP/2, which have a farewell of their own.
	err := f.http.Shutdown(ctx)
	if err != nil {
		_ = f.http.Close()
	}
	return err
}

// closeSilent ends connections that have been silent for long enough and reports whether any is left.
func (f *Front) closeSilent(now time.Time) (left bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c, s := range f.open {
		if s.state != http.StateNew && speaksHTTP2(c) {
			continue
		}
		left = true
		if s.state == http.StateActive || readable(plain(c)) {
			s.silent = 0
			continue
		}
		s.silent++
		if s.silent%s.looks(now) == 0 {
			// Ends the server's wait for a request, and with it the connection. When the server has just read one, it
			// sets a deadline of its own and answers.
			_ = c.SetReadDeadline(now)
		}
	}
	return left
}

// looks says how often a connection must be found silent to be closed.
func (s *stay) looks(now time.Time) int {
	switch {
	case s.state == http.StateNew:
		return newLooks
	case now.Sub(s.since) >= longIdle:
		return longLooks
	}
	return idleLooks
}

// plain gives the connection below TLS.
func plain(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

func speaksHTTP2(c net.Conn) bool {
	t, ok := c.(*tls.Conn)
	return ok && t.ConnectionState().NegotiatedProtocol == "h2"
}
