package cli

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// farewell lets clients of a server that stops go without losing a request: for a short while connections are still
// taken, and each answer ends its connection. A connection that is closed while it seems idle may have a request on its way.
type farewell struct {
	mu       sync.Mutex
	stopping bool
	open     int
	none     chan struct{} // closed once the server stops and no connection is left
}

// farewellTime is how long connections without a request are kept when a server stops.
const farewellTime = 300 * time.Millisecond

func (f *farewell) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		stopping := f.stopping
		f.mu.Unlock()
		if stopping {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// connState counts connections; it is a server's ConnState.
func (f *farewell) connState(_ net.Conn, s http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s {
	case http.StateNew:
		f.open++
	case http.StateClosed, http.StateHijacked:
		if f.open--; f.open == 0 && f.stopping {
			f.end()
		}
	}
}

// end says that no connection is left, once; mu is held.
func (f *farewell) end() {
	if f.none != nil {
		close(f.none)
		f.none = nil
	}
}

// wait returns once all connections are gone, or after farewellTime.
func (f *farewell) wait() {
	none := make(chan struct{})
	f.mu.Lock()
	f.stopping, f.none = true, none
	if f.open == 0 {
		f.end()
	}
	f.mu.Unlock()
	timer := time.NewTimer(farewellTime)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
	}
}
