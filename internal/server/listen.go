package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// Listen listens on a port of a host; port 0 takes a free one. The listener speaks plain TCP: one for multipath TCP,
// which is Go's default, takes no filter, and a Front needs one.
func Listen(ctx context.Context, host string, port int) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	l, err := c.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listen on port %d of %s: %w", port, host, err)
	}
	return l, nil
}

// lastCalls is a listener that can be closed without losing a connection. For a client a connection stands once the
// kernel has answered, which is before the server accepts it, and the kernel resets those that wait when a listener closes.
type lastCalls struct {
	net.Listener
	until atomic.Pointer[time.Time] // set once it closes: how long connections are waited for
}

const (
	// handshakeTime is how long a connection may take that the kernel has begun to make when the server stops.
	handshakeTime = 250 * time.Millisecond
	// acceptGap is how long no connection has to come for none to be waiting, where the system does not tell.
	acceptGap = 2 * time.Millisecond
	// lastCallsTime bounds the wait where new connections cannot be kept out.
	lastCallsTime = time.Second
)

// close keeps new connections out where the system can do that, and has Accept end once those that stand are accepted.
func (l *lastCalls) close() {
	wait := acceptGap
	if refuseNew(l.Listener) != nil {
		time.AfterFunc(lastCallsTime, func() { _ = l.Close() })
	} else if addr, ok := l.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		wait = handshakeTime
	}
	until := time.Now().Add(wait)
	l.until.Store(&until)
	l.wake(time.Now())
}

// Accept gives the next connection. Once the listener closes and no connection waits, it gives net.ErrClosed.
func (l *lastCalls) Accept() (net.Conn, error) {
	for {
		if until := l.until.Load(); until != nil {
			now := time.Now()
			if !now.Before(*until) && !readable(l.Listener) {
				_ = l.Close()
				return nil, net.ErrClosed
			}
			l.wake(later(*until, now.Add(acceptGap)))
		}
		conn, err := l.Listener.Accept()
		until := l.until.Load()
		if until == nil {
			return conn, err
		}
		if err == nil {
			next := later(*until, time.Now().Add(acceptGap))
			l.until.Store(&next)
			return conn, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
}

// wake ends a wait for connections at t; a listener without deadlines closes at once.
func (l *lastCalls) wake(t time.Time) {
	if d, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); !ok || d.SetDeadline(t) != nil {
		_ = l.Close()
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
