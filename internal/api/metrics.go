package api

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-ml/weir/internal/prom"
)

// Metrics counts requests by route. The labels come from the route table alone, so that no client can add series.
// Counting costs a few atomic additions; all the rest is done when somebody reads. Its zero value is ready.
type Metrics struct {
	inFlight atomic.Int64
	other    routeStats // what no route answered: the web page, unknown paths, what the guard refused
}

// methods are the labels of requests; the last one stands for every other method.
var methods = [...]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions, "other"}

// routeStats counts the requests of one path of the route table, by method and class of status (1xx to 5xx).
type routeStats struct {
	counts  [len(methods)][5]atomic.Int64
	seconds prom.Histogram
}

func (s *routeStats) count(method string, status int, took time.Duration) {
	m := slices.Index(methods[:], method)
	if m < 0 {
		m = len(methods) - 1
	}
	s.counts[m][min(max(status/100, 1), 5)-1].Add(1)
	s.seconds.Add(took)
}

// count ends one request.
func (m *Metrics) count(w *statusWriter, method string, took time.Duration) {
	route := w.route
	if route == nil {
		route = &m.other
	}
	route.count(method, w.status, took)
}

// Write gives what was counted in Prometheus' text format; rt is the router that the requests went to.
func (m *Metrics) Write(w io.Writer, rt *Router) {
	stats := maps.Clone(rt.stats)
	if stats == nil {
		stats = map[string]*routeStats{}
	}
	stats["other"] = &m.other
	routes := slices.Sorted(maps.Keys(stats))
	prom.Head(w, "weir_http_requests_total", "counter", "Answered requests.")
	for _, route := range routes {
		for i, method := range methods {
			for class := range stats[route].counts[i] {
				if n := stats[route].counts[i][class].Load(); n > 0 {
					fmt.Fprintf(w, "weir_http_requests_total{route=%q,method=%q,status=\"%dxx\"} %d\n", route, method, class+1, n)
				}
			}
		}
	}
	prom.Head(w, "weir_http_request_seconds", "histogram", "From a request's header to the end of its answer.")
	for _, route := range routes {
		if h := &stats[route].seconds; !h.Empty() {
			h.Write(w, "weir_http_request_seconds", fmt.Sprintf("route=%q", route))
		}
	}
	prom.Value(w, "weir_http_requests_in_flight", "gauge", "Requests that are being answered.", m.inFlight.Load())
}

// statsOf gives the counters of a route's path, and makes them when it is mounted first.
func (rt *Router) statsOf(path string) *routeStats {
	if !strings.HasPrefix(path, "/") {
		path = prefixes[0] + path
	}
	if rt.stats == nil {
		rt.stats = map[string]*routeStats{}
	}
	if rt.stats[path] == nil {
		rt.stats[path] = &routeStats{}
	}
	return rt.stats[path]
}
