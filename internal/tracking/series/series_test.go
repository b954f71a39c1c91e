package series

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var oddValues = []float64{
	0, math.Copysign(0, -1), 1, -1, math.NaN(), math.Float64frombits(0xfff8000000000123), math.Inf(1), math.Inf(-1),
	math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 1e-300,
}

var oddInts = []int64{0, 1, -1, 2, 3, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, 1_700_000_000_000}

func drawPoint(t *rapid.T) Point {
	integer := rapid.OneOf(rapid.Int64(), rapid.SampledFrom(oddInts), rapid.Int64Range(-3, 3))
	value := rapid.OneOf(rapid.Float64(), rapid.SampledFrom(oddValues), rapid.Map(rapid.Uint64(), math.Float64frombits))
	return Point{Step: integer.Draw(t, "step"), Time: integer.Draw(t, "time"), Value: value.Draw(t, "value")}
}

// few makes points that are often equal in one thing or all.
func few(t *rapid.T) Point {
	return Point{
		Step: rapid.Int64Range(0, 2).Draw(t, "step"), Time: rapid.Int64Range(0, 6).Draw(t, "time"),
		Value: rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, -1, math.NaN(), math.Inf(1)}).Draw(t, "value"),
	}
}

func sameBits(a, b []Point) bool {
	return slices.EqualFunc(a, b, func(x, y Point) bool {
		return x.Step == y.Step && x.Time == y.Time && math.Float64bits(x.Value) == math.Float64bits(y.Value)
	})
}

func samePoints(a, b []Point) bool {
	return slices.EqualFunc(a, b, func(x, y Point) bool { return Compare(x, y) == 0 })
}

func TestBlocksKeepEveryBit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOfN(rapid.Custom(drawPoint), 0, 200).Draw(t, "points")
		block := Encode([]byte("head"), points)
		if string(block[:4]) != "head" {
			t.Fatal("Encode does not append")
		}
		got, err := Decode([]Point{{Step: 7}}, block[4:])
		if err != nil || got[0].Step != 7 || !sameBits(got[1:], points) {
			t.Fatalf("%v: got %v, want %v", err, got, points)
		}
	})
}

func TestBlocksOfRegularSeries(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 100, 1000, MaxPoints} {
		points := loss(n)
		got, err := Decode(nil, Encode(nil, points))
		if err != nil || !sameBits(got, points) {
			t.Errorf("%d points do not come back: %v", n, err)
		}
	}
	// What the storage design counts on: 8 to 9 bytes a point, for noise with all its digits and times that jitter.
	if size := float64(len(Encode(nil, loss(1000)))) / 1000; size > 9 {
		t.Errorf("%.2f bytes a point", size)
	}
	constant := make([]Point, 1000)
	for i := range constant {
		constant[i] = Point{Step: int64(i), Time: int64(i) * 1000, Value: 0.5}
	}
	if size := len(Encode(nil, constant)); size > 200 {
		t.Errorf("1,000 regular points with one value take %d bytes", size)
	}
}

// loss is a training curve with noise, at steps 0, 1, … about a second apart.
func loss(n int) []Point {
	r := rand.New(rand.NewPCG(1, 2))
	points := make([]Point, n)
	for i := range points {
		points[i] = Point{
			Step: int64(i), Time: 1_700_000_000_000 + int64(i)*1000 + r.Int64N(50),
			Value: math.Exp(-float64(i)/500) + 0.05*r.Float64(),
		}
	}
	return points
}

func TestCorruptBlocksAreErrors(t *testing.T) {
	t.Parallel()
	block := Encode(nil, loss(50))
	for i := range block {
		for bit := range 8 {
			bad := slices.Clone(block)
			bad[i] ^= 1 << bit
			if got, err := Decode(nil, bad); !errors.Is(err, ErrCorrupt) || len(got) > 0 {
				t.Fatalf("bit %d of byte %d turned: %d points, %v", bit, i, len(got), err)
			}
		}
		if _, err := Decode(nil, block[:i]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut after %d bytes: %v", i, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, points := range [][]Point{nil, {{Step: 1, Time: 2, Value: 3}}, loss(20)} {
		block := Encode(nil, points)
		f.Add(block[:len(block)-4])
	}
	f.Add([]byte{1, 0xff, 0xff, 3, 1, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		block := binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.Checksum(body, castagnoli))
		points, err := Decode(nil, block)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || len(points) != 0 {
				t.Fatalf("%d points, %v", len(points), err)
			}
			return
		}
		if len(points) > MaxPoints {
			t.Fatalf("%d points", len(points))
		}
		if again, err := Decode(nil, Encode(nil, points)); err != nil || !sameBits(again, points) {
			t.Fatalf("%v: %v becomes %v", err, points, again)
		}
	})
}

func TestValuesHaveATotalOrder(t *testing.T) {
	t.Parallel()
	negZero := math.Copysign(0, -1)
	want := []float64{math.Inf(-1), -1, 0, math.NaN(), 5e-324, 1, math.Inf(1)}
	for i, a := range want {
		for j, b := range want {
			got := CompareValues(a, b)
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compare %v with %v: %d", a, b, got)
			}
		}
	}
	if CompareValues(0, negZero) != 0 || CompareValues(negZero, math.NaN()) != -1 || CompareValues(math.NaN(), negZero) != 1 {
		t.Error("-0 is not 0")
	}
}

func TestMergeIsSort(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all []Point
		var sources []Source
		for range rapid.IntRange(0, 5).Draw(t, "sources") {
			points := Sort(rapid.SliceOfN(rapid.Custom(few), 0, 12).Draw(t, "points"))
			all = append(all, points...)
			if len(points) == 0 {
				sources = append(sources, Points(nil))
				continue
			}
			block := Encode(nil, points)
			early := rapid.Int64Range(0, 2).Draw(t, "early")
			sources = append(sources, Block(points[0].Time-early, func() ([]byte, error) { return block, nil }))
		}
		want := Sort(slices.Clone(all))
		var after *Point
		if rapid.Bool().Draw(t, "page") {
			p := few(t)
			after = &p
			want = slices.DeleteFunc(want, func(q Point) bool { return Compare(q, p) <= 0 })
		}
		var got []Point
		for p, err := range Merge(sources, after) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p)
		}
		if !samePoints(got, want) {
			t.Fatalf("after %v\n got  %v\n want %v", after, got, want)
		}
	})
}

func TestMergeOpensASourceWhenItsTurnComes(t *testing.T) {
	t.Parallel()
	opened := 0
	var sources []Source
	for i := range 10 {
		points := []Point{{Time: int64(10 * i)}, {Time: int64(10*i + 5)}}
		sources = append(sources, Source{From: int64(10 * i), Open: func(buf []Point) ([]Point, error) {
			opened++
			return append(buf, points...), nil
		}})
	}
	n := 0
	for _, err := range Merge(sources, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 5 {
			break
		}
	}
	if opened != 3 {
		t.Errorf("5 points of sources with 2 each opened %d", opened)
	}
}

func TestMergeReportsFaults(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		source Source
		want   error
	}{
		"load":     {Block(5, func() ([]byte, error) { return nil, gone }), gone},
		"corrupt":  {Block(5, func() ([]byte, error) { return []byte("nonsense"), nil }), ErrCorrupt},
		"unsorted": {Points([]Point{{Time: 5}, {Time: 4}}), ErrCorrupt},
		"too early": {Block(5, func() ([]byte, error) {
			return Encode(nil, []Point{{Time: 4}}), nil
		}), ErrCorrupt},
	} {
		var got error
		points := 0
		for _, err := range Merge([]Source{Points([]Point{{Time: 1}, {Time: 2}}), c.source}, nil) {
			if err != nil {
				got = err
			} else {
				points++
			}
		}
		if !errors.Is(got, c.want) || points < 2 {
			t.Errorf("%s: %d points, %v", name, points, got)
		}
	}
}

func TestSummaries(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	got := Summarize([]Point{{3, 10, 5}, {1, 20, nan}, {1, 15, 2}, {3, 10, 7}, {2, 99, -4}})
	want := Summary{N: 5, MinStep: 1, MaxStep: 3, MinTime: 10, MaxTime: 99, Min: -4, Max: 7, First: 2, Last: 7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := Summarize([]Point{{0, 0, nan}, {1, 0, nan}}); s.Min == s.Min || s.Max == s.Max || s.Last == s.Last {
		t.Errorf("only NaN: %+v", s)
	}
	if s := Summarize([]Point{{0, 0, math.Inf(1)}, {1, 0, nan}}); s.Min != math.Inf(1) || s.Max != math.Inf(1) || s.Last == s.Last {
		t.Errorf("an infinity and NaN: %+v", s)
	}
	if s := Summarize(nil); s.N != 0 {
		t.Errorf("nothing: %+v", s)
	}
}

// sameBuckets compares what a chart sees.
func sameBuckets(a, b []Bucket) bool {
	same := func(x, y float64) bool { return CompareValues(x, y) == 0 }
	return slices.EqualFunc(a, b, func(x, y Bucket) bool {
		return x.From == y.From && x.To == y.To && x.N == y.N && same(x.Min, y.Min) && same(x.Max, y.Max) && same(x.Last, y.Last)
	})
}

func TestBucketsKeepMinMaxAndLast(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOfN(rapid.Custom(drawPoint), 1, 60).Draw(t, "points")
		axis := rapid.SampledFrom([]Axis{ByStep, ByTime}).Draw(t, "axis")
		s := Summarize(points)
		lo, hi := s.MinStep, s.MaxStep
		if axis == ByTime {
			lo, hi = s.MinTime, s.MaxTime
		}
		n := rapid.IntRange(1, 20).Draw(t, "n")
		b := Downsample(axis, lo, hi, n)
		for _, p := range points {
			b.Add(p)
		}
		list := b.List()
		if len(list) > n {
			t.Fatalf("%d buckets of %d", len(list), n)
		}
		total := 0
		for i, k := range list {
			in := slices.Clone(points)
			in = slices.DeleteFunc(in, func(p Point) bool {
				x := p.Step
				if axis == ByTime {
					x = p.Time
				}
				return x < k.From || x > k.To
			})
			s := Summarize(in)
			last := slices.MaxFunc(in, CompareSteps)
			if axis == ByTime {
				last = slices.MaxFunc(in, Compare)
			}
			want := Bucket{From: k.From, To: k.To, Min: s.Min, Max: s.Max, Last: last.Value, N: len(in)}
			if !sameBuckets([]Bucket{k}, []Bucket{want}) {
				t.Fatalf("bucket %d is %+v, want %+v", i, k, want)
			}
			if total += k.N; i > 0 && k.From <= list[i-1].To {
				t.Fatalf("buckets %d and %d overlap", i-1, i)
			}
		}
		if total != len(points) {
			t.Fatalf("%d of %d points", total, len(points))
		}
	})
}

func TestSummariesGiveTheSameChart(t *testing.T) {
	t.Parallel()
	points := loss(10_000)
	whole, summed := Downsample(ByStep, 0, 9_999, 7), Downsample(ByStep, 0, 9_999, 7)
	decoded := 0
	for block := range slices.Chunk(points, 100) {
		for _, p := range block {
			whole.Add(p)
		}
		if !summed.AddSummary(Summarize(block)) {
			decoded++
			for _, p := range block {
				summed.Add(p)
			}
		}
	}
	if !sameBuckets(whole.List(), summed.List()) || len(whole.List()) != 7 {
		t.Errorf("got %+v, want %+v", summed.List(), whole.List())
	}
	if decoded > 6 {
		t.Errorf("%d blocks were decoded; only those over the 6 bounds have to be", decoded)
	}
}

func TestChartsOfARange(t *testing.T) {
	t.Parallel()
	b := Downsample(ByStep, 10, 19, 5)
	for i := range int64(40) {
		b.Add(Point{Step: i, Value: float64(i)})
	}
	if !b.AddSummary(Summary{N: 1, MinStep: 90, MaxStep: 99}) || b.AddSummary(Summary{N: 2, MinStep: 5, MaxStep: 11}) {
		t.Error("a block outside has to be left out, one over the edge decoded")
	}
	got := b.List()
	if len(got) != 5 || got[0].From != 10 || got[4].To != 19 || got[4].Last != 19 || got[0].N != 2 {
		t.Errorf("%+v", got)
	}
}
