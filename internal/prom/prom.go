// Package prom writes metrics in Prometheus' text format. It is what the tracking server and the endpoints share, in place
// of a client library (docs/adr/0002-dependencies.md).
package prom

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// ContentType is that of the text format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Head begins a family of metrics; kind is counter, gauge or histogram.
func Head(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// Value writes a family that has one value.
func Value[T int | int64 | float64](w io.Writer, name, kind, help string, value T) {
	Head(w, name, kind, help)
	fmt.Fprintf(w, "%s %v\n", name, value)
}

// bounds are the upper limits of a histogram's buckets in seconds.
var bounds = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Histogram counts durations. Its zero value is ready, and many may add at once.
type Histogram struct {
	buckets [len(bounds) + 1]atomic.Int64
	nanos   atomic.Int64
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], d.Seconds())
	h.buckets[i].Add(1)
	h.nanos.Add(int64(d))
}

// Empty reports whether nothing was counted yet.
func (h *Histogram) Empty() bool {
	for i := range h.buckets {
		if h.buckets[i].Load() != 0 {
			return false
		}
	}
	return true
}

// Write gives the histogram's lines, without a head; labels such as `route="/x"` are put before those of the buckets.
func (h *Histogram) Write(w io.Writer, name, labels string) {
	var n int64
	before, own := "", ""
	if labels != "" {
		before, own = labels+",", "{"+labels+"}"
	}
	for i := range h.buckets {
		n += h.buckets[i].Load()
		limit := math.Inf(1)
		if i < len(bounds) {
			limit = bounds[i]
		}
		fmt.Fprintf(w, "%s_bucket{%sle=%q} %d\n", name, before, strconv.FormatFloat(limit, 'g', -1, 64), n)
	}
	fmt.Fprintf(w, "%s_sum%s %g\n%s_count%s %d\n", name, own, float64(h.nanos.Load())/1e9, name, own, n)
}
