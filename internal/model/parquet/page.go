package parquet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"slices"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/weir-ml/weir/internal/model/frame"
)

// pageReader gives the values of one column of one row group, a page at a time in memory.
type pageReader struct {
	f       *Reader
	column  *column
	chunk   *chunk
	r       *bufio.Reader
	left    int64  // values of the chunk that pages are to come for
	dict    values // of the dictionary page
	hasDict bool
	codes   []float64 // of a factor: which of its levels the dictionary's texts are
	held    int64     // what the present page is charged with

	rows   int     // of the present page that are not read
	levels *hybrid // which of them are there; nil when all are
	from   decoder // of those that are
	toInt  func(int64) float64
	toByte func([]byte) float64
	got    values
	there  []int32
}

// values are decoded values in the form of their physical type.
type values struct {
	ints   []int64
	floats []float64
	texts  [][]byte
	codes  []int32 // of the dictionary that they stand in, when they do
}

func (v *values) reset() {
	v.ints, v.floats, v.texts, v.codes = v.ints[:0], v.floats[:0], v.texts[:0], v.codes[:0]
}

// decoder appends n values.
type decoder interface {
	read(v *values, n int)
}

// The types of pages, and of codecs.
const (
	pageData, pageIndex, pageDictionary, pageDataV2 = 0, 1, 2, 3

	codecNone, codecSnappy, codecGzip, codecLZ4, codecZstd, codecLZ4Raw = 0, 1, 2, 5, 6, 7
)

func (f *Reader) openChunk(c *column, chunk *chunk, rows int64) *pageReader {
	if chunk.physical != c.physical || chunk.values != rows {
		panic(bad("the column %q has %d values for %d rows", c.name, chunk.values, rows))
	}
	at := chunk.dataAt
	if chunk.dictAt > 0 && chunk.dictAt < at {
		at = chunk.dictAt
	}
	if at < 4 || chunk.compressed < 0 || at > f.size-chunk.compressed {
		panic(bad("the column %q is not within the file", c.name))
	}
	p := &pageReader{f: f, column: c, chunk: chunk, left: rows}
	p.r = bufio.NewReaderSize(io.NewSectionReader(f.r, at, chunk.compressed), 64<<10)
	p.toInt, p.toByte = c.numberOf()
	return p
}

// pageHeader is what stands before a page.
type pageHeader struct {
	typ                int
	unpacked, packed   int
	values             int
	encoding           int
	levelEncoding      int
	levelBytes, nulls  int
	repetition         int
	valuesUncompressed bool
}

func readPageHeader(r *bufio.Reader) pageHeader {
	h := pageHeader{levelEncoding: encodingRLE}
	t := &thriftReader{r: r, left: 16 << 20} // statistics may hold the longest text of a page
	data := func(id int, typ byte) bool {
		switch id {
		case 1:
			h.values = clampInt(t.int())
		case 2:
			h.encoding = clampInt(t.int())
		case 3:
			h.levelEncoding = clampInt(t.int())
		default:
			return false
		}
		return true
	}
	t.fields(func(id int, _ byte) bool {
		switch id {
		case 1:
			h.typ = clampInt(t.int())
		case 2:
			h.unpacked = clampInt(t.int())
		case 3:
			h.packed = clampInt(t.int())
		case 5, 7: // of a data page, of a dictionary page
			t.fields(func(at int, typ byte) bool {
				if id == 7 && at == 3 { // whether it is sorted
					return false
				}
				return data(at, typ)
			})
		case 8:
			t.fields(func(id int, typ byte) bool {
				switch id {
				case 1:
					h.values = clampInt(t.int())
				case 2:
					h.nulls = clampInt(t.int())
				case 4:
					h.encoding = clampInt(t.int())
				case 5:
					h.levelBytes = clampInt(t.int())
				case 6:
					h.repetition = clampInt(t.int())
				case 7:
					h.valuesUncompressed = typ == thriftFalse
					return false
				default:
					return false
				}
				return true
			})
		default:
			return false
		}
		return true
	})
	return h
}

// nextPage reads pages up to the next with data.
func (p *pageReader) nextPage() {
	p.f.GiveBack(p.held)
	p.held = 0
	for {
		if p.left <= 0 {
			panic(bad("the column %q ends early", p.column.name))
		}
		h := readPageHeader(p.r)
		if int64(h.packed) > p.chunk.compressed {
			panic(bad("a page of the column %q is not within it", p.column.name))
		}
		cost := int64(h.unpacked) + int64(h.packed)
		p.f.Spend(cost)
		packed := make([]byte, h.packed)
		if _, err := io.ReadFull(p.r, packed); err != nil {
			panic(bad("the column %q ends early", p.column.name))
		}
		switch h.typ {
		case pageDictionary:
			p.readDictionary(&h, p.unpack(packed, h.unpacked))
			continue // what the dictionary is read from stays in use
		case pageData:
			p.held = cost
			p.openPage(&h, p.unpack(packed, h.unpacked), -1)
			return
		case pageDataV2:
			p.held = cost
			if h.repetition != 0 || h.levelBytes > len(packed) || h.levelBytes > h.unpacked {
				panic(bad("a page of the column %q is broken", p.column.name))
			}
			body := packed[h.levelBytes:]
			if !h.valuesUncompressed {
				body = p.unpack(body, h.unpacked-h.levelBytes)
			}
			p.openPage(&h, append(packed[:h.levelBytes:h.levelBytes], body...), h.levelBytes)
			return
		default: // an index page
			p.f.GiveBack(cost)
		}
	}
}

// unpack decompresses a page to the size that it says.
func (p *pageReader) unpack(b []byte, size int) []byte {
	broken := func(err error) []byte {
		panic(bad("a page of the column %q cannot be unpacked: %v", p.column.name, err))
	}
	if size == 0 && len(b) == 0 {
		return nil
	}
	var r io.Reader
	switch p.chunk.codec {
	case codecNone:
		return b
	case codecSnappy:
		if n, err := snappy.DecodedLen(b); err != nil || n != size {
			return broken(snappy.ErrCorrupt)
		}
		out, err := snappy.Decode(make([]byte, size), b)
		if err != nil {
			return broken(err)
		}
		return out
	case codecGzip:
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return broken(err)
		}
		r = z
	case codecZstd:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(size)+1<<20))
		if err != nil {
			return broken(err)
		}
		defer z.Close()
		r = z
	case codecLZ4Raw:
		out := make([]byte, size)
		n, err := lz4.UncompressBlock(b, out)
		if err != nil || n != size {
			return broken(lz4.ErrInvalidSourceShortBuffer)
		}
		return out
	default:
		panic(frame.Refuse("column %q of the Parquet file is compressed with %s; write it with snappy, zstd, gzip or none",
			p.column.name, map[int]string{3: "LZO", 4: "brotli", 5: "the old framing of LZ4"}[p.chunk.codec]))
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(r, out); err != nil {
		return broken(err)
	}
	return out
}

// openPage prepares to read a page; levels is how many bytes say which values are there, -1 when the page itself tells.
func (p *pageReader) openPage(h *pageHeader, body []byte, levels int) {
	if int64(h.values) > p.left {
		panic(bad("the column %q has more values than rows", p.column.name))
	}
	p.left -= int64(h.values)
	p.rows, p.levels = h.values, nil
	if p.column.repeated == 1 {
		if levels < 0 {
			if h.levelEncoding != encodingRLE {
				panic(bad("the column %q has levels of the encoding %d", p.column.name, h.levelEncoding))
			}
			if len(body) < 4 || int64(binary.LittleEndian.Uint32(body)) > int64(len(body)-4) {
				panic(bad("a page of the column %q is broken", p.column.name))
			}
			levels = int(binary.LittleEndian.Uint32(body))
			body = body[4:]
		}
		p.levels = &hybrid{b: body[:levels], width: 1}
		body = body[levels:]
	}
	p.from = p.newDecoder(h.encoding, body)
}

func (p *pageReader) readDictionary(h *pageHeader, body []byte) {
	if p.hasDict {
		panic(bad("the column %q has two dictionaries", p.column.name))
	}
	if h.encoding != encodingPlain && h.encoding != encodingPlainDictionary {
		panic(bad("the dictionary of the column %q has the encoding %d", p.column.name, h.encoding))
	}
	p.f.Spend(24 * int64(h.values))
	(&plain{b: body, column: p.column}).read(&p.dict, h.values)
	p.hasDict = true
}

// read appends up to most rows to column i and says how many.
func (p *pageReader) read(i, most int) int {
	for p.rows == 0 {
		p.nextPage()
	}
	n := min(most, p.rows, 64<<10)
	p.rows -= n
	c := p.f.Columns[i]
	p.there = p.there[:0]
	present := n
	if p.levels != nil {
		present = 0
		p.there = p.levels.read(p.there, n)
		for _, level := range p.there {
			present += int(level)
		}
	}
	p.got.reset()
	if present > 0 {
		p.from.read(&p.got, present)
	}
	if c.Kind == frame.Empty {
		present = 0
	}
	if present == n {
		p.there = p.there[:0]
	} else if c.Null == nil {
		c.Null = make([]bool, c.N, c.N+n)
	}
	p.place(i, c, n)
	return n
}

// place appends n rows, of which there says the ones with a value; all when it is empty.
func (p *pageReader) place(i int, c *frame.Column, n int) {
	if len(p.there) == 0 && len(p.got.floats) == n {
		c.Num = append(c.Num, p.got.floats...)
		c.Added(p.got.floats)
		return
	}
	if c.Kind != frame.Text && c.Kind != frame.Empty {
		c.Num = slices.Grow(c.Num, n)
	}
	add := p.adder(i, c)
	at := 0
	for row := range n {
		if c.Kind == frame.Empty || (len(p.there) > 0 && p.there[row] == 0) {
			c.AddNull()
			continue
		}
		add(at)
		at++
	}
}

// adder gives what appends a decoded value.
func (p *pageReader) adder(i int, c *frame.Column) func(at int) {
	f, v := p.f, &p.got
	from := func(at int) int { return at }
	if len(v.codes) > 0 {
		codes := v.codes
		from, v = func(at int) int { return int(codes[at]) }, &p.dict
	}
	switch {
	case c.Kind == frame.Factor:
		if len(p.got.codes) == 0 {
			return func(at int) { c.AddTyped(float64(f.Level(i, string(v.texts[at])))) }
		}
		if p.codes == nil { // the levels keep the order in which the dictionary has them
			for _, text := range p.dict.texts {
				p.codes = append(p.codes, float64(f.Level(i, string(text))))
			}
		}
		return func(at int) { c.AddTyped(p.codes[p.got.codes[at]]) }
	case c.Kind == frame.Text:
		return func(at int) { f.AddText(c, v.texts[from(at)]) }
	case len(v.floats) > 0:
		return func(at int) { c.AddTyped(v.floats[from(at)]) }
	case len(v.texts) > 0:
		return func(at int) { c.AddTyped(p.toByte(v.texts[from(at)])) }
	}
	return func(at int) { c.AddTyped(p.toInt(v.ints[from(at)])) }
}
