package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// The types of a field and of a message, as Arrow's Schema.fbs and Message.fbs have them.
const (
	arNull, arInt, arFloat, arBinary, arUtf8, arBool, arDecimal, arDate, arTime    = 1, 2, 3, 4, 5, 6, 7, 8, 9
	arTimestamp, arInterval, arList, arStruct, arUnion, arFixedBinary, arFixedList = 10, 11, 12, 13, 14, 15, 16
	arMap, arDuration, arLargeBinary, arLargeUtf8, arLargeList, arRunEnds          = 17, 18, 19, 20, 21, 22
	arBinaryView, arUtf8View, arListView, arLargeListView                          = 23, 24, 25, 26

	arSchema, arDictionaryBatch, arRecordBatch = 1, 2, 3

	arrowMagic   = "ARROW1"
	maxArrowHead = 16 << 20
)

var arrowNames = map[int]string{arNull: "null", arInt: "int", arFloat: "float", arBinary: "binary", arUtf8: "string", arBool: "bool",
	arDecimal: "decimal", arDate: "date", arTime: "time", arTimestamp: "timestamp", arInterval: "interval", arList: "list", arStruct: "struct",
	arUnion: "union", arFixedBinary: "binary", arFixedList: "list", arMap: "map", arDuration: "duration", arLargeBinary: "binary",
	arLargeUtf8: "string", arLargeList: "list", arRunEnds: "run-end encoded", arBinaryView: "binary", arUtf8View: "string",
	arListView: "list", arLargeListView: "list"}

// arrowField is a field of a schema.
type arrowField struct {
	name     string
	typ      int
	width    int // bits of a number, bytes of a fixed-size value
	signed   bool
	unit     int
	scale    int
	mode     int // of a union
	children []arrowField
	coded    bool // its values are in the dictionary id, and what comes in batches are indexes of the type index
	id       int64
	index    *arrowField
}

// readArrowSchema reads the fields of a schema message's header.
func readArrowSchema(t flat) []arrowField {
	if t.int(0, 2, 0) != 0 {
		panic(badInput("the Arrow data are big-endian; write it little-endian"))
	}
	var out []arrowField
	seen := 0
	t.tables(1, func(f flat) { out = append(out, readArrowField(f, 0, &seen)) })
	return out
}

func readArrowField(t flat, depth int, seen *int) arrowField {
	// A few bytes may refer to each other until they describe more fields than there are atoms.
	if *seen++; *seen > maxColumns || depth > 32 {
		panic(badArrow("its schema has too many fields"))
	}
	f := arrowField{name: t.text(0), typ: int(t.int(2, 1, 0))}
	if typ, ok := t.table(3); ok {
		f.readType(typ)
	}
	t.tables(5, func(c flat) { f.children = append(f.children, readArrowField(c, depth+1, seen)) })
	if d, ok := t.table(4); ok {
		f.coded, f.id = true, d.int(0, 8, 0)
		f.index = &arrowField{typ: arInt, width: 32, signed: true}
		if typ, ok := d.table(1); ok {
			f.index.readType(typ)
		}
	}
	return f
}

func (f *arrowField) readType(t flat) {
	switch f.typ {
	case arInt:
		f.width, f.signed = int(t.int(0, 4, 0)), t.int(1, 1, 0) != 0
	case arFloat:
		f.width = 16 << min(max(t.int(0, 2, 0), 0), 2)
	case arDecimal:
		f.scale, f.width = int(t.int(1, 4, 0)), int(t.int(2, 4, 128))
	case arDate:
		f.unit = int(t.int(0, 2, 1))
		f.width = 32 << min(max(f.unit, 0), 1)
	case arTimestamp:
		f.unit, f.width = int(t.int(0, 2, 0)), 64
	case arFixedBinary:
		f.width = int(t.int(0, 4, 0))
	case arUnion:
		f.mode = int(t.int(0, 2, 0))
	}
}

// kind gives the type that R has for the field's, and false for those that it has none for.
func (f *arrowField) kind() (Kind, bool) {
	switch f.typ {
	case arNull:
		return Empty, !f.coded
	case arBool:
		return Logical, !f.coded
	case arInt:
		return Integer, f.width == 8 || f.width == 16 || f.width == 32 || f.width == 64
	case arFloat:
		return Double, true
	case arDecimal:
		return Double, f.width == 32 || f.width == 64 || f.width == 128 || f.width == 256
	case arUtf8, arLargeUtf8, arUtf8View:
		if f.coded {
			return Factor, true
		}
		return Text, true
	case arDate:
		return Day, f.unit == 0 || f.unit == 1
	case arTimestamp:
		return Time, f.unit >= 0 && f.unit <= 3
	}
	return Empty, false
}

// arrowFrames are the record batches of a stream or file.
type arrowFrames struct {
	*sheet
	r      io.Reader
	schema []arrowField
	which  []int // the fields that are read
	dicts  map[int64]*arrowArray
	arrays []*arrowArray // of the present batch, one for each field that is read
	rows   int           // of the present batch
	at     int           // those that have been given
	ended  bool
	held   int64 // what the present batch is charged with
}

// openArrow reads a stream, or a file, which is a stream between its magic and its footer.
func openArrow(r io.Reader, file bool, s *sheet) (src frames, err error) {
	defer recoverFault(&err)
	if file {
		var magic [8]byte
		if _, err := io.ReadFull(r, magic[:]); err != nil || string(magic[:6]) != arrowMagic {
			return nil, badArrow("a file begins with %s", arrowMagic)
		}
	}
	f := &arrowFrames{sheet: s, r: r, dicts: map[int64]*arrowArray{}}
	typ, head, body := f.message()
	if typ != arSchema {
		return nil, badArrow("it does not begin with a schema")
	}
	f.giveBack(int64(len(body)))
	f.schema = readArrowSchema(head)
	for i := range f.schema {
		field := &f.schema[i]
		if !s.wants(field.name) {
			continue
		}
		kind, ok := field.kind()
		if !ok {
			return nil, refuseType(field.name, arrowNames[field.typ])
		}
		if err := s.add(field.name, kind); err != nil {
			return nil, err
		}
		f.which = append(f.which, i)
	}
	return f, nil
}

// message reads the next message; its type is 0 at the end.
func (f *arrowFrames) message() (typ int, head flat, body []byte) {
	var prefix [4]byte
	length := func() (int64, bool) {
		if _, err := io.ReadFull(f.r, prefix[:]); errors.Is(err, io.EOF) {
			return 0, false
		} else if err != nil {
			panic(badArrow("it ends early"))
		}
		return int64(binary.LittleEndian.Uint32(prefix[:])), true
	}
	n, ok := length()
	if n == math.MaxUint32 { // before Arrow 0.15 the length came alone
		n, ok = length()
	}
	if !ok || n == 0 {
		return 0, flat{}, nil
	}
	if n > maxArrowHead {
		panic(badArrow("a message's metadata of %d bytes", n))
	}
	meta := root(f.readFull(n))
	if typ = int(meta.int(1, 1, 0)); typ < arSchema || typ > arRecordBatch {
		panic(badArrow("a message of type %d", typ))
	}
	if head, ok = meta.table(2); !ok {
		panic(badArrow("a message without its header"))
	}
	size := meta.int(3, 8, 0)
	f.spend(size)
	return typ, head, f.readFull(size)
}

// readFull reads n bytes; memory is taken as they come.
func (f *arrowFrames) readFull(n int64) []byte {
	var b bytes.Buffer
	if n <= 1<<20 {
		b.Grow(int(n))
	}
	if got, err := io.CopyN(&b, f.r, n); err != nil {
		panic(badArrow("it ends after %d of %d bytes", got, n))
	}
	return b.Bytes()
}

func (f *arrowFrames) next(most int) (rows int, err error) {
	defer recoverFault(&err)
	for f.at >= f.rows {
		f.giveBack(f.held)
		f.held = 0
		if f.ended { // a footer follows in a file
			return 0, io.EOF
		}
		typ, head, body := f.message()
		switch typ {
		case 0:
			f.ended = true
			return 0, io.EOF
		case arDictionaryBatch:
			f.dictionary(head, body)
		case arRecordBatch:
			f.held = int64(len(body))
			f.batch(head, body)
		default:
			return 0, badArrow("a second schema")
		}
	}
	rows = min(most, f.rows-f.at)
	for i, a := range f.arrays {
		f.append(i, a, f.at, f.at+rows)
	}
	f.at += rows
	return rows, nil
}

// batch loads the columns of a record batch that are read.
func (f *arrowFrames) batch(head flat, body []byte) {
	l := newArrowLoader(f, head, body)
	f.rows, f.at, f.arrays = l.rows, 0, f.arrays[:0]
	next := 0
	for i := range f.schema {
		if next == len(f.which) || f.which[next] != i {
			l.skip(&f.schema[i])
			continue
		}
		next++
		field := &f.schema[i]
		var a *arrowArray
		if field.coded {
			a = l.load(field.index)
			if a.dict = f.dicts[field.id]; a.dict == nil {
				if a.nulls < a.n {
					panic(badArrow("the dictionary of the column %q is not there", field.name))
				}
				a.dict = &arrowArray{field: field}
			}
		} else {
			a = l.load(field)
		}
		f.arrays = append(f.arrays, a)
	}
}

// dictionary loads the values of a dictionary, or more of them. Its body stays in memory.
func (f *arrowFrames) dictionary(head flat, body []byte) {
	data, ok := head.table(1)
	if !ok {
		panic(badArrow("a dictionary without its values"))
	}
	id := head.int(0, 8, 0)
	for i := range f.schema {
		field := f.schema[i]
		if !field.coded || field.id != id {
			continue
		}
		if _, ok := field.kind(); !ok {
			return // of a column that is not read
		}
		l := newArrowLoader(f, data, body)
		a := l.load(&field)
		if old := f.dicts[id]; old != nil && head.int(2, 1, 0) != 0 {
			a.before = old
			a.depth = old.depth + 1
			if a.depth > 10_000 {
				panic(badArrow("a dictionary in more than 10000 pieces"))
			}
		}
		f.dicts[id] = a
		return
	}
}

// append copies the elements from..to of an array to column i.
func (f *arrowFrames) append(i int, a *arrowArray, from, to int) {
	c := f.columns[i]
	f.spend(9 * int64(to-from))
	if a.nulls != 0 && c.Null == nil {
		c.Null = make([]bool, c.n, c.n+to-from)
	}
	var add func(int)
	switch {
	case a.field.typ == arNull:
		add = func(int) { c.addNull() }
	case a.dict != nil:
		add = f.codedAdder(i, c, a)
	case c.Kind == Text:
		text := a.texts()
		add = func(row int) {
			b := text(row)
			f.spend(int64(len(b)) + 16)
			c.Str = append(c.Str, f.text(c, string(b)))
			c.present()
		}
	default:
		number := a.numbers()
		if a.nulls == 0 {
			c.addAll(to-from, func(i int) float64 { return number(from + i) })
			return
		}
		c.Num = slices.Grow(c.Num, to-from)
		add = func(row int) { c.addTyped(number(row)) }
	}
	for row := from; row < to; row++ {
		if a.isNull(row) {
			c.addNull()
		} else {
			add(row)
		}
	}
}

// codedAdder adds values that stand in a dictionary.
func (f *arrowFrames) codedAdder(i int, c *Column, a *arrowArray) func(int) {
	index := a.numbers()
	size := a.dict.size()
	if a.codes == nil { // once for each batch
		f.spend(8 * int64(size))
		a.codes = make([]float64, size)
		a.dict.each(func(at int, part *arrowArray) {
			var value func(int) float64
			if c.Kind == Factor {
				text := part.texts()
				value = func(k int) float64 { return float64(f.level(i, string(text(k)))) }
			} else {
				value = part.numbers()
			}
			for k := range part.n {
				if a.codes[at+k] = math.NaN(); !part.isNull(k) {
					a.codes[at+k] = value(k)
				} else if a.nullCodes == nil {
					a.nullCodes = map[int]bool{at + k: true}
				} else {
					a.nullCodes[at+k] = true
				}
			}
		})
	}
	return func(row int) {
		k := index(row)
		if !(k >= 0 && k < float64(size)) {
			panic(badArrow("column %q, row %d: the value %v of a dictionary of %d", c.Name, c.n+1, k, size))
		}
		if a.nullCodes[int(k)] {
			c.addNull()
			return
		}
		c.addTyped(a.codes[int(k)])
	}
}

// arrowLoader takes a batch apart.
type arrowLoader struct {
	f        *arrowFrames
	rows     int
	nodes    [][2]int
	buffers  [][2]int
	variadic []int
	body     []byte
	codec    int // -1 for none
}

func newArrowLoader(f *arrowFrames, t flat, body []byte) *arrowLoader {
	rows := t.int(0, 8, 0)
	if rows < 0 || rows > math.MaxInt32 {
		panic(badArrow("a batch of %d rows", rows))
	}
	l := &arrowLoader{f: f, rows: int(rows), nodes: t.pairs(1), buffers: t.pairs(2), body: body, codec: -1}
	if c, ok := t.table(3); ok {
		if l.codec = int(c.int(0, 1, 0)); l.codec > 1 {
			panic(badArrow("a compression of type %d", l.codec))
		}
	}
	at, n := t.vector(4, 8)
	for k := range n {
		count := binary.LittleEndian.Uint64(t.need(at+8*k, 8))
		l.variadic = append(l.variadic, int(min(count, uint64(len(l.buffers)+1))))
	}
	return l
}

func (l *arrowLoader) node() [2]int {
	if len(l.nodes) == 0 {
		panic(badArrow("a batch lacks columns"))
	}
	n := l.nodes[0]
	l.nodes = l.nodes[1:]
	return n
}

func (l *arrowLoader) drop(n int) {
	if n > len(l.buffers) {
		panic(badArrow("a batch lacks buffers"))
	}
	l.buffers = l.buffers[n:]
}

func (l *arrowLoader) views() int {
	if len(l.variadic) == 0 {
		panic(badArrow("a batch lacks buffers"))
	}
	n := l.variadic[0]
	l.variadic = l.variadic[1:]
	return n
}

// skip passes over a column that is not read, and what is nested in it.
func (l *arrowLoader) skip(f *arrowField) {
	l.node()
	if f.coded {
		l.drop(2)
		return
	}
	switch f.typ {
	case arNull, arRunEnds:
	case arStruct, arFixedList:
		l.drop(1)
	case arBinary, arUtf8, arLargeBinary, arLargeUtf8, arListView, arLargeListView:
		l.drop(3)
	case arBinaryView, arUtf8View:
		l.drop(2 + l.views())
	case arUnion:
		l.drop(1 + min(f.mode, 1))
	default:
		l.drop(2)
	}
	for i := range f.children {
		l.skip(&f.children[i])
	}
}

// buffer gives the bytes of the next buffer, which must be at least least.
func (l *arrowLoader) buffer(least int) []byte {
	if len(l.buffers) == 0 {
		panic(badArrow("a batch lacks buffers"))
	}
	at, size := l.buffers[0][0], l.buffers[0][1]
	l.buffers = l.buffers[1:]
	if at < 0 || size < 0 || at > len(l.body) || size > len(l.body)-at {
		panic(badArrow("a buffer is not within its batch"))
	}
	b := l.body[at : at+size]
	if l.codec >= 0 && size > 0 {
		b = l.unpack(b)
	}
	if len(b) < least {
		panic(badArrow("a buffer of %d bytes where %d are needed", len(b), least))
	}
	return b
}

func (l *arrowLoader) unpack(b []byte) []byte {
	if len(b) < 8 {
		panic(badArrow("a compressed buffer of %d bytes", len(b)))
	}
	size := int64(binary.LittleEndian.Uint64(b))
	b = b[8:]
	if size == -1 {
		return b
	}
	l.f.spend(size)
	l.f.held += size
	var r io.Reader = lz4.NewReader(bytes.NewReader(b))
	if l.codec == 1 {
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(size)+1<<20))
		if err != nil {
			panic(badArrow("a buffer cannot be unpacked: %v", err))
		}
		defer z.Close()
		r = z
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(r, out); err != nil {
		panic(badArrow("a buffer cannot be unpacked: %v", err))
	}
	return out
}

// arrowArray is a column of a batch, or a dictionary.
type arrowArray struct {
	field     *arrowField
	n, nulls  int
	valid     []byte
	data      []byte
	offsets   []byte
	variadic  [][]byte
	dict      *arrowArray
	codes     []float64 // what stands for each value of dict
	nullCodes map[int]bool
	before    *arrowArray // the part of a dictionary that came earlier
	depth     int
}

// load takes the buffers of a column that is not nested.
func (l *arrowLoader) load(f *arrowField) *arrowArray {
	node := l.node()
	a := &arrowArray{field: f, n: node[0], nulls: node[1]}
	if a.n < 0 || a.n != l.rows {
		panic(badArrow("a column of %d elements in a batch of %d rows", a.n, l.rows))
	}
	if f.typ == arNull {
		a.nulls = a.n
		return a
	}
	if a.nulls == 0 {
		l.drop(1)
	} else if a.valid = l.buffer(0); len(a.valid) == 0 {
		a.nulls = 0
	} else if len(a.valid) < (a.n+7)/8 {
		panic(badArrow("a column's marks of missing values are too few"))
	}
	switch f.typ {
	case arUtf8, arLargeUtf8:
		width := 4
		if f.typ == arLargeUtf8 {
			width = 8
		}
		if a.offsets = l.buffer(0); a.n > 0 && len(a.offsets) < width*(a.n+1) {
			panic(badArrow("a column of texts is too short"))
		}
		a.data = l.buffer(0)
	case arUtf8View:
		a.data = l.buffer(16 * a.n)
		for range l.views() {
			a.variadic = append(a.variadic, l.buffer(0))
		}
	case arBool:
		a.data = l.buffer((a.n + 7) / 8)
	default:
		a.data = l.buffer(a.n * f.width / 8)
	}
	return a
}

func (a *arrowArray) isNull(i int) bool {
	return a.nulls != 0 && (a.valid == nil || a.valid[i>>3]>>(i&7)&1 == 0)
}

// size is the number of values of a dictionary, with its earlier parts.
func (a *arrowArray) size() int {
	n := 0
	for part := a; part != nil; part = part.before {
		n += part.n
	}
	return n
}

// each calls fn for the parts of a dictionary with the number of values before each.
func (a *arrowArray) each(fn func(at int, part *arrowArray)) {
	end := a.size()
	for part := a; part != nil; part = part.before {
		end -= part.n
		fn(end, part)
	}
}

// texts gives what reads the texts.
func (a *arrowArray) texts() func(int) []byte {
	cut := func(b []byte, from, to uint64) []byte {
		if from > to || to > uint64(len(b)) {
			panic(badArrow("a text is not within its column"))
		}
		return b[from:to]
	}
	switch a.field.typ {
	case arUtf8:
		return func(i int) []byte {
			return cut(a.data, uint64(binary.LittleEndian.Uint32(a.offsets[4*i:])), uint64(binary.LittleEndian.Uint32(a.offsets[4*i+4:])))
		}
	case arLargeUtf8:
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
			panic(badArrow("a text is not within its column"))
		}
		from := uint64(binary.LittleEndian.Uint32(view[12:]))
		return cut(a.variadic[buffer], from, from+n)
	}
}

// numbers gives what reads the numbers.
func (a *arrowArray) numbers() func(int) float64 {
	b, f := a.data, a.field
	le := binary.LittleEndian
	switch f.typ {
	case arBool:
		return func(i int) float64 { return float64(b[i>>3] >> (i & 7) & 1) }
	case arFloat:
		switch f.width {
		case 16:
			return func(i int) float64 { return halfOf(b[2*i:]) }
		case 32:
			return func(i int) float64 { return float64(math.Float32frombits(le.Uint32(b[4*i:]))) }
		}
		return func(i int) float64 { return math.Float64frombits(le.Uint64(b[8*i:])) }
	case arDecimal:
		width := f.width / 8
		return func(i int) float64 { return decimalOf(reversed(b[width*i:width*(i+1)]), f.scale) }
	case arDate:
		if f.unit == 0 {
			return func(i int) float64 { return float64(int32(le.Uint32(b[4*i:]))) }
		}
		return func(i int) float64 { return math.Floor(float64(int64(le.Uint64(b[8*i:]))) / 86400e3) }
	case arTimestamp:
		unit := []int64{1, 1e3, 1e6, 1e9}[f.unit]
		return func(i int) float64 { return seconds(int64(le.Uint64(b[8*i:])), unit) }
	case arInt:
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
	panic(badArrow("a %s where numbers are expected", arrowNames[f.typ]))
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

// arrowDictionaries says which columns of a schema, as Arrow's writers of Parquet keep it, were factors; nil when it
// cannot be read: what another program left there decides nothing that the file itself does not say.
func arrowDictionaries(raw []byte) map[string]bool {
	var out map[string]bool
	var err error
	func() {
		defer recoverFault(&err)
		f := &arrowFrames{sheet: newSheet(nil, int64(len(raw))), r: bytes.NewReader(raw)}
		if typ, head, _ := f.message(); typ == arSchema {
			out = map[string]bool{}
			for _, field := range readArrowSchema(head) {
				kind, ok := field.kind()
				out[strings.Clone(field.name)] = ok && kind == Factor
			}
		}
	}()
	return out
}
