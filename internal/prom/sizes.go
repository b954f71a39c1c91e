package prom

import (
	"fmt"
	"io"
	"math/bits"
	"sync/atomic"
)

// sizeBuckets are the powers of two from 1 to 4096.
const sizeBuckets = 13

// Sizes counts how many things came together, as a histogram. Its zero value is ready, and many may add at once.
type Sizes struct {
	buckets [sizeBuckets + 1]atomic.Int64
	sum     atomic.Int64
}

// Add counts n things, at least one.
func (s *Sizes) Add(n int) {
	s.buckets[min(bits.Len(uint(max(n, 1)-1)), sizeBuckets)].Add(1)
	s.sum.Add(int64(n))
}

// Write gives the histogram's lines, without a head.
func (s *Sizes) Write(w io.Writer, name string) {
	var n int64
	for i := range s.buckets {
		n += s.buckets[i].Load()
		limit := "+Inf"
		if i < sizeBuckets {
			limit = fmt.Sprint(1 << i)
		}
		fmt.Fprintf(w, "%s_bucket{le=%q} %d\n", name, limit, n)
	}
	fmt.Fprintf(w, "%s_sum %d\n%s_count %d\n", name, s.sum.Load(), name, n)
}
