package arrow

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/weir-ml/weir/internal/model/frame"
)

// loader takes a batch apart.
type loader struct {
	f        *Reader
	rows     int
	nodes    [][2]int
	buffers  [][2]int
	variadic []int
	body     []byte
	codec    int // -1 for none
}

func newLoader(f *Reader, t flat, body []byte) *loader {
	rows := t.int(0, 8, 0)
	if rows < 0 || rows > math.MaxInt32 {
		panic(bad("a batch of %d rows", rows))
	}
	l := &loader{f: f, rows: int(rows), nodes: t.pairs(1), buffers: t.pairs(2), body: body, codec: -1}
	if c, ok := t.table(3); ok {
		if l.codec = int(c.int(0, 1, 0)); l.codec > 1 {
			panic(bad("a compression of type %d", l.codec))
		}
	}
	at, n := t.vector(4, 8)
	for k := range n {
		count := binary.LittleEndian.Uint64(t.need(at+8*k, 8))
		l.variadic = append(l.variadic, int(min(count, uint64(len(l.buffers)+1))))
	}
	return l
}

func (l *loader) node() [2]int {
	if len(l.nodes) == 0 {
		panic(bad("a batch lacks columns"))
	}
	n := l.nodes[0]
	l.nodes = l.nodes[1:]
	return n
}

func (l *loader) drop(n int) {
	if n > len(l.buffers) {
		panic(bad("a batch lacks buffers"))
	}
	l.buffers = l.buffers[n:]
}

func (l *loader) views() int {
	if len(l.variadic) == 0 {
		panic(bad("a batch lacks buffers"))
	}
	n := l.variadic[0]
	l.variadic = l.variadic[1:]
	return n
}

// skip passes over a column that is not read, and what is nested in it.
func (l *loader) skip(f *schemaField) {
	l.node()
	if f.coded {
		l.drop(2)
		return
	}
	switch f.typ {
	case typeNull, typeRunEnds:
	case typeStruct, typeFixedList:
		l.drop(1)
	case typeBinary, typeUtf8, typeLargeBinary, typeLargeUtf8, typeListView, typeLargeListView:
		l.drop(3)
	case typeBinaryView, typeUtf8View:
		l.drop(2 + l.views())
	case typeUnion:
		l.drop(1 + min(f.mode, 1))
	default:
		l.drop(2)
	}
	for i := range f.children {
		l.skip(&f.children[i])
	}
}

// buffer gives the bytes of the next buffer, which must be at least least.
func (l *loader) buffer(least int) []byte {
	if len(l.buffers) == 0 {
		panic(bad("a batch lacks buffers"))
	}
	at, size := l.buffers[0][0], l.buffers[0][1]
	l.buffers = l.buffers[1:]
	if at < 0 || size < 0 || at > len(l.body) || size > len(l.body)-at {
		panic(bad("a buffer is not within its batch"))
	}
	b := l.body[at : at+size]
	if l.codec >= 0 && size > 0 {
		b = l.unpack(b)
	}
	if len(b) < least {
		panic(bad("a buffer of %d bytes where %d are needed", len(b), least))
	}
	return b
}

func (l *loader) unpack(b []byte) []byte {
	if len(b) < 8 {
		panic(bad("a compressed buffer of %d bytes", len(b)))
	}
	size := int64(binary.LittleEndian.Uint64(b))
	b = b[8:]
	if size == -1 {
		return b
	}
	l.f.Spend(size)
	l.f.held += size
	var r io.Reader = lz4.NewReader(bytes.NewReader(b))
	if l.codec == 1 {
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(size)+1<<20))
		if err != nil {
			panic(bad("a buffer cannot be unpacked: %v", err))
		}
		defer z.Close()
		r = z
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(r, out); err != nil {
		panic(bad("a buffer cannot be unpacked: %v", err))
	}
	return out
}

// array is a column of a batch, or a dictionary.
type array struct {
	field     *schemaField
	n, nulls  int
	valid     []byte
	data      []byte
	offsets   []byte
	variadic  [][]byte
	dict      *array
	codes     []float64 // what stands for each value of dict
	nullCodes map[int]bool
	before    *array // the part of a dictionary that came earlier
	depth     int
}

// load takes the buffers of a column that is not nested.
func (l *loader) load(f *schemaField) *array {
	node := l.node()
	a := &array{field: f, n: node[0], nulls: node[1]}
	if a.n < 0 || a.n != l.rows {
		panic(bad("a column of %d elements in a batch of %d rows", a.n, l.rows))
	}
	if f.typ == typeNull {
		a.nulls = a.n
		return a
	}
	if a.nulls == 0 {
		l.drop(1)
	} else if a.valid = l.buffer(0); len(a.valid) == 0 {
		a.nulls = 0
	} else if len(a.valid) < (a.n+7)/8 {
		panic(bad("a column's marks of missing values are too few"))
	}
	switch f.typ {
	case typeUtf8, typeLargeUtf8:
		width := 4
		if f.typ == typeLargeUtf8 {
			width = 8
		}
		if a.offsets = l.buffer(0); a.n > 0 && len(a.offsets) < width*(a.n+1) {
			panic(bad("a column of texts is too short"))
		}
		a.data = l.buffer(0)
	case typeUtf8View:
		a.data = l.buffer(16 * a.n)
		for range l.views() {
			a.variadic = append(a.variadic, l.buffer(0))
		}
	case typeBool:
		a.data = l.buffer((a.n + 7) / 8)
	default:
		a.data = l.buffer(a.n * f.width / 8)
	}
	return a
}

func (a *array) isNull(i int) bool {
	return a.nulls != 0 && (a.valid == nil || a.valid[i>>3]>>(i&7)&1 == 0)
}

// size is the number of values of a dictionary, with its earlier parts.
func (a *array) size() int {
	n := 0
	for part := a; part != nil; part = part.before {
		n += part.n
	}
	return n
}

// each calls fn for the parts of a dictionary with the number of values before each.
func (a *array) each(fn func(at int, part *array)) {
	end := a.size()
	for part := a; part != nil; part = part.before {
		end -= part.n
		fn(end, part)
	}
}

// texts gives what reads the texts.
func (a *array) texts() func(int) []byte {
	cut := func(b []byte, from, to uint64) []byte {
		if from > to || to > uint64(len(b)) {
			panic(bad("a text is not within its column"))
		}
		return b[from:to]
	}
	switch a.field.typ {
	case typeUtf8:
		return func(i int) []byte {
			return cut(a.data, uint64(binary.LittleEndian.Uint32(a.offsets[4*i:])), uint64(binary.LittleEndian.Uint32(a.offsets[4*i+4:])))
		}
	case typeLargeUtf8:
		return func(i int) []byte {
			return cut(a.data, binary.LittleEndian.Uint64(a.offsets[8*i:]), binary.LittleEndian.Uint64(a.offsets[8*i+8:]))
		}
	}
	return func(i int) []byte { // a view: short texts are in it, of longer ones it says where
		view := a.data[16*i : 16*i+16]
		n := uint64(binary.LittleEndian.Uint32(view))
		if n <= 12 {
			return view[4 : 4+n]
		}
		buffer := binary.LittleEndian.Uint32(view[8:])
		if uint64(buffer) >= uint64(len(a.variadic)) {
			panic(bad("a text is not within its column"))
		}
		from := uint64(binary.LittleEndian.Uint32(view[12:]))
		return cut(a.variadic[buffer], from, from+n)
	}
}

// numbers gives what reads the numbers.
func (a *array) numbers() func(int) float64 {
	b, f := a.data, a.field
	le := binary.LittleEndian
	switch f.typ {
	case typeBool:
		return func(i int) float64 { return float64(b[i>>3] >> (i & 7) & 1) }
	case typeFloat:
		switch f.width {
		case 16:
			return func(i int) float64 { return frame.Half(b[2*i:]) }
		case 32:
			return func(i int) float64 { return float64(math.Float32frombits(le.Uint32(b[4*i:]))) }
		}
		return func(i int) float64 { return math.Float64frombits(le.Uint64(b[8*i:])) }
	case typeDecimal:
		width := f.width / 8
		return func(i int) float64 { return frame.Decimal(reversed(b[width*i:width*(i+1)]), f.scale) }
	case typeDate:
		if f.unit == 0 {
			return func(i int) float64 { return float64(int32(le.Uint32(b[4*i:]))) }
		}
		return func(i int) float64 { return math.Floor(float64(int64(le.Uint64(b[8*i:]))) / 86400e3) }
	case typeTimestamp:
		unit := []int64{1, 1e3, 1e6, 1e9}[f.unit]
		return func(i int) float64 { return frame.Seconds(int64(le.Uint64(b[8*i:])), unit) }
	case typeInt:
		switch {
		case f.width == 8 && f.signed:
			return func(i int) float64 { return float64(int8(b[i])) }
		case f.width == 8:
			return func(i int) float64 { return float64(b[i]) }
		case f.width == 16 && f.signed:
			return func(i int) float64 { return float64(int16(le.Uint16(b[2*i:]))) }
		case f.width == 16:
			return func(i int) float64 { return float64(le.Uint16(b[2*i:])) }
		case f.width == 32 && f.signed:
			return func(i int) float64 { return float64(int32(le.Uint32(b[4*i:]))) }
		case f.width == 32:
			return func(i int) float64 { return float64(le.Uint32(b[4*i:])) }
		case f.width == 64 && f.signed:
			return func(i int) float64 { return float64(int64(le.Uint64(b[8*i:]))) }
		case f.width == 64:
			return func(i int) float64 { return float64(le.Uint64(b[8*i:])) }
		}
	}
	panic(bad("a %s where numbers are expected", typeNames[f.typ]))
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}
