package parquet

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/weir-ml/weir/internal/model/frame"
)

// newDecoder gives the decoder of a data page's values.
func (p *pageReader) newDecoder(encoding int, body []byte) decoder {
	physical := p.column.physical
	switch {
	case encoding == encodingPlain:
		return &plain{b: body, column: p.column}
	case encoding == encodingPlainDictionary || encoding == encodingRLEDictionary:
		if len(body) == 0 { // no value is there
			return &dictionary{reader: p, codes: &hybrid{}}
		}
		if body[0] > 32 || !p.hasDict {
			panic(bad("the column %q refers to a dictionary that is not there", p.column.name))
		}
		return &dictionary{reader: p, codes: &hybrid{b: body[1:], width: int(body[0])}}
	case encoding == encodingRLE && physical == typeBoolean:
		if len(body) < 4 {
			panic(shortPage(p.column))
		}
		return &booleans{&hybrid{b: body[4:], width: 1}}
	case encoding == encodingDeltaBinary && (physical == typeInt32 || physical == typeInt64):
		return newDelta(body, p.column)
	case encoding == encodingDeltaLength && physical == typeBytes:
		return p.deltaLengths(body)
	case encoding == encodingDeltaBytes && (physical == typeBytes || physical == typeFixed):
		return p.deltaStrings(body)
	case encoding == encodingSplit:
		return newSplit(body, p.column)
	}
	panic(frame.Refuse("column %q of the Parquet file has the encoding %d, which is not read", p.column.name, encoding))
}

func shortPage(c *column) error {
	return bad("a page of the column %q is shorter than its values", c.name)
}

// plain reads values one after the other.
type plain struct {
	b      []byte
	bit    int // of the next boolean in the first byte
	column *column
}

func (d *plain) cut(n int) []byte {
	if n < 0 || n > len(d.b) {
		panic(shortPage(d.column))
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *plain) read(v *values, n int) {
	switch d.column.physical {
	case typeBoolean:
		for range n {
			if len(d.b) == 0 {
				panic(shortPage(d.column))
			}
			v.ints = append(v.ints, int64(d.b[0]>>d.bit&1))
			if d.bit++; d.bit == 8 {
				d.b, d.bit = d.b[1:], 0
			}
		}
	case typeInt32:
		for b := d.cut(4 * n); len(b) > 0; b = b[4:] {
			v.ints = append(v.ints, int64(int32(binary.LittleEndian.Uint32(b))))
		}
	case typeInt64:
		for b := d.cut(8 * n); len(b) > 0; b = b[8:] {
			v.ints = append(v.ints, int64(binary.LittleEndian.Uint64(b)))
		}
	case typeFloat:
		v.floats = slices.Grow(v.floats, n)
		for b := d.cut(4 * n); len(b) > 0; b = b[4:] {
			v.floats = append(v.floats, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		}
	case typeDouble:
		v.floats = slices.Grow(v.floats, n)
		for b := d.cut(8 * n); len(b) > 0; b = b[8:] {
			v.floats = append(v.floats, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	case typeBytes:
		for range n {
			size := binary.LittleEndian.Uint32(d.cut(4))
			if uint64(size) > uint64(len(d.b)) {
				panic(shortPage(d.column))
			}
			v.texts = append(v.texts, d.cut(int(size)))
		}
	case typeInt96, typeFixed:
		width := d.column.fixedWidth()
		for range n {
			v.texts = append(v.texts, d.cut(width))
		}
	default:
		panic(bad("the column %q has the physical type %d", d.column.name, d.column.physical))
	}
}

// fixedWidth is how many bytes a value takes.
func (c *column) fixedWidth() int {
	switch c.physical {
	case typeInt96:
		return 12
	case typeInt32, typeFloat:
		return 4
	case typeInt64, typeDouble:
		return 8
	case typeFixed:
		if c.width < 1 {
			panic(bad("the column %q has values of %d bytes", c.name, c.width))
		}
		return c.width
	}
	panic(bad("the column %q has values of no fixed size", c.name))
}

// hybrid reads runs of equal small numbers and groups of eight packed ones.
type hybrid struct {
	b      []byte
	width  int
	equal  int // how often value comes still
	value  int32
	packed int // how many numbers come of bits
	bits   []byte
	at     int // the next bit
}

func (h *hybrid) read(dst []int32, n int) []int32 {
	dst = slices.Grow(dst, n)
	for n > 0 {
		switch {
		case h.equal > 0:
			k := min(n, h.equal)
			for range k {
				dst = append(dst, h.value)
			}
			h.equal -= k
			n -= k
		case h.packed > 0:
			k := min(n, h.packed)
			for range k {
				dst = append(dst, int32(unpackBits(h.bits, h.at, h.width)))
				h.at += h.width
			}
			h.packed -= k
			n -= k
		default:
			h.run()
		}
	}
	return dst
}

// run reads the head of the next run.
func (h *hybrid) run() {
	head, used := binary.Uvarint(h.b)
	if used <= 0 || head>>1 == 0 || head>>1 > math.MaxInt32 {
		panic(bad("a run of values is broken"))
	}
	h.b = h.b[used:]
	size := (h.width + 7) / 8
	if head&1 == 1 {
		size = int(head>>1) * h.width
	}
	short := size > len(h.b)
	if short && (head&1 == 0 || len(h.b) == 0) {
		panic(bad("a run of values is shorter than it says"))
	}
	body := h.b[:min(size, len(h.b))]
	h.b = h.b[len(body):]
	if head&1 == 0 {
		h.equal, h.value = int(head>>1), 0
		for i, b := range body {
			h.value |= int32(b) << (8 * i)
		}
		return
	}
	h.packed, h.bits, h.at = 8*int(head>>1), body, 0
	if short && h.width > 0 { // the last group may leave out what no value needs
		h.packed = 8 * len(body) / h.width
	}
	if h.packed == 0 {
		panic(bad("a run of values is shorter than it says"))
	}
}

// unpackBits reads width bits from bit at on, the lowest first.
func unpackBits(b []byte, at, width int) uint64 {
	var x uint64
	for got := 0; got < width; {
		i := at >> 3
		if i >= len(b) {
			panic(bad("packed numbers are shorter than they say"))
		}
		shift := at & 7
		take := min(8-shift, width-got)
		x |= uint64(b[i]>>shift&(1<<take-1)) << got
		got += take
		at += take
	}
	return x
}

// dictionary reads values by their place in the dictionary page.
type dictionary struct {
	reader *pageReader
	codes  *hybrid
}

func (d *dictionary) read(v *values, n int) {
	v.codes = d.codes.read(v.codes, n)
	dict := &d.reader.dict
	size := max(len(dict.ints), len(dict.floats), len(dict.texts))
	for _, code := range v.codes {
		if code < 0 || int(code) >= size {
			panic(bad("the column %q refers to the value %d of %d", d.reader.column.name, code, size))
		}
	}
}

type booleans struct{ *hybrid }

func (d *booleans) read(v *values, n int) {
	v.codes = d.hybrid.read(v.codes, n)
	for _, x := range v.codes {
		v.ints = append(v.ints, int64(x))
	}
	v.codes = v.codes[:0]
}

// split reads numbers whose first bytes come together, then their second ones, and so on.
type split struct {
	b      []byte
	n, at  int
	column *column
}

func newSplit(b []byte, c *column) *split {
	width := c.fixedWidth()
	return &split{b: b, n: len(b) / width, column: c}
}

func (d *split) read(v *values, n int) {
	width := d.column.fixedWidth()
	if n > d.n-d.at {
		panic(shortPage(d.column))
	}
	joined := make([]byte, n*width)
	for i := range n {
		for k := range width {
			joined[i*width+k] = d.b[k*d.n+d.at+i]
		}
	}
	d.at += n
	(&plain{b: joined, column: d.column}).read(v, n)
}
