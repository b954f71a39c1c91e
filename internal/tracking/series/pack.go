package series

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// Keyed is a point of one of several metrics.
type Keyed struct {
	Key int64
	Point
}

const packVersion = 1

// A pack holds points of many metrics, few of each: what one step of a training loop logs. It is
//
//	version byte | n | length of keys | length of steps | length of times | keys | steps | times | values | CRC-32C of all before
//
// with uvarints for the numbers. The points are sorted by key; keys, steps and times are coded as a block's steps, so that
// numbered keys and a common step and time cost nothing. Values are eight bytes each: they have nothing in common.

// EncodePack appends the pack of the points to dst. It sorts them by key and then by Compare. It panics on more than
// MaxPoints, and on none.
func EncodePack(dst []byte, points []Keyed) []byte {
	if len(points) == 0 || len(points) > MaxPoints {
		panic(fmt.Sprintf("series: a pack of %d points", len(points)))
	}
	slices.SortStableFunc(points, func(a, b Keyed) int {
		if a.Key != b.Key {
			return cmp.Compare(a.Key, b.Key)
		}
		return Compare(a.Point, b.Point)
	})
	start := len(dst)
	var buf [1024]byte
	streams := appendDeltas(buf[:0], points, func(p *Keyed) int64 { return p.Key })
	keys := len(streams)
	streams = appendDeltas(streams, points, func(p *Keyed) int64 { return p.Step })
	steps := len(streams)
	streams = appendDeltas(streams, points, func(p *Keyed) int64 { return p.Time })
	dst = append(dst, packVersion)
	for _, n := range [...]int{len(points), keys, steps - keys, len(streams) - steps} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = append(dst, streams...)
	for i := range points {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(points[i].Value))
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// pack is an encoded pack, taken apart.
type pack struct {
	n                          int
	keys, steps, times, values []byte
}

func openPack(data []byte) (p pack, err error) {
	if len(data) < 6 {
		return p, fmt.Errorf("%w: a pack of %d bytes is too short", ErrCorrupt, len(data))
	}
	body := data[:len(data)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[len(body):]) {
		return p, fmt.Errorf("%w: a pack's checksum is wrong", ErrCorrupt)
	}
	if body[0] != packVersion {
		return p, fmt.Errorf("%w: a pack's version is unknown", ErrCorrupt)
	}
	r := reader{data: body[1:]}
	n := r.uvarint()
	parts := [...]*[]byte{&p.keys, &p.steps, &p.times}
	var sizes [len(parts)]uint64
	for i := range sizes {
		sizes[i] = r.uvarint()
	}
	if r.bad || n == 0 || n > MaxPoints {
		return p, fmt.Errorf("%w: a pack's number of points is wrong", ErrCorrupt)
	}
	for i, part := range parts {
		if sizes[i] > uint64(len(r.data)) {
			return p, fmt.Errorf("%w: a pack is cut off", ErrCorrupt)
		}
		*part, r.data = r.data[:sizes[i]], r.data[sizes[i]:]
	}
	if uint64(len(r.data)) != 8*n {
		return p, fmt.Errorf("%w: a pack's values are cut off", ErrCorrupt)
	}
	p.n, p.values = int(n), r.data
	return p, nil
}

func (p *pack) value(i int) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(p.values[8*i:]))
}

// DecodePack appends a pack's points to dst, sorted by key. On an error it gives dst as it was, and ErrCorrupt.
func DecodePack(dst []Keyed, data []byte) ([]Keyed, error) {
	p, err := openPack(data)
	if err != nil {
		return dst, err
	}
	keys, steps, times := openDeltas(p.keys), openDeltas(p.steps), openDeltas(p.times)
	all := slices.Grow(dst, p.n)
	for i := range p.n {
		all = append(all, Keyed{keys.at(i), Point{steps.at(i), times.at(i), p.value(i)}})
	}
	if !keys.done() || !steps.done() || !times.done() {
		return dst, fmt.Errorf("%w: a pack's points end early or late", ErrCorrupt)
	}
	return all, nil
}

// PickPack appends the points of one metric to dst, in the order of Compare.
func PickPack(dst []Point, data []byte, key int64) ([]Point, error) {
	p, err := openPack(data)
	if err != nil {
		return dst, err
	}
	keys := openDeltas(p.keys)
	first, end := p.n, p.n
	for i := range p.n {
		k := keys.at(i)
		if k == key {
			first = min(first, i)
		} else if k > key {
			end = i
			break
		}
	}
	if first == p.n {
		end = 0 // it has no point of this metric
	}
	steps, times := openDeltas(p.steps), openDeltas(p.times)
	picked := dst
	for i := range end {
		point := Point{steps.at(i), times.at(i), p.value(i)}
		if i >= first {
			picked = append(picked, point)
		}
	}
	if keys.r.bad || steps.r.bad || times.r.bad {
		return dst, fmt.Errorf("%w: a pack's points end early", ErrCorrupt)
	}
	return picked, nil
}

// openDeltas begins to read what appendDeltas wrote.
func openDeltas(data []byte) deltas {
	d := deltas{r: reader{data: data}}
	d.v = unzigzag(d.r.uvarint())
	return d
}

// at gives the next number, which is the i-th: the first one is there from the start.
func (d *deltas) at(i int) int64 {
	if i == 0 {
		return d.v
	}
	return d.next()
}
