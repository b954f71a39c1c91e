package server

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNoNewConnectionIsMadeWithAServerThatStops has the kernel neither answer nor refuse, so that the client asks again.
func TestNoNewConnectionIsMadeWithAServerThatStops(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "::1", "", "0.0.0.0"} {
		l, err := Listen(t.Context(), host, 0)
		if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
			continue // no IPv6 here
		}
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		defer l.Close()
		if err := refuseNew(l); errors.Is(err, unix.EPERM) {
			continue // a sandbox that has no filters for all; a Front waits there as on other systems
		} else if err != nil {
			t.Errorf("%q: %v", host, err)
		}
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var d net.Dialer
		c, err := d.DialContext(short, "tcp", l.Addr().String())
		if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%q: %v, %v", host, c, err)
		}
	}
}
