package server

import (
	"net/http"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// leases decide when a server that was started on behalf of other programs ends: `grace` after its last request, and
// not before `start` when no client has held a lease yet. A lease is a request that its client leaves open, so it needs
// no bookkeeping of its own, and ends with the client's process, however that ends.
type leases struct {
	grace time.Duration

	mu       sync.Mutex
	running  int
	leased   bool
	deadline time.Time
	timer    *time.Timer
	closing  bool
	done     chan struct{} // closed when the server shall end
}

func newLeases(start, grace time.Duration) *leases {
	if start == 0 {
		start = time.Minute
	}
	if grace == 0 {
		grace = 10 * time.Second
	}
	l := &leases{grace: grace, deadline: time.Now().Add(start), done: make(chan struct{})}
	l.timer = time.AfterFunc(start, l.expire)
	return l
}

// enter counts a request; false means that the server has begun to end.
func (l *leases) enter(isLease bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.running++
	l.leased = l.leased || isLease
	return true
}

func (l *leases) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	if until := time.Now().Add(l.grace); l.leased || until.After(l.deadline) {
		l.deadline = until
	}
	if l.running == 0 && !l.closing {
		l.timer.Reset(time.Until(l.deadline))
	}
}

func (l *leases) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running > 0 || l.closing {
		return
	}
	if left := time.Until(l.deadline); left > 0 {
		l.timer.Reset(left)
		return
	}
	l.closing = true
	close(l.done)
}

func (l *leases) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	l.timer.Stop()
}

// wrap counts every request that next gets.
func (l *leases) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.enter(r.URL.Path == leasePath) {
			w.Header().Set("Connection", "close")
			api.WriteError(w, r, mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "this server is ending; connect again"))
			return
		}
		defer l.leave()
		next.ServeHTTP(w, r)
	})
}

const leasePath = "/api/weir/v1/lease"

// mountLease offers the request that keeps a server alive. It says that it holds, and then nothing until one side ends:
// clients such as R read no further.
func mountLease(rt *api.Router, stopping <-chan struct{}) {
	api.Stream(rt, "GET "+leasePath, api.Create("lease"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("{\"lease\":\"held\"}\n"))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-stopping:
		}
	})
}
