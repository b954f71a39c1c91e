package arrow

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/weir-ml/weir/internal/model/frame"
)

// Write writes columns of equal length as one record batch of Arrow's IPC format, a stream or a file. A factor
// becomes a dictionary, a Date date32, a POSIXct a timestamp of microseconds in UTC, and a missing value null.
func Write(w io.Writer, columns []*frame.Column, rows int, file bool) error {
	a := &writer{file: file}
	if file {
		a.out = append(a.out, magic+"\x00\x00"...)
	}
	a.message(messageSchema, nil, func(f *flatWriter) int { return writeSchema(f, columns) })
	for i, c := range columns {
		if c.Kind != frame.Factor {
			continue
		}
		var levels body
		levels.add(frame.NewColumn("", frame.Text, nil, c.Levels, nil, nil))
		a.dictionaries = append(a.dictionaries, a.message(messageDictionaryBatch, levels.bytes, func(f *flatWriter) int {
			batch := levels.table(f, len(c.Levels))
			return f.table(flatField{0, 8, i}, flatField{1, 0, batch})
		}))
	}
	var body body
	for _, c := range columns {
		body.add(c)
	}
	a.batches = append(a.batches, a.message(messageRecordBatch, body.bytes, func(f *flatWriter) int { return body.table(f, rows) }))
	a.out = append(a.out, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
	if file {
		a.footer(columns)
	}
	_, err := w.Write(a.out)
	return err
}

type writer struct {
	out                   []byte
	file                  bool
	dictionaries, batches []block
}

// block says where a message is in a file.
type block struct{ at, head, body int }

// message appends a message and says where it is.
func (a *writer) message(typ int, body []byte, header func(*flatWriter) int) block {
	f := &flatWriter{}
	table := header(f)
	head := f.finish(f.table(flatField{3, 8, len(body)}, flatField{2, 0, table}, flatField{0, 2, 4}, flatField{1, 1, typ}))
	block := block{len(a.out), 8 + len(head), len(body)}
	a.out = append(a.out, 0xff, 0xff, 0xff, 0xff)
	a.out = binary.LittleEndian.AppendUint32(a.out, uint32(len(head)))
	a.out = append(append(a.out, head...), body...)
	return block
}

func (a *writer) footer(columns []*frame.Column) {
	f := &flatWriter{}
	blocks := func(v []block) int {
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
	schema := writeSchema(f, columns)
	footer := f.finish(f.table(flatField{3, 0, batches}, flatField{2, 0, dictionaries}, flatField{1, 0, schema}, flatField{0, 2, 4}))
	a.out = append(a.out, footer...)
	a.out = binary.LittleEndian.AppendUint32(a.out, uint32(len(footer)))
	a.out = append(a.out, magic...)
}

func writeSchema(f *flatWriter, columns []*frame.Column) int {
	fields := make([]int, len(columns))
	for i, c := range columns {
		name := f.text(c.Name)
		typ, table := writeType(f, c.Kind)
		children := f.refs(nil)
		all := []flatField{{5, 0, children}, {3, 0, table}, {0, 0, name}}
		if c.Kind == frame.Factor {
			index := f.table(flatField{0, 4, 32}, flatField{1, 1, 1})
			all = append(all, flatField{4, 0, f.table(flatField{0, 8, i}, flatField{1, 0, index})})
		}
		fields[i] = f.table(append(all, flatField{1, 1, 1}, flatField{2, 1, typ})...)
	}
	return f.table(flatField{1, 0, f.refs(fields)})
}

func writeType(f *flatWriter, kind frame.Kind) (typ, table int) {
	switch kind {
	case frame.Logical:
		return typeBool, f.table()
	case frame.Integer:
		return typeInt, f.table(flatField{0, 4, 32}, flatField{1, 1, 1})
	case frame.Double:
		return typeFloat, f.table(flatField{0, 2, 2})
	case frame.Text, frame.Factor:
		return typeUtf8, f.table()
	case frame.Time:
		zone := f.text("UTC")
		return typeTimestamp, f.table(flatField{1, 0, zone}, flatField{0, 2, 2})
	case frame.Day:
		return typeDate, f.table(flatField{0, 2, 0})
	}
	return typeNull, f.table()
}

// body is the body of a batch under way.
type body struct {
	bytes   []byte
	nodes   [][2]int
	buffers [][2]int
}

func (b *body) table(f *flatWriter, rows int) int {
	buffers := f.pairs(b.buffers)
	nodes := f.pairs(b.nodes)
	return f.table(flatField{2, 0, buffers}, flatField{1, 0, nodes}, flatField{0, 8, rows})
}

// buffer appends a buffer, padded to eight bytes.
func (b *body) buffer(v []byte) {
	b.buffers = append(b.buffers, [2]int{len(b.bytes), len(v)})
	b.bytes = append(b.bytes, v...)
	for len(b.bytes)%8 != 0 {
		b.bytes = append(b.bytes, 0)
	}
}

func (b *body) add(c *frame.Column) {
	nulls := 0
	valid := make([]byte, (c.N+7)/8)
	for i := range c.N {
		if c.IsNull(i) {
			nulls++
		} else {
			valid[i>>3] |= 1 << (i & 7)
		}
	}
	if c.Kind == frame.Empty {
		b.nodes = append(b.nodes, [2]int{c.N, c.N})
		return
	}
	b.nodes = append(b.nodes, [2]int{c.N, nulls})
	if nulls == 0 {
		valid = nil
	}
	b.buffer(valid)
	le := binary.LittleEndian
	var data []byte
	switch c.Kind {
	case frame.Text:
		offsets := le.AppendUint32(nil, 0)
		for i, s := range c.Str {
			if !c.IsNull(i) {
				data = append(data, s...)
			}
			offsets = le.AppendUint32(offsets, uint32(len(data)))
		}
		b.buffer(offsets)
	case frame.Logical:
		data = make([]byte, (c.N+7)/8)
		for i, x := range c.Num {
			if x != 0 {
				data[i>>3] |= 1 << (i & 7)
			}
		}
	case frame.Integer, frame.Factor, frame.Day:
		for i, x := range c.Num {
			if c.IsNull(i) {
				x = 0
			}
			data = le.AppendUint32(data, uint32(int32(math.Floor(x))))
		}
	case frame.Time:
		for i, x := range c.Num {
			if c.IsNull(i) {
				x = 0
			}
			data = le.AppendUint64(data, uint64(int64(math.Round(x*1e6))))
		}
	default:
		data = make([]byte, 0, 8*c.N)
		for _, x := range c.Num {
			data = le.AppendUint64(data, math.Float64bits(x))
		}
	}
	b.buffer(data)
}
