package arrow

import (
	"encoding/binary"
	"testing"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/frame/frametest"
)

// stream is a stream that begins with the schema that fields gives the vector of.
func stream(fields func(*flatWriter) int) *writer {
	a := &writer{}
	a.message(messageSchema, nil, func(f *flatWriter) int { return f.table(flatField{1, 0, fields(f)}) })
	return a
}

// claim makes the vector that was written last say that it has n elements.
func (w *flatWriter) claim(n uint32) {
	binary.BigEndian.PutUint32(w.b[len(w.b)-4:], n) // the buffer is reversed
}

// double writes a field of doubles with the given vector of children.
func (w *flatWriter) double(children int) int {
	name := w.text("x")
	typ := w.table(flatField{0, 2, 2})
	return w.table(flatField{5, 0, children}, flatField{3, 0, typ}, flatField{0, 0, name}, flatField{1, 1, 1}, flatField{2, 1, typeFloat})
}

// A few bytes that claim much are refused before memory is taken. Each of these makes arrow-go 18.8 take gigabytes, or all
// there is: docs/adr/0005 has the numbers.
func TestBodiesThatClaimMuch(t *testing.T) {
	bodies := map[string]struct {
		body []byte
		want string
	}{
		"metadata of 2 GB":   {[]byte("\xff\xff\xff\xff\xff\xff\xff\x7f"), "metadata of 2147483647 bytes"},
		"a billion fields":   {manyFields(), "metadata is broken"},
		"a billion children": {manyChildren(), "metadata is broken"},
		"shared children":    {sharedChildren(), "too many fields"},
		"a body of 1 TB":     {longBody(), "when they are unpacked"},
		"a buffer of 1 TB":   {packed(1<<40, nil), "when they are unpacked"},
		"a window of 512 MB": {packed(8000, wideWindow(8000)), "cannot be unpacked"},
	}
	for name, c := range bodies {
		var err error
		taken := frametest.Allocated(func() { _, _, err = read(c.body, 256<<20) })
		frametest.Refused(t, name, err, c.want)
		if taken > 32<<20 { // 100,000 fields are read before it is clear that there are too many
			t.Errorf("%s: %d bytes take %d MiB", name, len(c.body), taken>>20)
		}
	}
}

func manyFields() []byte {
	return stream(func(f *flatWriter) int {
		at := f.refs(nil)
		f.claim(1 << 30)
		return at
	}).out
}

func manyChildren() []byte {
	return stream(func(f *flatWriter) int {
		children := f.refs(nil)
		f.claim(1 << 30)
		return f.refs([]int{f.double(children)})
	}).out
}

// sharedChildren is 30 fields, of which each has the next one as its child twice.
func sharedChildren() []byte {
	return stream(func(f *flatWriter) int {
		field := f.double(f.refs(nil))
		for range 30 {
			field = f.double(f.refs([]int{field, field}))
		}
		return f.refs([]int{field})
	}).out
}

func oneColumn(f *flatWriter) int { return f.refs([]int{f.double(f.refs(nil))}) }

func longBody() []byte {
	a := stream(oneColumn)
	f := &flatWriter{}
	batch := f.table(flatField{0, 8, 1})
	head := f.finish(f.table(flatField{3, 8, 1 << 40}, flatField{2, 0, batch}, flatField{0, 2, 4}, flatField{1, 1, messageRecordBatch}))
	a.out = binary.LittleEndian.AppendUint32(append(a.out, 0xff, 0xff, 0xff, 0xff), uint32(len(head)))
	return append(a.out, head...)
}

// packed is a batch of 1000 doubles whose buffer says that it unpacks to size bytes.
func packed(size uint64, content []byte) []byte {
	a := stream(oneColumn)
	buffer := append(binary.LittleEndian.AppendUint64(nil, size), content...)
	a.message(messageRecordBatch, buffer, func(f *flatWriter) int {
		zstd := f.table(flatField{0, 1, 1})
		buffers := f.pairs([][2]int{{0, 0}, {0, len(buffer)}})
		nodes := f.pairs([][2]int{{1000, 0}})
		return f.table(flatField{3, 0, zstd}, flatField{2, 0, buffers}, flatField{1, 0, nodes}, flatField{0, 8, 1000})
	})
	return a.out
}

// wideWindow is a frame of Zstandard with one repeated byte that asks for a window of 512 MiB.
func wideWindow(size uint32) []byte {
	block := 1 | 1<<1 | size<<3 // the last one, a run
	return []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 19 << 3, byte(block), byte(block >> 8), byte(block >> 16), 64}
}

// The same frame with a window that its content needs is read.
func TestPackedRunIsRead(t *testing.T) {
	t.Parallel()
	frameOf := wideWindow(8000)
	frameOf[5] = 3 << 3 // 8 KiB
	columns, rows, err := read(packed(8000, frameOf), 1<<20)
	if err != nil || rows != 1000 || columns[0].Kind != frame.Double || columns[0].Num[999] != columns[0].Num[0] {
		t.Errorf("%d rows, %v", rows, err)
	}
}
