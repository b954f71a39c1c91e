package arrow

import (
	"encoding/binary"
	"math"

	"github.com/weir-ml/weir/internal/model/frame"
)

// flat is a table of FlatBuffers, in which Arrow's metadata is written: every offset is checked before it is followed.
// A fault is a panic(*mlflow.Error) that ends in frame.Recover.
type flat struct {
	b  []byte
	at int
}

func bad(format string, args ...any) error {
	return frame.Refuse("the input is not Arrow's IPC format: "+format, args...)
}

func (t flat) need(at, n int) []byte {
	if at < 0 || n < 0 || at > len(t.b) || n > len(t.b)-at {
		panic(bad("its metadata is broken"))
	}
	return t.b[at : at+n]
}

func (t flat) uint32At(at int) int { return int(binary.LittleEndian.Uint32(t.need(at, 4))) }

// root gives the table that a buffer begins with.
func root(b []byte) flat {
	t := flat{b: b}
	t.at = t.uint32At(0)
	return t
}

// slot gives where the value of field i is; 0 when the field is absent.
func (t flat) slot(i int) int {
	vtable := t.at - int(int32(t.uint32At(t.at)))
	size := int(binary.LittleEndian.Uint16(t.need(vtable, 2)))
	if 4+2*i+2 > size {
		return 0
	}
	offset := int(binary.LittleEndian.Uint16(t.need(vtable+4+2*i, 2)))
	if offset == 0 {
		return 0
	}
	return t.at + offset
}

// int gives a field of size bytes, or what it is when it is absent.
func (t flat) int(i, size int, absent int64) int64 {
	at := t.slot(i)
	if at == 0 {
		return absent
	}
	switch b := t.need(at, size); size {
	case 1:
		return int64(b[0])
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	default:
		return int64(binary.LittleEndian.Uint64(b))
	}
}

// table gives the table that field i refers to.
func (t flat) table(i int) (flat, bool) {
	at := t.slot(i)
	if at == 0 {
		return flat{}, false
	}
	return flat{t.b, at + t.uint32At(at)}, true
}

// vector gives where the n elements of field i begin, which take size bytes each.
func (t flat) vector(i, size int) (at, n int) {
	slot := t.slot(i)
	if slot == 0 {
		return 0, 0
	}
	at = slot + t.uint32At(slot)
	n = t.uint32At(at)
	if n > len(t.b)/size {
		panic(bad("its metadata is broken"))
	}
	t.need(at+4, n*size)
	return at + 4, n
}

func (t flat) text(i int) string {
	at, n := t.vector(i, 1)
	return string(t.need(at, n))
}

// tables calls each for the tables of a vector.
func (t flat) tables(i int, each func(flat)) {
	at, n := t.vector(i, 4)
	for k := range n {
		each(flat{t.b, at + 4*k + t.uint32At(at+4*k)})
	}
}

// pairs gives a vector of structs of two 64-bit numbers, each in the range of what can be held in memory.
func (t flat) pairs(i int) [][2]int {
	at, n := t.vector(i, 16)
	out := make([][2]int, n)
	for k := range out {
		for half := range 2 {
			x := int64(binary.LittleEndian.Uint64(t.need(at+16*k+8*half, 8)))
			if x > math.MaxInt32*8 || x < -1 {
				panic(bad("its metadata is broken"))
			}
			out[k][half] = int(x)
		}
	}
	return out
}

// flatWriter builds a buffer from its end to its beginning, as FlatBuffers are: what is referred to is written first.
// Positions are counted from the end.
type flatWriter struct {
	b []byte // reversed: the last byte of the buffer comes first
}

func (w *flatWriter) pos() int { return len(w.b) }

// pad makes the position a multiple of align after n more bytes.
func (w *flatWriter) pad(n, align int) {
	for (len(w.b)+n)%align != 0 {
		w.b = append(w.b, 0)
	}
}

// put writes the low size bytes of x, so that they read little-endian.
func (w *flatWriter) put(x uint64, size int) {
	for k := size - 1; k >= 0; k-- {
		w.b = append(w.b, byte(x>>(8*k)))
	}
}

func (w *flatWriter) text(s string) int {
	w.pad(len(s)+1, 4)
	w.b = append(w.b, 0)
	for i := len(s) - 1; i >= 0; i-- {
		w.b = append(w.b, s[i])
	}
	w.put(uint64(len(s)), 4)
	return w.pos()
}

// refs writes a vector of references.
func (w *flatWriter) refs(to []int) int {
	w.pad(0, 4)
	for i := len(to) - 1; i >= 0; i-- {
		w.put(uint64(w.pos()+4-to[i]), 4)
	}
	w.put(uint64(len(to)), 4)
	return w.pos()
}

// pairs writes a vector of structs of two 64-bit numbers.
func (w *flatWriter) pairs(v [][2]int) int {
	w.pad(0, 8)
	for i := len(v) - 1; i >= 0; i-- {
		w.put(uint64(v[i][1]), 8)
		w.put(uint64(v[i][0]), 8)
	}
	w.put(uint64(len(v)), 4)
	return w.pos()
}

// flatField is a field of a table that is written: a number of size bytes, or a reference.
type flatField struct {
	id   int
	size int // 0 for a reference
	x    int
}

// table writes a table with its own vtable.
func (w *flatWriter) table(fields ...flatField) int {
	end := w.pos()
	last := -1
	slots := map[int]int{}
	for _, f := range fields {
		last = max(last, f.id)
		if f.size == 0 {
			w.pad(4, 4)
			w.put(uint64(w.pos()+4-f.x), 4)
		} else {
			w.pad(f.size, f.size)
			w.put(uint64(f.x), f.size)
		}
		slots[f.id] = w.pos()
	}
	w.pad(4, 4)
	size := w.pos() + 4 - end
	start := w.pos() + 4
	vtable := 4 + 2*(last+1)
	w.put(uint64(vtable), 4) // the vtable comes right before the table
	for id := last; id >= 0; id-- {
		offset := 0
		if slots[id] > 0 {
			offset = start - slots[id]
		}
		w.put(uint64(offset), 2)
	}
	w.put(uint64(size), 2)
	w.put(uint64(vtable), 2)
	return start
}

// finish gives the buffer with the table as its root, padded to a multiple of eight bytes.
func (w *flatWriter) finish(table int) []byte {
	w.pad(4, 8)
	w.put(uint64(w.pos()+4-table), 4)
	out := make([]byte, len(w.b))
	for i, b := range w.b {
		out[len(out)-1-i] = b
	}
	return out
}
