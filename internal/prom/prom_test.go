package prom

import (
	"strings"
	"testing"
	"time"
)

func TestHistogramIsCumulativeAndKeepsItsLabels(t *testing.T) {
	t.Parallel()
	var h Histogram
	if !h.Empty() {
		t.Error("a new histogram is not empty")
	}
	for _, d := range []time.Duration{time.Millisecond, 2 * time.Millisecond, 2 * time.Minute} {
		h.Add(d)
	}
	var b strings.Builder
	Head(&b, "x_seconds", "histogram", "How long.")
	h.Write(&b, "x_seconds", `route="/a"`)
	h.Write(&b, "y_seconds", "")
	Value(&b, "z", "gauge", "One.", 1.5)
	for _, want := range []string{
		"# HELP x_seconds How long.\n# TYPE x_seconds histogram\n",
		`x_seconds_bucket{route="/a",le="0.0005"} 0` + "\n",
		`x_seconds_bucket{route="/a",le="0.001"} 1` + "\n",
		`x_seconds_bucket{route="/a",le="0.0025"} 2` + "\n",
		`x_seconds_bucket{route="/a",le="60"} 2` + "\n",
		`x_seconds_bucket{route="/a",le="+Inf"} 3` + "\n",
		`x_seconds_sum{route="/a"} 120.003` + "\n",
		`x_seconds_count{route="/a"} 3` + "\n",
		`y_seconds_bucket{le="+Inf"} 3` + "\n",
		"y_seconds_count 3\n",
		"# TYPE z gauge\nz 1.5\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}

func TestSizesAreCountedInPowersOfTwo(t *testing.T) {
	t.Parallel()
	var s Sizes
	for _, n := range []int{1, 1, 2, 3, 4, 5, 4096, 5000} {
		s.Add(n)
	}
	var text strings.Builder
	s.Write(&text, "x")
	for _, want := range []string{
		`x_bucket{le="1"} 2`, `x_bucket{le="2"} 3`, `x_bucket{le="4"} 5`, `x_bucket{le="8"} 6`, `x_bucket{le="2048"} 6`, `x_bucket{le="4096"} 7`,
		`x_bucket{le="+Inf"} 8`, "x_sum 9112", "x_count 8",
	} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("%s is missing in\n%s", want, text.String())
		}
	}
}
