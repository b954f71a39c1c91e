package series

// Axis is what a chart has along its bottom.
type Axis int

// The axes.
const (
	ByStep Axis = iota
	ByTime
)

// Bucket is what a chart draws in one column: the range of steps or times that has points in it, the lowest and the
// highest value without NaN (NaN when there is nothing else), and the value of the last point.
type Bucket struct {
	From, To  int64
	Min, Max  float64
	Last      float64
	N         int // points, repeated ones counted
	lastOther int64
}

// Buckets gathers the points of a chart. Points may come in any order and more than once: no column changes by that.
type Buckets struct {
	axis   Axis
	lo, hi int64
	list   []Bucket
	// The bucket of the last point and its bounds: the next point mostly falls there too.
	at         int
	from, upto int64
}

// Downsample makes n buckets of equal width for the steps or times from lo to hi, both included.
func Downsample(axis Axis, lo, hi int64, n int) *Buckets {
	if hi < lo {
		hi = lo
	}
	return &Buckets{axis: axis, lo: lo, hi: hi, list: make([]Bucket, max(n, 1)), from: 1}
}

// Add puts a point into its bucket; a point outside the range is left out.
func (b *Buckets) Add(p Point) {
	x, other := p.Step, p.Time
	if b.axis == ByTime {
		x, other = other, x
	}
	if x < b.lo || x > b.hi {
		return
	}
	if x < b.from || x > b.upto {
		b.locate(x)
	}
	k := &b.list[b.at]
	if k.N == 0 || k.To < x {
		// The common case, a later point, is a case of its own because charts of a million points come through here.
		if k.N == 0 {
			k.From, k.Min, k.Max = x, p.Value, p.Value
		}
		k.To, k.Last, k.lastOther = x, p.Value, other
	} else {
		k.From = min(k.From, x)
		k.reach(x, other, p.Value)
	}
	k.Min, k.Max = lower(k.Min, p.Value), higher(k.Max, p.Value)
	k.N++
}

// AddSummary puts a whole block into its bucket without decoding it, and says whether that was possible: a block that
// reaches over several buckets has to be decoded and added point by point. A block outside the range is left out.
func (b *Buckets) AddSummary(s Summary) bool {
	from, to, other := s.MinStep, s.MaxStep, s.MaxTime
	if b.axis == ByTime {
		from, to, other = s.MinTime, s.MaxTime, s.MaxStep
	}
	if s.N == 0 || to < b.lo || from > b.hi {
		return true
	}
	if from < b.lo || to > b.hi {
		return false
	}
	if from < b.from || from > b.upto {
		b.locate(from)
	}
	if to > b.upto {
		return false
	}
	b.list[b.at].add(from, to, other, s)
	return true
}

// List gives the buckets that have points, from left to right.
func (b *Buckets) List() []Bucket {
	var list []Bucket
	for _, k := range b.list {
		if k.N > 0 {
			list = append(list, k)
		}
	}
	return list
}

// locate finds the bucket of x and its bounds. It counts in uint64, so that no range overflows.
func (b *Buckets) locate(x int64) {
	n := uint64(len(b.list))
	span := uint64(b.hi) - uint64(b.lo) // one less than the number of places, which may be 2^64
	if n == 1 {
		b.at, b.from, b.upto = 0, b.lo, b.hi
		return
	}
	if span < n { // fewer places than buckets: a bucket for each
		b.at, b.from, b.upto = int(uint64(x)-uint64(b.lo)), x, x
		return
	}
	width := span/n + 1 // the last buckets may be narrower or stay empty
	i := (uint64(x) - uint64(b.lo)) / width
	start := i * width // at most x - lo
	b.at, b.from, b.upto = int(i), int64(uint64(b.lo)+start), b.hi
	if span-start >= width {
		b.upto = int64(uint64(b.lo) + start + width - 1)
	}
}

// add puts a block into the bucket.
func (k *Bucket) add(from, to, other int64, s Summary) {
	if k.N == 0 {
		*k = Bucket{From: from, To: to, Min: s.Min, Max: s.Max, Last: s.Last, N: s.N, lastOther: other}
		return
	}
	k.reach(to, other, s.Last)
	k.From = min(k.From, from)
	k.Min, k.Max = lower(k.Min, s.Min), higher(k.Max, s.Max)
	k.N += s.N
}

// reach makes the value the last one if nothing later is known.
func (k *Bucket) reach(to, other int64, value float64) {
	if to > k.To || to == k.To && (other > k.lastOther || other == k.lastOther && CompareValues(value, k.Last) > 0) {
		k.To, k.Last, k.lastOther = to, value, other
	}
}
