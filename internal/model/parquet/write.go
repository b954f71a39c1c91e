package parquet

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/klauspost/compress/snappy"

	"github.com/weir-ml/weir/mlflow"

	"github.com/weir-ml/weir/internal/model/frame"
)

// Writer writes columns as a Parquet file: a page for each call of Write, row groups of about 64 MiB, Snappy.
// What it knows of the row groups that are on disk is State, from which a broken-off file is continued.
type Writer struct {
	w     io.Writer
	state State
	pages [][]byte // of the row group that is being collected, by column
	raw   []int64  // how long they are before compression
	rows  int64    // in them
	size  int
}

// State is what the footer of a file will say: it and the file's first Bytes bytes are all that was written.
type State struct {
	Bytes  int64        `json:"bytes"`
	Names  []string     `json:"names,omitempty"`
	Kinds  []frame.Kind `json:"kinds,omitempty"`
	Groups []Extent     `json:"groups,omitempty"`
}

// Extent says where the columns of a row group are.
type Extent struct {
	Rows int64   `json:"rows"`
	At   []int64 `json:"at"`
	Size []int64 `json:"size"`
	Raw  []int64 `json:"raw"`
}

const groupBytes = 64 << 20

// NewWriter begins a file, or goes on where state says.
func NewWriter(w io.Writer, state State) *Writer {
	return &Writer{w: w, state: state}
}

// Write appends rows. The columns must be those of the first call; an integer column takes integers only.
func (p *Writer) Write(columns []*frame.Column, rows int) error {
	if p.state.Names == nil {
		p.state.Names = []string{}
		for _, c := range columns {
			kind := c.Kind
			switch kind {
			case frame.Factor:
				kind = frame.Text // levels may differ from one piece to the next
			case frame.Empty:
				kind = frame.Logical
			}
			p.state.Names, p.state.Kinds = append(p.state.Names, c.Name), append(p.state.Kinds, kind)
		}
	}
	if len(columns) != len(p.state.Names) {
		return mlflow.Errorf(mlflow.CodeInternal, "the predictions change from %d columns to %d", len(p.state.Names), len(columns))
	}
	if p.pages == nil {
		p.pages, p.raw = make([][]byte, len(columns)), make([]int64, len(columns))
	}
	for i, c := range columns {
		if err := fits(c, p.state.Kinds[i]); err != nil {
			return err
		}
		before := len(p.pages[i])
		p.pages[i] = appendPage(p.pages[i], c, p.state.Kinds[i], &p.raw[i])
		p.size += len(p.pages[i]) - before
	}
	p.rows += int64(rows)
	if p.size >= groupBytes {
		return p.Flush()
	}
	return nil
}

// fits makes a column of the type that the file has for it, where it can be one: a piece whose values are all missing,
// or whole, must not decide what the others are.
func fits(c *frame.Column, kind frame.Kind) error {
	switch {
	case c.Kind == kind || c.Kind == frame.Factor && kind == frame.Text:
	case c.Kind == frame.Empty || c.AllMissing():
		c.Kind = kind
		if kind == frame.Text {
			c.Str, c.Num = make([]string, c.N), nil
		} else {
			c.Str, c.Num = nil, make([]float64, c.N)
		}
		if c.Null == nil {
			c.Null = make([]bool, c.N)
		}
		for i := range c.Null {
			c.Null[i] = true
		}
	case c.Kind == frame.Integer && kind == frame.Double:
		c.Kind = frame.Double
	default:
		return mlflow.Errorf(mlflow.CodeInternal, "the predictions in the column %q change their type from %s to %s; write .csv or .jsonl", c.Name, kind, c.Kind)
	}
	return nil
}

// appendPage appends a data page with its header.
func appendPage(dst []byte, c *frame.Column, kind frame.Kind, raw *int64) []byte {
	levels := presence(c)
	body := binary.LittleEndian.AppendUint32(nil, uint32(len(levels)))
	body = append(body, levels...)
	body = appendValues(body, c, kind)
	packed := snappy.Encode(nil, body)
	t := &thriftWriter{}
	t.begin()
	t.i32(1, pageData)
	t.i32(2, len(body))
	t.i32(3, len(packed))
	t.open(5)
	t.i32(1, c.N)
	t.i32(2, encodingPlain)
	t.i32(3, encodingRLE)
	t.i32(4, encodingRLE)
	t.end()
	t.end()
	*raw += int64(len(t.out) + len(body))
	return append(append(dst, t.out...), packed...)
}

// presence says which values are there, as runs.
func presence(c *frame.Column) []byte {
	var out []byte
	for i := 0; i < c.N; {
		from, null := i, c.IsNull(i)
		for i < c.N && c.IsNull(i) == null {
			i++
		}
		out = binary.AppendUvarint(out, uint64(i-from)<<1)
		out = append(out, bit(!null))
	}
	return out
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendValues(dst []byte, c *frame.Column, kind frame.Kind) []byte {
	var bits, used byte
	for i := range c.N {
		if c.IsNull(i) {
			continue
		}
		switch kind {
		case frame.Logical:
			bits |= bit(c.Num[i] != 0) << used
			if used++; used == 8 {
				dst, bits, used = append(dst, bits), 0, 0
			}
		case frame.Integer, frame.Day:
			dst = binary.LittleEndian.AppendUint32(dst, uint32(int32(math.Floor(c.Num[i]))))
		case frame.Time:
			dst = binary.LittleEndian.AppendUint64(dst, uint64(int64(math.Round(c.Num[i]*1e6))))
		case frame.Text:
			text := ""
			if c.Kind == frame.Factor {
				text = c.Levels[int(c.Num[i])]
			} else {
				text = c.Str[i]
			}
			dst = append(binary.LittleEndian.AppendUint32(dst, uint32(len(text))), text...)
		default:
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(c.Num[i]))
		}
	}
	if used > 0 {
		dst = append(dst, bits)
	}
	return dst
}

// Flush ends the row group, so that State describes everything that was given to Write.
func (p *Writer) Flush() error {
	if p.rows == 0 {
		return nil
	}
	if err := p.begin(); err != nil {
		return err
	}
	extent := Extent{Rows: p.rows, Raw: p.raw}
	for i, page := range p.pages {
		extent.At, extent.Size = append(extent.At, p.state.Bytes), append(extent.Size, int64(len(page)))
		if err := p.put(page); err != nil {
			return err
		}
		p.pages[i] = page[:0]
	}
	p.state.Groups = append(p.state.Groups, extent)
	p.rows, p.size, p.raw = 0, 0, make([]int64, len(p.pages))
	return nil
}

// State is what was flushed; see State.
func (p *Writer) State() State { return p.state }

func (p *Writer) begin() error {
	if p.state.Bytes > 0 {
		return nil
	}
	return p.put([]byte(magic))
}

func (p *Writer) put(b []byte) error {
	n, err := p.w.Write(b)
	p.state.Bytes += int64(n)
	return err
}

// Close writes the footer; the file is whole then. A file without rows has the column that predictions have.
func (p *Writer) Close() error {
	if err := p.Flush(); err != nil {
		return err
	}
	if err := p.begin(); err != nil {
		return err
	}
	if p.state.Names == nil {
		p.state.Names, p.state.Kinds = []string{"prediction"}, []frame.Kind{frame.Double}
	}
	footer := p.footer()
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return p.put(append(footer, magic...))
}

// The physical and converted types of what is written; -1 for none.
var writtenTypes = map[frame.Kind][2]int{
	frame.Logical: {typeBoolean, -1}, frame.Integer: {typeInt32, -1}, frame.Double: {typeDouble, -1}, frame.Text: {typeBytes, convertedUTF8},
	frame.Time: {typeInt64, convertedTimestampMicros}, frame.Day: {typeInt32, convertedDate},
}

func (p *Writer) footer() []byte {
	var rows int64
	for _, g := range p.state.Groups {
		rows += g.Rows
	}
	t := &thriftWriter{}
	t.begin()
	t.i32(1, 2)
	t.field(2, thriftList)
	t.list(len(p.state.Names)+1, thriftStruct)
	t.begin()
	t.text(4, "schema")
	t.i32(5, len(p.state.Names))
	t.end()
	for i, name := range p.state.Names {
		types := writtenTypes[p.state.Kinds[i]]
		t.begin()
		t.i32(1, types[0])
		t.i32(3, 1)
		t.text(4, name)
		if types[1] >= 0 {
			t.i32(6, types[1])
		}
		writeLogicalType(t, p.state.Kinds[i])
		t.end()
	}
	t.i64(3, rows)
	t.field(4, thriftList)
	t.list(len(p.state.Groups), thriftStruct)
	for i := range p.state.Groups {
		p.writeGroup(t, &p.state.Groups[i])
	}
	t.text(6, "weir")
	t.end()
	return t.out
}

func writeLogicalType(t *thriftWriter, kind frame.Kind) {
	member := map[frame.Kind]int{frame.Text: 1, frame.Day: 6, frame.Time: 8}[kind]
	if member == 0 {
		return
	}
	t.open(10)
	t.open(member)
	if kind == frame.Time {
		t.bool(1, true) // adjusted to UTC
		t.open(2)
		t.open(2) // microseconds
		t.end()
		t.end()
	}
	t.end()
	t.end()
}

func (p *Writer) writeGroup(t *thriftWriter, g *Extent) {
	var raw int64
	t.begin()
	t.field(1, thriftList)
	t.list(len(p.state.Names), thriftStruct)
	for i, name := range p.state.Names {
		raw += g.Raw[i]
		t.begin()
		t.i64(2, g.At[i])
		t.open(3)
		t.i32(1, writtenTypes[p.state.Kinds[i]][0])
		t.field(2, thriftList)
		t.list(2, thriftI32)
		t.int(encodingPlain)
		t.int(encodingRLE)
		t.field(3, thriftList)
		t.list(1, thriftBinary)
		t.binary(name)
		t.i32(4, codecSnappy)
		t.i64(5, g.Rows)
		t.i64(6, g.Raw[i])
		t.i64(7, g.Size[i])
		t.i64(9, g.At[i])
		t.end()
		t.end()
	}
	t.i64(2, raw)
	t.i64(3, g.Rows)
	t.end()
}
