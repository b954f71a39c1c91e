package arrow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/weir-ml/weir/internal/model/frame"
)

// Reader gives the rows of a stream or file, a record batch at a time in memory.
type Reader struct {
	*frame.Sheet
	r      io.Reader
	schema []schemaField
	which  []int // the fields that are read
	dicts  map[int64]*array
	arrays []*array // of the present batch, one for each field that is read
	rows   int      // of the present batch
	at     int      // those that have been given
	ended  bool
	held   int64 // what the present batch is charged with
}

// Open reads the schema of a stream, or of a file, which is a stream between its magic and its footer, and adds the
// columns that the sheet wants to it. What is no Arrow is INVALID_PARAMETER_VALUE, here and in Next.
func Open(r io.Reader, file bool, s *frame.Sheet) (src *Reader, err error) {
	defer frame.Recover(&err)
	if file {
		var begin [8]byte
		if _, err := io.ReadFull(r, begin[:]); err != nil || string(begin[:6]) != magic {
			return nil, bad("a file begins with %s", magic)
		}
	}
	f := &Reader{Sheet: s, r: r, dicts: map[int64]*array{}}
	typ, head, body := f.message()
	if typ != messageSchema {
		return nil, bad("it does not begin with a schema")
	}
	f.GiveBack(int64(len(body)))
	f.schema = readSchema(head)
	for i := range f.schema {
		field := &f.schema[i]
		if !s.Wants(field.name) {
			continue
		}
		kind, ok := field.kind()
		if !ok {
			return nil, frame.RefuseType(field.name, typeNames[field.typ])
		}
		if err := s.Add(field.name, kind); err != nil {
			return nil, err
		}
		f.which = append(f.which, i)
	}
	return f, nil
}

// message reads the next message; its type is 0 at the end.
func (f *Reader) message() (typ int, head flat, body []byte) {
	var prefix [4]byte
	length := func() (int64, bool) {
		if _, err := io.ReadFull(f.r, prefix[:]); errors.Is(err, io.EOF) {
			return 0, false
		} else if err != nil {
			panic(bad("it ends early"))
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
	if n > maxHead {
		panic(bad("a message's metadata of %d bytes", n))
	}
	meta := root(f.readFull(n))
	if typ = int(meta.int(1, 1, 0)); typ < messageSchema || typ > messageRecordBatch {
		panic(bad("a message of type %d", typ))
	}
	if head, ok = meta.table(2); !ok {
		panic(bad("a message without its header"))
	}
	size := meta.int(3, 8, 0)
	f.Spend(size)
	return typ, head, f.readFull(size)
}

// readFull reads n bytes; memory is taken as they come.
func (f *Reader) readFull(n int64) []byte {
	var b bytes.Buffer
	if n <= 1<<20 {
		b.Grow(int(n))
	}
	if got, err := io.CopyN(&b, f.r, n); err != nil {
		panic(bad("it ends after %d of %d bytes", got, n))
	}
	return b.Bytes()
}

// Next appends at most most rows to the sheet's columns and says how many; at the end it gives io.EOF.
func (f *Reader) Next(most int) (rows int, err error) {
	defer frame.Recover(&err)
	for f.at >= f.rows {
		f.GiveBack(f.held)
		f.held = 0
		if f.ended { // a footer follows in a file
			return 0, io.EOF
		}
		typ, head, body := f.message()
		switch typ {
		case 0:
			f.ended = true
			return 0, io.EOF
		case messageDictionaryBatch:
			f.dictionary(head, body)
		case messageRecordBatch:
			f.held = int64(len(body))
			f.batch(head, body)
		default:
			return 0, bad("a second schema")
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
func (f *Reader) batch(head flat, body []byte) {
	l := newLoader(f, head, body)
	f.rows, f.at, f.arrays = l.rows, 0, f.arrays[:0]
	next := 0
	for i := range f.schema {
		if next == len(f.which) || f.which[next] != i {
			l.skip(&f.schema[i])
			continue
		}
		next++
		field := &f.schema[i]
		var a *array
		if field.coded {
			a = l.load(field.index)
			if a.dict = f.dicts[field.id]; a.dict == nil {
				if a.nulls < a.n {
					panic(bad("the dictionary of the column %q is not there", field.name))
				}
				a.dict = &array{field: field}
			}
		} else {
			a = l.load(field)
		}
		f.arrays = append(f.arrays, a)
	}
}

// dictionary loads the values of a dictionary, or more of them. Its body stays in memory.
func (f *Reader) dictionary(head flat, body []byte) {
	data, ok := head.table(1)
	if !ok {
		panic(bad("a dictionary without its values"))
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
		l := newLoader(f, data, body)
		a := l.load(&field)
		if old := f.dicts[id]; old != nil && head.int(2, 1, 0) != 0 {
			a.before = old
			a.depth = old.depth + 1
			if a.depth > 10_000 {
				panic(bad("a dictionary in more than 10000 pieces"))
			}
		}
		f.dicts[id] = a
		return
	}
}

// append copies the elements from..to of an array to column i.
func (f *Reader) append(i int, a *array, from, to int) {
	c := f.Columns[i]
	f.Spend(9 * int64(to-from))
	if a.nulls != 0 && c.Null == nil {
		c.Null = make([]bool, c.N, c.N+to-from)
	}
	var add func(int)
	switch {
	case a.field.typ == typeNull:
		add = func(int) { c.AddNull() }
	case a.dict != nil:
		add = f.codedAdder(i, c, a)
	case c.Kind == frame.Text:
		text := a.texts()
		add = func(row int) { f.AddText(c, text(row)) }
	default:
		number := a.numbers()
		if a.nulls == 0 {
			c.AddAll(to-from, func(i int) float64 { return number(from + i) })
			return
		}
		c.Num = slices.Grow(c.Num, to-from)
		add = func(row int) { c.AddTyped(number(row)) }
	}
	for row := from; row < to; row++ {
		if a.isNull(row) {
			c.AddNull()
		} else {
			add(row)
		}
	}
}

// codedAdder adds values that stand in a dictionary.
func (f *Reader) codedAdder(i int, c *frame.Column, a *array) func(int) {
	index := a.numbers()
	size := a.dict.size()
	if a.codes == nil { // once for each batch
		f.Spend(8 * int64(size))
		a.codes = make([]float64, size)
		a.dict.each(func(at int, part *array) {
			var value func(int) float64
			if c.Kind == frame.Factor {
				text := part.texts()
				value = func(k int) float64 { return float64(f.Level(i, string(text(k)))) }
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
			panic(bad("column %q, row %d: the value %v of a dictionary of %d", c.Name, c.N+1, k, size))
		}
		if a.nullCodes[int(k)] {
			c.AddNull()
			return
		}
		c.AddTyped(a.codes[int(k)])
	}
}

// Factors says which columns of a schema message, as Arrow's writers leave it in Parquet files, were factors; nil when it
// cannot be read: what another program left there decides nothing that the file itself does not say.
func Factors(raw []byte) map[string]bool {
	var out map[string]bool
	var err error
	func() {
		defer frame.Recover(&err)
		f := &Reader{Sheet: frame.NewSheet(nil, int64(len(raw))), r: bytes.NewReader(raw)}
		if typ, head, _ := f.message(); typ == messageSchema {
			out = map[string]bool{}
			for _, field := range readSchema(head) {
				kind, ok := field.kind()
				out[strings.Clone(field.name)] = ok && kind == frame.Factor
			}
		}
	}()
	return out
}
