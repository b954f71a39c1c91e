package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
)

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
