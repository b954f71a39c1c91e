package parquet

import (
	"encoding/binary"
	"math"
)

// delta reads numbers as differences, packed in blocks.
type delta struct {
	b            []byte
	column       *column
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

func newDelta(b []byte, c *column) *delta {
	d := &delta{b: b, column: c, first: true}
	block, minis, total := d.uvarint(), d.uvarint(), d.uvarint()
	first := d.uvarint()
	if minis == 0 || block == 0 || block > 1<<20 || minis > block || block%minis != 0 || (block/minis)%8 != 0 || total > math.MaxInt32 {
		panic(bad("a page of the column %q is broken", c.name))
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
	narrow := d.column.physical == typeInt32
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
		panic(bad("a page of the column %q is broken", d.column.name))
	}
	size := min(width*d.perMini/8, len(d.b)) // the last one may be cut where its values end
	d.bits, d.b = d.b[:size], d.b[size:]
	d.inMini, d.used = d.perMini, 0
}

// all reads every number, and gives what comes after them: miniblocks that no value needs are not stored.
func (d *delta) all(r *pageReader) (numbers []int64, rest []byte) {
	r.f.Spend(8 * int64(d.left))
	r.held += 8 * int64(d.left)
	var v values
	d.read(&v, d.left)
	return v.ints, d.b
}

// textQueue gives texts that are known already.
type textQueue struct{ texts [][]byte }

func (d *textQueue) read(v *values, n int) {
	if n > len(d.texts) {
		panic(bad("a page is shorter than its values"))
	}
	v.texts = append(v.texts, d.texts[:n]...)
	d.texts = d.texts[n:]
}

func (p *pageReader) deltaLengths(body []byte) decoder {
	lengths, rest := newDelta(body, &column{name: p.column.name, physical: typeInt64}).all(p)
	p.f.Spend(24 * int64(len(lengths)))
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
	shared, rest := newDelta(body, &column{name: p.column.name, physical: typeInt64}).all(p)
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
		p.f.Spend(size)
		p.held += size
		before = append(before[:n:n], tails.texts[i]...)
		tails.texts[i] = before
	}
	return tails
}
