package endpoint

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// stats counts what happened.
type stats struct {
	rows     atomic.Int64 // that were predicted
	joined   atomic.Int64 // requests that were answered together with others
	calls    atomic.Int64 // of predict in R
	replaced atomic.Int64 // workers that others took the place of
	request  histogram    // from the whole body to the answer
	predict  histogram    // one call of a worker

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

// bounds are the upper limits of a histogram's buckets in seconds.
var bounds = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

type histogram struct {
	buckets [len(bounds) + 1]atomic.Int64
	nanos   atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], d.Seconds())
	h.buckets[i].Add(1)
	h.nanos.Add(int64(d))
}

func (h *histogram) write(w io.Writer, name, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name)
	var n int64
	for i := range h.buckets {
		n += h.buckets[i].Load()
		limit := math.Inf(1)
		if i < len(bounds) {
			limit = bounds[i]
		}
		label := strconv.FormatFloat(limit, 'g', -1, 64)
		fmt.Fprintf(w, "%s_bucket{le=%q} %d\n", name, label, n)
	}
	fmt.Fprintf(w, "%s_sum %g\n%s_count %d\n", name, float64(h.nanos.Load())/1e9, name, n)
}

// metrics answers in Prometheus' text format.
func (e *Endpoint) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	e.queue.mu.Lock()
	waiting := len(e.queue.jobs)
	e.queue.mu.Unlock()
	s := &e.stats
	s.mu.Lock()
	requests := maps.Clone(s.requests)
	s.mu.Unlock()
	const name = "weir_endpoint_requests_total"
	fmt.Fprintf(w, "# HELP %s Answered requests for predictions.\n# TYPE %s counter\n", name, name)
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
		fmt.Fprintf(w, "# HELP weir_endpoint_%s %s\n# TYPE weir_endpoint_%s %s\nweir_endpoint_%s %d\n", m.name, m.help, m.name, m.kind, m.name, m.value)
	}
	s.request.write(w, "weir_endpoint_request_seconds", "From the whole body of a request to its answer.")
	s.predict.write(w, "weir_endpoint_predict_seconds", "One call of an R process.")
}
