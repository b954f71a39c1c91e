package model

import (
	"encoding/binary"
	"math"
	"slices"
)

// newDecoder gives the decoder of a data page's values.
func (p *pageReader) newDecoder(encoding int, body []byte) decoder {
	physical := p.column.physical
	switch {
	case encoding == pqPlain:
		return &plain{b: body, column: p.column}
	case encoding == pqPlainDictionary || encoding == pqRLEDictionary:
		if len(body) == 0 { // no value is there
			return &dictionary{reader: p, codes: &hybrid{}}
		}
		if body[0] > 32 || !p.hasDict {
			panic(badParquet("the column %q refers to a dictionary that is not there", p.column.name))
		}
		return &dictionary{reader: p, codes: &hybrid{b: body[1:], width: int(body[0])}}
	case encoding == pqRLE && physical == pqBoolean:
		if len(body) < 4 {
			panic(shortPage(p.column))
		}
		return &booleans{&hybrid{b: body[4:], width: 1}}
	case encoding == pqDeltaBinary && (physical == pqInt32 || physical == pqInt64):
		return newDelta(body, p.column)
	case encoding == pqDeltaLength && physical == pqBytes:
		return p.deltaLengths(body)
	case encoding == pqDeltaBytes && (physical == pqBytes || physical == pqFixed):
		return p.deltaStrings(body)
	case encoding == pqSplit:
		return newSplit(body, p.column)
	}
	panic(badInput("column %q of the Parquet file has the encoding %d, which is not read", p.column.name, encoding))
}

func shortPage(c *parquetColumn) error {
	return badParquet("a page of the column %q is shorter than its values", c.name)
}

// plain reads values one after the other.
type plain struct {
	b      []byte
	bit    int // of the next boolean in the first byte
	column *parquetColumn
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
	case pqBoolean:
		for range n {
			if len(d.b) == 0 {
				panic(shortPage(d.column))
			}
			v.ints = append(v.ints, int64(d.b[0]>>d.bit&1))
			if d.bit++; d.bit == 8 {
				d.b, d.bit = d.b[1:], 0
			}
		}
	case pqInt32:
		for b := d.cut(4 * n); len(b) > 0; b = b[4:] {
			v.ints = append(v.ints, int64(int32(binary.LittleEndian.Uint32(b))))
		}
	case pqInt64:
		for b := d.cut(8 * n); len(b) > 0; b = b[8:] {
			v.ints = append(v.ints, int64(binary.LittleEndian.Uint64(b)))
		}
	case pqFloat:
		v.floats = slices.Grow(v.floats, n)
		for b := d.cut(4 * n); len(b) > 0; b = b[4:] {
			v.floats = append(v.floats, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		}
	case pqDouble:
		v.floats = slices.Grow(v.floats, n)
		for b := d.cut(8 * n); len(b) > 0; b = b[8:] {
			v.floats = append(v.floats, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	case pqBytes:
		for range n {
			size := binary.LittleEndian.Uint32(d.cut(4))
			if uint64(size) > uint64(len(d.b)) {
				panic(shortPage(d.column))
			}
			v.texts = append(v.texts, d.cut(int(size)))
		}
	case pqInt96, pqFixed:
		width := d.column.fixedWidth()
		for range n {
			v.texts = append(v.texts, d.cut(width))
		}
	default:
		panic(badParquet("the column %q has the physical type %d", d.column.name, d.column.physical))
	}
}

// fixedWidth is how many bytes a value takes.
func (c *parquetColumn) fixedWidth() int {
	switch c.physical {
	case pqInt96:
		return 12
	case pqInt32, pqFloat:
		return 4
	case pqInt64, pqDouble:
		return 8
	case pqFixed:
		if c.width < 1 {
			panic(badParquet("the column %q has values of %d bytes", c.name, c.width))
		}
		return c.width
	}
	panic(badParquet("the column %q has values of no fixed size", c.name))
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
		panic(badParquet("a run of values is broken"))
	}
	h.b = h.b[used:]
	size := (h.width + 7) / 8
	if head&1 == 1 {
		size = int(head>>1) * h.width
	}
	short := size > len(h.b)
	if short && (head&1 == 0 || len(h.b) == 0) {
		panic(badParquet("a run of values is shorter than it says"))
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
		panic(badParquet("a run of values is shorter than it says"))
	}
}

// unpackBits reads width bits from bit at on, the lowest first.
func unpackBits(b []byte, at, width int) uint64 {
	var x uint64
	for got := 0; got < width; {
		i := at >> 3
		if i >= len(b) {
			panic(badParquet("packed numbers are shorter than they say"))
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
			panic(badParquet("the column %q refers to the value %d of %d", d.reader.column.name, code, size))
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

// delta reads numbers as differences, packed in blocks.
type delta struct {
	b            []byte
	column       *parquetColumn
	perMini      int
	minis        int
	left         int // values that are to come
	last         int64
	first        bool
	least        int64
	widths       []byte
	bits         []byte
	inMini, used int
}

func newDelta(b []byte, c *parquetColumn) *delta {
	d := &delta{b: b, column: c, first: true}
	block, minis, total := d.uvarint(), d.uvarint(), d.uvarint()
	first := d.uvarint()
	if minis == 0 || block == 0 || block > 1<<20 || minis > block || block%minis != 0 || (block/minis)%8 != 0 || total > math.MaxInt32 {
		panic(badParquet("a page of the column %q is broken", c.name))
	}
	d.perMini, d.minis, d.left = int(block/minis), int(minis), int(total)
	d.last = int64(first>>1) ^ -int64(first&1)
	return d
}

func (d *delta) uvarint() uint64 {
	x, n := binary.Uvarint(d.b)
	if n <= 0 {
		panic(shortPage(d.column))
	}
	d.b = d.b[n:]
	return x
}

func (d *delta) read(v *values, n int) {
	if n > d.left {
		panic(shortPage(d.column))
	}
	narrow := d.column.physical == pqInt32
	for range n {
		d.left--
		if d.first {
			d.first = false
		} else {
			if d.inMini == 0 {
				d.mini()
			}
			width := int(d.widths[0])
			d.last += d.least + int64(unpackBits(d.bits, d.used, width))
			d.used += width
			if d.inMini--; d.inMini == 0 {
				d.widths = d.widths[1:]
			}
		}
		if narrow {
			d.last = int64(int32(d.last))
		}
		v.ints = append(v.ints, d.last)
	}
}

// mini begins the next miniblock, and the next block where it is the first of one.
func (d *delta) mini() {
	if len(d.widths) == 0 {
		least := d.uvarint()
		d.least = int64(least>>1) ^ -int64(least&1)
		if len(d.b) < d.minis {
			panic(shortPage(d.column))
		}
		d.widths, d.b = d.b[:d.minis], d.b[d.minis:]
	}
	width := int(d.widths[0])
	if width > 64 {
		panic(badParquet("a page of the column %q is broken", d.column.name))
	}
	size := min(width*d.perMini/8, len(d.b)) // the last one may be cut where its values end
	d.bits, d.b = d.b[:size], d.b[size:]
	d.inMini, d.used = d.perMini, 0
}

// all reads every number, and gives what comes after them: miniblocks that no value needs are not stored.
func (d *delta) all(r *pageReader) (numbers []int64, rest []byte) {
	r.f.spend(8 * int64(d.left))
	r.held += 8 * int64(d.left)
	var v values
	d.read(&v, d.left)
	return v.ints, d.b
}

// textQueue gives texts that are known already.
type textQueue struct{ texts [][]byte }

func (d *textQueue) read(v *values, n int) {
	if n > len(d.texts) {
		panic(badParquet("a page is shorter than its values"))
	}
	v.texts = append(v.texts, d.texts[:n]...)
	d.texts = d.texts[n:]
}

func (p *pageReader) deltaLengths(body []byte) decoder {
	lengths, rest := newDelta(body, &parquetColumn{name: p.column.name, physical: pqInt64}).all(p)
	p.f.spend(24 * int64(len(lengths)))
	p.held += 24 * int64(len(lengths))
	out := &textQueue{texts: make([][]byte, len(lengths))}
	for i, n := range lengths {
		if n < 0 || n > int64(len(rest)) {
			panic(shortPage(p.column))
		}
		out.texts[i], rest = rest[:n], rest[n:]
	}
	return out
}

// deltaStrings reads texts as what they share with the one before and what comes after that.
func (p *pageReader) deltaStrings(body []byte) decoder {
	shared, rest := newDelta(body, &parquetColumn{name: p.column.name, physical: pqInt64}).all(p)
	tails := p.deltaLengths(rest).(*textQueue)
	if len(tails.texts) != len(shared) {
		panic(shortPage(p.column))
	}
	var before []byte
	for i, n := range shared {
		if n < 0 || n > int64(len(before)) {
			panic(shortPage(p.column))
		}
		size := n + int64(len(tails.texts[i]))
		p.f.spend(size)
		p.held += size
		before = append(before[:n:n], tails.texts[i]...)
		tails.texts[i] = before
	}
	return tails
}

// split reads numbers whose first bytes come together, then their second ones, and so on.
type split struct {
	b      []byte
	n, at  int
	column *parquetColumn
}

func newSplit(b []byte, c *parquetColumn) *split {
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
