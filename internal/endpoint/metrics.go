package endpoint

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weir-ml/weir/internal/prom"
)

// stats counts what happened.
type stats struct {
	rows     atomic.Int64   // that were predicted
	joined   atomic.Int64   // requests that were answered together with others
	calls    atomic.Int64   // of predict in R
	replaced atomic.Int64   // workers that others took the place of
	request  prom.Histogram // from the whole body to the answer
	predict  prom.Histogram // one call of a worker

	mu       sync.Mutex
	requests map[outcomeKey]int64
}

// outcomeKey is what requests are counted by.
type outcomeKey struct {
	route  string
	status int
}

func (s *stats) count(route string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests == nil {
		s.requests = map[outcomeKey]int64{}
	}
	s.requests[outcomeKey{route, status}]++
}

// metrics answers in Prometheus' text format.
func (e *Endpoint) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", prom.ContentType)
	e.queue.mu.Lock()
	waiting := len(e.queue.jobs)
	e.queue.mu.Unlock()
	s := &e.stats
	s.mu.Lock()
	requests := maps.Clone(s.requests)
	s.mu.Unlock()
	const name = "weir_endpoint_requests_total"
	prom.Head(w, name, "counter", "Answered requests for predictions.")
	for _, k := range slices.SortedFunc(maps.Keys(requests), func(a, b outcomeKey) int {
		if a.route != b.route {
			return len(a.route) - len(b.route)
		}
		return a.status - b.status
	}) {
		fmt.Fprintf(w, "%s{route=%q,code=\"%d\"} %d\n", name, k.route, k.status, requests[k])
	}
	for _, m := range []struct {
		name, kind, help string
		value            int64
	}{
		{"rows_total", "counter", "Rows that were predicted.", s.rows.Load()},
		{"predict_calls_total", "counter", "Calls of predict in R.", s.calls.Load()},
		{"joined_requests_total", "counter", "Requests that were predicted together with others.", s.joined.Load()},
		{"workers_replaced_total", "counter", "R processes that others took the place of.", s.replaced.Load()},
		{"workers_ready", "gauge", "R processes that can predict.", int64(e.readyWorkers.Load())},
		{"spare_workers", "gauge", "R processes that wait to take the place of one that dies.", int64(e.spareWorkers.Load())},
		{"workers", "gauge", "R processes that there should be.", int64(e.cfg.Workers)},
		{"requests_running", "gauge", "Requests that R processes have in hand.", int64(e.running.Load())},
		{"requests_waiting", "gauge", "Requests that wait for an R process.", int64(waiting)},
	} {
		prom.Value(w, "weir_endpoint_"+m.name, m.kind, m.help, m.value)
	}
	for _, h := range []struct {
		name, help string
		of         *prom.Histogram
	}{
		{"request_seconds", "From the whole body of a request to its answer.", &s.request},
		{"predict_seconds", "One call of an R process.", &s.predict},
	} {
		prom.Head(w, "weir_endpoint_"+h.name, "histogram", h.help)
		h.of.Write(w, "weir_endpoint_"+h.name, "")
	}
}
