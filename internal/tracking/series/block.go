package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// MaxPoints is the most that one block holds; it bounds what decoding a block can cost.
const MaxPoints = 1 << 16

const blockVersion = 1

// ErrCorrupt is the error of a block that is not as it was written.
var ErrCorrupt = errors.New("metric block is corrupt")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A block is
//
//	version byte | n | length of steps | length of times | steps | times | values | CRC-32C of all before
//
// with uvarints for the numbers. Steps and times are the first number, then the differences of their differences, in
// zigzag; a zero is followed by how many more zeros come, so that regular steps cost nothing. Values are XOR-coded as
// in "Gorilla: A Fast, Scalable, In-Memory Time Series Database" (Facebook, 2015), so that every bit of them is kept.

// Encode appends the block of the points to dst, in the order in which they come. It panics on more than MaxPoints.
func Encode(dst []byte, points []Point) []byte {
	if len(points) > MaxPoints {
		panic(fmt.Sprintf("series: a block of %d points", len(points)))
	}
	start := len(dst)
	dst = append(dst, blockVersion)
	dst = binary.AppendUvarint(dst, uint64(len(points)))
	if len(points) > 0 {
		var buf [1024]byte
		streams := appendDeltas(buf[:0], points, func(p *Point) int64 { return p.Step })
		steps := len(streams)
		streams = appendDeltas(streams, points, func(p *Point) int64 { return p.Time })
		dst = binary.AppendUvarint(dst, uint64(steps))
		dst = binary.AppendUvarint(dst, uint64(len(streams)-steps))
		dst = append(dst, streams...)
		dst = appendValues(dst, points)
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// Decode appends a block's points to dst. On an error it gives dst as it was, and ErrCorrupt.
func Decode(dst []Point, block []byte) ([]Point, error) {
	if len(block) < 6 {
		return dst, fmt.Errorf("%w: %d bytes are too few", ErrCorrupt, len(block))
	}
	body := block[:len(block)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(block[len(body):]) {
		return dst, fmt.Errorf("%w: its checksum is wrong", ErrCorrupt)
	}
	return decodeBody(dst, body)
}

// decodeBody decodes what the checksum is over.
func decodeBody(dst []Point, body []byte) ([]Point, error) {
	if len(body) == 0 || body[0] != blockVersion {
		return dst, fmt.Errorf("%w: its version is unknown", ErrCorrupt)
	}
	r := reader{data: body[1:]}
	n := r.uvarint()
	if r.bad || n > MaxPoints || n == 0 && len(r.data) > 0 {
		return dst, fmt.Errorf("%w: its number of points is wrong", ErrCorrupt)
	}
	if n == 0 {
		return dst, nil
	}
	steps, times := r.uvarint(), r.uvarint()
	size := uint64(len(r.data))
	if r.bad || steps > size || times > size-steps {
		return dst, fmt.Errorf("%w: it is cut off", ErrCorrupt)
	}
	values := r.data[steps+times:]
	if uint64(len(values)) < 8+(n-1+7)/8 {
		return dst, fmt.Errorf("%w: its values are cut off", ErrCorrupt)
	}
	at := len(dst)
	dst = grow(dst, int(n))
	out := dst[at:]
	ok := readSteps(out, r.data[:steps]) && readTimes(out, r.data[steps:steps+times]) && readValues(out, values)
	if !ok {
		return dst[:at], fmt.Errorf("%w: its points end early or late", ErrCorrupt)
	}
	return dst, nil
}

// grow lengthens dst by n points that are about to be overwritten.
func grow(dst []Point, n int) []Point {
	if have := len(dst) + n; have <= cap(dst) {
		return dst[:have]
	}
	longer := make([]Point, len(dst)+n)
	copy(longer, dst)
	return longer
}

// appendDeltas writes one of the two integers of all points. Differences wrap around, which loses nothing.
func appendDeltas[P any](dst []byte, points []P, field func(*P) int64) []byte {
	last := field(&points[0])
	dst = binary.AppendVarint(dst, last)
	delta, zeros := int64(0), uint64(0)
	for i := range points[1:] {
		v := field(&points[i+1])
		next := v - last
		if next == delta {
			zeros++
		} else {
			dst = appendZeros(dst, zeros)
			zeros = 0
			dst = binary.AppendVarint(dst, next-delta)
		}
		last, delta = v, next
	}
	return appendZeros(dst, zeros)
}

func appendZeros(dst []byte, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return binary.AppendUvarint(append(dst, 0), n-1)
}

// deltas reads what appendDeltas wrote.
type deltas struct {
	r     reader
	delta int64
	v     int64
	zeros uint64
}

func (d *deltas) next() int64 {
	if d.zeros > 0 {
		d.zeros--
	} else if u := d.r.uvarint(); u != 0 {
		d.delta += unzigzag(u)
	} else {
		d.zeros = d.r.uvarint()
	}
	d.v += d.delta
	return d.v
}

// done says whether the stream was read to its end without fault.
func (d *deltas) done() bool { return !d.r.bad && len(d.r.data) == 0 && d.zeros == 0 }

func readSteps(out []Point, data []byte) bool {
	d := openDeltas(data)
	out[0].Step = d.v
	for i := range out[1:] {
		out[i+1].Step = d.next()
	}
	return d.done()
}

func readTimes(out []Point, data []byte) bool {
	d := openDeltas(data)
	out[0].Time = d.v
	for i := range out[1:] {
		out[i+1].Time = d.next()
	}
	return d.done()
}

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// reader reads uvarints; after a fault it gives zeros and stays bad.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	if len(r.data) > 0 && r.data[0] < 0x80 {
		v := uint64(r.data[0])
		r.data = r.data[1:]
		return v
	}
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}
