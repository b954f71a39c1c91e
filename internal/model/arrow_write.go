package model

import (
	"encoding/binary"
	"io"
	"math"
)

// WriteArrow writes columns of equal length as one record batch of Arrow's IPC format, a stream or a file. A factor
// becomes a dictionary, a Date date32, a POSIXct a timestamp of microseconds in UTC, and a missing value null.
func WriteArrow(w io.Writer, columns []*Column, rows int, file bool) error {
	a := &arrowWriter{file: file}
	if file {
		a.out = append(a.out, arrowMagic+"\x00\x00"...)
	}
	a.message(arSchema, nil, func(f *flatWriter) int { return writeArrowSchema(f, columns) })
	for i, c := range columns {
		if c.Kind != Factor {
			continue
		}
		var levels arrowBody
		levels.add(NewColumn("", Text, nil, c.Levels, nil, nil))
		a.dictionaries = append(a.dictionaries, a.message(arDictionaryBatch, levels.bytes, func(f *flatWriter) int {
			batch := levels.table(f, len(c.Levels))
			return f.table(flatField{0, 8, i}, flatField{1, 0, batch})
		}))
	}
	var body arrowBody
	for _, c := range columns {
		body.add(c)
	}
	a.batches = append(a.batches, a.message(arRecordBatch, body.bytes, func(f *flatWriter) int { return body.table(f, rows) }))
	a.out = append(a.out, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
	if file {
		a.footer(columns)
	}
	_, err := w.Write(a.out)
	return err
}

type arrowWriter struct {
	out                   []byte
	file                  bool
	dictionaries, batches []arrowBlock
}

// arrowBlock says where a message is in a file.
type arrowBlock struct{ at, head, body int }

// message appends a message and says where it is.
func (a *arrowWriter) message(typ int, body []byte, header func(*flatWriter) int) arrowBlock {
	f := &flatWriter{}
	table := header(f)
	head := f.finish(f.table(flatField{3, 8, len(body)}, flatField{2, 0, table}, flatField{0, 2, 4}, flatField{1, 1, typ}))
	block := arrowBlock{len(a.out), 8 + len(head), len(body)}
	a.out = append(a.out, 0xff, 0xff, 0xff, 0xff)
	a.out = binary.LittleEndian.AppendUint32(a.out, uint32(len(head)))
	a.out = append(append(a.out, head...), body...)
	return block
}

func (a *arrowWriter) footer(columns []*Column) {
	f := &flatWriter{}
	blocks := func(v []arrowBlock) int {
		f.pad(0, 8)
		for i := len(v) - 1; i >= 0; i-- {
			f.put(uint64(v[i].body), 8)
			f.put(uint64(v[i].head), 8) // a 32-bit number and its padding
			f.put(uint64(v[i].at), 8)
		}
		f.put(uint64(len(v)), 4)
		return f.pos()
	}
	batches := blocks(a.batches)
	dictionaries := blocks(a.dictionaries)
	schema := writeArrowSchema(f, columns)
	footer := f.finish(f.table(flatField{3, 0, batches}, flatField{2, 0, dictionaries}, flatField{1, 0, schema}, flatField{0, 2, 4}))
	a.out = append(a.out, footer...)
	a.out = binary.LittleEndian.AppendUint32(a.out, uint32(len(footer)))
	a.out = append(a.out, arrowMagic...)
}

func writeArrowSchema(f *flatWriter, columns []*Column) int {
	fields := make([]int, len(columns))
	for i, c := range columns {
		name := f.text(c.Name)
		typ, table := writeArrowType(f, c.Kind)
		children := f.refs(nil)
		all := []flatField{{5, 0, children}, {3, 0, table}, {0, 0, name}}
		if c.Kind == Factor {
			index := f.table(flatField{0, 4, 32}, flatField{1, 1, 1})
			all = append(all, flatField{4, 0, f.table(flatField{0, 8, i}, flatField{1, 0, index})})
		}
		fields[i] = f.table(append(all, flatField{1, 1, 1}, flatField{2, 1, typ})...)
	}
	return f.table(flatField{1, 0, f.refs(fields)})
}

func writeArrowType(f *flatWriter, kind Kind) (typ, table int) {
	switch kind {
	case Logical:
		return arBool, f.table()
	case Integer:
		return arInt, f.table(flatField{0, 4, 32}, flatField{1, 1, 1})
	case Double:
		return arFloat, f.table(flatField{0, 2, 2})
	case Text, Factor:
		return arUtf8, f.table()
	case Time:
		zone := f.text("UTC")
		return arTimestamp, f.table(flatField{1, 0, zone}, flatField{0, 2, 2})
	case Day:
		return arDate, f.table(flatField{0, 2, 0})
	}
	return arNull, f.table()
}

// arrowBody is the body of a batch under way.
type arrowBody struct {
	bytes   []byte
	nodes   [][2]int
	buffers [][2]int
}

func (b *arrowBody) table(f *flatWriter, rows int) int {
	buffers := f.pairs(b.buffers)
	nodes := f.pairs(b.nodes)
	return f.table(flatField{2, 0, buffers}, flatField{1, 0, nodes}, flatField{0, 8, rows})
}

// buffer appends a buffer, padded to eight bytes.
func (b *arrowBody) buffer(v []byte) {
	b.buffers = append(b.buffers, [2]int{len(b.bytes), len(v)})
	b.bytes = append(b.bytes, v...)
	for len(b.bytes)%8 != 0 {
		b.bytes = append(b.bytes, 0)
	}
}

func (b *arrowBody) add(c *Column) {
	nulls := 0
	valid := make([]byte, (c.n+7)/8)
	for i := range c.n {
		if c.IsNull(i) {
			nulls++
		} else {
			valid[i>>3] |= 1 << (i & 7)
		}
	}
	if c.Kind == Empty {
		b.nodes = append(b.nodes, [2]int{c.n, c.n})
		return
	}
	b.nodes = append(b.nodes, [2]int{c.n, nulls})
	if nulls == 0 {
		valid = nil
	}
	b.buffer(valid)
	le := binary.LittleEndian
	var data []byte
	switch c.Kind {
	case Text:
		offsets := le.AppendUint32(nil, 0)
		for i, s := range c.Str {
			if !c.IsNull(i) {
				data = append(data, s...)
			}
			offsets = le.AppendUint32(offsets, uint32(len(data)))
		}
		b.buffer(offsets)
	case Logical:
		data = make([]byte, (c.n+7)/8)
		for i, x := range c.Num {
			if x != 0 {
				data[i>>3] |= 1 << (i & 7)
			}
		}
	case Integer, Factor, Day:
		for i, x := range c.Num {
			if c.IsNull(i) {
				x = 0
			}
			data = le.AppendUint32(data, uint32(int32(math.Floor(x))))
		}
	case Time:
		for i, x := range c.Num {
			if c.IsNull(i) {
				x = 0
			}
			data = le.AppendUint64(data, uint64(int64(math.Round(x*1e6))))
		}
	default:
		data = make([]byte, 0, 8*c.n)
		for _, x := range c.Num {
			data = le.AppendUint64(data, math.Float64bits(x))
		}
	}
	b.buffer(data)
}

// NewColumn makes a column of values that are known: numbers for every Kind but Text, which takes texts. null marks the
// missing ones; it may be nil.
func NewColumn(name string, kind Kind, numbers []float64, texts, levels []string, null []bool) *Column {
	return &Column{Name: name, Kind: kind, Num: numbers, Str: texts, Levels: levels, Null: null, n: max(len(numbers), len(texts))}
}
