package parquet

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/weir-ml/weir/internal/model/frame"
)

// thriftReader reads Thrift's compact protocol, in which Parquet's metadata is written. A fault is a panic(*mlflow.Error)
// that ends in frame.Recover.
type thriftReader struct {
	r     thriftSource
	left  int // bytes that may still be read
	depth int
}

type thriftSource interface {
	io.Reader
	io.ByteReader
}

// The types of a field in the compact protocol.
const (
	thriftTrue = 1 + iota
	thriftFalse
	thriftI8
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

func bad(format string, args ...any) error {
	return frame.Refuse("the input is not Parquet: "+format, args...)
}

func (t *thriftReader) byte() byte {
	if t.left--; t.left < 0 {
		panic(bad("its metadata is too long"))
	}
	b, err := t.r.ReadByte()
	if err != nil {
		panic(bad("its metadata ends early"))
	}
	return b
}

func (t *thriftReader) uvarint() uint64 {
	var x uint64
	for shift := 0; shift < 64; shift += 7 {
		b := t.byte()
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return x
		}
	}
	panic(bad("a number in its metadata is too long"))
}

// int reads a number in the zigzag form of every integer type.
func (t *thriftReader) int() int64 {
	x := t.uvarint()
	return int64(x>>1) ^ -int64(x&1)
}

func (t *thriftReader) binary() string {
	n := t.uvarint()
	if n > uint64(t.left) {
		panic(bad("a text in its metadata is too long"))
	}
	t.left -= int(n)
	b := make([]byte, n)
	if _, err := io.ReadFull(t.r, b); err != nil {
		panic(bad("its metadata ends early"))
	}
	return string(b)
}

// list gives the length of a list and the type of its elements.
func (t *thriftReader) list() (n int, typ byte) {
	head := t.byte()
	size := uint64(head >> 4)
	if size == 15 {
		size = t.uvarint()
	}
	if size > uint64(t.left) { // every element takes a byte at least
		panic(bad("a list in its metadata is too long"))
	}
	return int(size), head & 15
}

// fields calls each for every field of a struct; what each does not read, by giving false, is skipped.
func (t *thriftReader) fields(each func(id int, typ byte) bool) {
	if t.depth++; t.depth > 32 {
		panic(bad("its metadata is nested too deeply"))
	}
	for id := 0; ; {
		head := t.byte()
		if head == 0 {
			t.depth--
			return
		}
		if delta := int(head >> 4); delta != 0 {
			id += delta
		} else {
			id = int(t.int())
		}
		if typ := head & 15; !each(id, typ) {
			t.skip(typ)
		}
	}
}

// structs calls each at the beginning of every struct of a list.
func (t *thriftReader) structs(each func()) {
	n, typ := t.list()
	if typ != thriftStruct && n > 0 {
		panic(bad("a list of its metadata holds no structs"))
	}
	for range n {
		each()
	}
}

func (t *thriftReader) skip(typ byte) {
	switch typ {
	case thriftTrue, thriftFalse:
	case thriftI8:
		t.byte()
	case thriftI16, thriftI32, thriftI64:
		t.uvarint()
	case thriftDouble:
		for range 8 {
			t.byte()
		}
	case thriftBinary:
		t.binary()
	case thriftList, thriftSet:
		n, typ := t.list()
		if t.depth++; t.depth > 32 {
			panic(bad("its metadata is nested too deeply"))
		}
		for range n {
			t.skipElement(typ)
		}
		t.depth--
	case thriftMap:
		if n := t.uvarint(); n > 0 {
			types := t.byte()
			if n > uint64(t.left) {
				panic(bad("a map in its metadata is too long"))
			}
			for range n {
				t.skipElement(types >> 4)
				t.skipElement(types & 15)
			}
		}
	case thriftStruct:
		t.fields(func(int, byte) bool { return false })
	default:
		panic(bad("its metadata has a field of type %d", typ))
	}
}

// skipElement skips an element of a list, where a boolean takes a byte.
func (t *thriftReader) skipElement(typ byte) {
	if typ == thriftTrue || typ == thriftFalse {
		t.byte()
		return
	}
	t.skip(typ)
}

// thriftWriter writes Thrift's compact protocol.
type thriftWriter struct {
	out  []byte
	last []int // the id of the last field of each open struct
}

func (w *thriftWriter) begin() { w.last = append(w.last, 0) }

func (w *thriftWriter) end() {
	w.out = append(w.out, 0)
	w.last = w.last[:len(w.last)-1]
}

func (w *thriftWriter) field(id int, typ byte) {
	last := &w.last[len(w.last)-1]
	if delta := id - *last; delta > 0 && delta < 16 {
		w.out = append(w.out, byte(delta)<<4|typ)
	} else {
		w.out = append(w.out, typ)
		w.int(int64(id))
	}
	*last = id
}

func (w *thriftWriter) int(x int64) { w.out = binary.AppendUvarint(w.out, uint64(x)<<1^uint64(x>>63)) }

func (w *thriftWriter) binary(s string) {
	w.out = append(binary.AppendUvarint(w.out, uint64(len(s))), s...)
}

func (w *thriftWriter) list(n int, typ byte) {
	if n < 15 {
		w.out = append(w.out, byte(n)<<4|typ)
		return
	}
	w.out = append(w.out, 0xf0|typ)
	w.out = binary.AppendUvarint(w.out, uint64(n))
}

func (w *thriftWriter) i32(id int, x int) {
	w.field(id, thriftI32)
	w.int(int64(x))
}

func (w *thriftWriter) i64(id int, x int64) {
	w.field(id, thriftI64)
	w.int(x)
}

func (w *thriftWriter) text(id int, s string) {
	w.field(id, thriftBinary)
	w.binary(s)
}

func (w *thriftWriter) bool(id int, b bool) {
	if b {
		w.field(id, thriftTrue)
	} else {
		w.field(id, thriftFalse)
	}
}

// open begins a struct as the field id.
func (w *thriftWriter) open(id int) {
	w.field(id, thriftStruct)
	w.begin()
}

// clampInt makes an int of a number that a file claims.
func clampInt(x int64) int {
	if x < 0 || x > math.MaxInt32 {
		panic(bad("a size of %d", x))
	}
	return int(x)
}
