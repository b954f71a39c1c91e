package series

import (
	"container/heap"
	"fmt"
	"iter"
	"math"
	"slices"
)

// Source is a run of points for Merge, such as one stored block, that is not read before its turn.
type Source struct {
	// From is the time of its first point, or any earlier time.
	From int64
	// Open gives its points in the order of Compare. It may append them to buf, which is empty and has room from
	// sources that are done; Merge reads them until it asks for the next element after the last of them.
	Open func(buf []Point) ([]Point, error)
}

// Merge gives the points of all sources in the order of Compare, each point once. With after it begins behind that
// point, whether or not there is such a point. A source is opened when the merge reaches its From and dropped when it
// is used up, so that memory follows the number of sources that overlap. After an error nothing more comes.
func Merge(sources []Source, after *Point) iter.Seq2[Point, error] {
	return func(yield func(Point, error) bool) {
		m := merge{cursors: make([]*cursor, len(sources))}
		for i, s := range sources {
			m.cursors[i] = &cursor{source: s, order: i, head: Point{Time: s.From, Step: math.MinInt64, Value: math.Inf(-1)}}
		}
		heap.Init(&m)
		if err := m.run(after, yield); err != nil {
			yield(Point{}, err)
		}
	}
}

// cursor walks one source. Before it is opened its head is the least point that the source can hold.
type cursor struct {
	source Source
	order  int
	open   bool
	head   Point
	points []Point // head is the first
	buf    []Point
}

// merge is a heap of cursors by their heads.
type merge struct {
	cursors []*cursor
	free    [][]Point
}

func (m *merge) Len() int      { return len(m.cursors) }
func (m *merge) Swap(i, j int) { m.cursors[i], m.cursors[j] = m.cursors[j], m.cursors[i] }
func (m *merge) Push(x any)    { m.cursors = append(m.cursors, x.(*cursor)) }
func (m *merge) Less(i, j int) bool {
	a, b := m.cursors[i], m.cursors[j]
	if c := Compare(a.head, b.head); c != 0 {
		return c < 0
	}
	return a.order < b.order
}

func (m *merge) Pop() any {
	end := len(m.cursors) - 1
	c := m.cursors[end]
	m.cursors[end] = nil
	m.cursors = m.cursors[:end]
	return c
}

func (m *merge) run(after *Point, yield func(Point, error) bool) error {
	var last Point
	some := after != nil
	if some {
		last = *after
	}
	for len(m.cursors) > 0 {
		c := m.cursors[0]
		if !c.open {
			if err := m.openFirst(after); err != nil {
				return err
			}
			continue
		}
		// Up to the least head of the others all points are this cursor's.
		bound, bounded := m.second()
		for {
			p := c.points[0]
			if order := Compare(p, last); !some || order > 0 {
				if !yield(p, nil) {
					return nil
				}
				last, some = p, true
			}
			if c.points = c.points[1:]; len(c.points) == 0 {
				m.drop()
				break
			}
			if c.head = c.points[0]; Compare(c.head, p) < 0 {
				return fmt.Errorf("%w: its points are not in order", ErrCorrupt)
			}
			if bounded && Compare(c.head, bound) > 0 {
				heap.Fix(m, 0)
				break
			}
		}
	}
	return nil
}

// openFirst reads the source whose turn it is, without the points up to after.
func (m *merge) openFirst(after *Point) error {
	c := m.cursors[0]
	var buf []Point
	if n := len(m.free); n > 0 {
		buf, m.free = m.free[n-1][:0], m.free[:n-1]
	}
	points, err := c.source.Open(buf)
	if err != nil {
		return err
	}
	if len(points) > 0 && points[0].Time < c.source.From {
		return fmt.Errorf("%w: it begins earlier than was written down", ErrCorrupt)
	}
	c.open, c.points, c.buf = true, points, points
	if after != nil {
		i, found := slices.BinarySearchFunc(points, *after, Compare)
		if found {
			i++
		}
		c.points = points[i:]
	}
	if len(c.points) == 0 {
		m.drop()
		return nil
	}
	c.head = c.points[0]
	heap.Fix(m, 0)
	return nil
}

// second gives the least head among the cursors besides the first.
func (m *merge) second() (Point, bool) {
	switch len(m.cursors) {
	case 1:
		return Point{}, false
	case 2:
		return m.cursors[1].head, true
	}
	a, b := m.cursors[1].head, m.cursors[2].head
	if Compare(a, b) <= 0 {
		return a, true
	}
	return b, true
}

// drop takes the first cursor out and keeps its memory for the next.
func (m *merge) drop() {
	c := heap.Pop(m).(*cursor)
	m.free = append(m.free, c.buf)
}

// Block is a Source of an encoded block that load gives when its turn comes.
func Block(from int64, load func() ([]byte, error)) Source {
	return Source{From: from, Open: func(buf []Point) ([]Point, error) {
		data, err := load()
		if err != nil {
			return nil, err
		}
		return Decode(buf, data)
	}}
}

// Points is a Source of points that are in memory and in the order of Compare.
func Points(points []Point) Source {
	s := Source{From: math.MaxInt64, Open: func([]Point) ([]Point, error) { return slices.Clone(points), nil }}
	if len(points) > 0 {
		s.From = points[0].Time
	}
	return s
}
