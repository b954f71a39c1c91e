package parquet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/weir-ml/weir/internal/model/frame/frametest"
)

// chunkOf is a file with a single optional column "x" of 1000 doubles in the given pages.
func chunkOf(codec int, pages []byte) []byte {
	t := &thriftWriter{}
	t.begin()
	t.i32(1, 2)
	t.field(2, thriftList)
	t.list(2, thriftStruct)
	t.begin()
	t.text(4, "schema")
	t.i32(5, 1)
	t.end()
	t.begin()
	t.i32(1, typeDouble)
	t.i32(3, 1)
	t.text(4, "x")
	t.end()
	t.i64(3, 1000)
	t.field(4, thriftList)
	t.list(1, thriftStruct)
	t.begin()
	t.field(1, thriftList)
	t.list(1, thriftStruct)
	t.begin()
	t.i64(2, 4)
	t.open(3)
	t.i32(1, typeDouble)
	t.field(2, thriftList)
	t.list(1, thriftI32)
	t.int(encodingPlain)
	t.field(3, thriftList)
	t.list(1, thriftBinary)
	t.binary("x")
	t.i32(4, codec)
	t.i64(5, 1000)
	t.i64(6, int64(len(pages)))
	t.i64(7, int64(len(pages)))
	t.i64(9, 4)
	t.end()
	t.end()
	t.i64(2, int64(len(pages)))
	t.i64(3, 1000)
	t.end()
	t.end()
	return fileOf(pages, t.out)
}

func fileOf(pages, footer []byte) []byte {
	out := append(append([]byte(magic), pages...), footer...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(footer))), magic...)
}

// page is a page of version 1 that says it unpacks to size bytes with values values in them.
func page(typ, encoding, values, size int, body []byte) []byte {
	t := &thriftWriter{}
	t.begin()
	t.i32(1, typ)
	t.i32(2, size)
	t.i32(3, len(body))
	if typ == pageDictionary {
		t.open(7)
		t.i32(1, values)
		t.i32(2, encoding)
	} else {
		t.open(5)
		t.i32(1, values)
		t.i32(2, encoding)
		t.i32(3, encodingRLE)
		t.i32(4, encodingRLE)
	}
	t.end()
	t.end()
	return append(t.out, body...)
}

// run is a run of n times the number 1, as the levels and the codes of a dictionary are written.
func run(n uint64) []byte { return append(binary.AppendUvarint(nil, n<<1), 1) }

// levels are runs with their length before them.
func levels(runs []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(runs))), runs...)
}

// longRun is a page whose run of codes goes on for 2^31-1 values where 1000 are wanted.
func longRun() []byte {
	values := make([]byte, 16) // of a dictionary of two zeros
	pages := page(pageDictionary, encodingPlain, 2, len(values), values)
	body := append(append(levels(run(1000)), 1), run(1<<31-1)...)
	return chunkOf(codecNone, append(pages, page(pageData, encodingRLEDictionary, 1000, len(body), body)...))
}

// A few bytes that claim much are refused before memory is taken. Many of these make parquet-go 0.32 take gigabytes, or all
// there is: docs/adr/0005 has the numbers.
func TestFilesThatClaimMuch(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"a footer of 2 GB":        {[]byte("PAR1PAR1\xff\xff\xff\x7fPAR1"), "footer of 2147483647 bytes"},
		"a billion columns":       {fileOf(nil, []byte{0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7}), "a list in its metadata is too long"},
		"a name of 2 GB":          {fileOf(nil, []byte{0x15, 2, 0x19, 0x1c, 0x48, 0xff, 0xff, 0xff, 0xff, 7}), "a text in its metadata is too long"},
		"a page of 2 GB":          {chunkOf(codecSnappy, page(pageData, encodingPlain, 1000, 1<<31-1, snappy.Encode(nil, []byte("x")))), "when they are unpacked"},
		"a run that is not there": {chunkOf(codecNone, page(pageData, encodingPlain, 1000, 6, levels([]byte{0xd0, 0x0f}))), "a run of values is shorter"},
		"broken LZ4":              {chunkOf(codecLZ4Raw, page(pageData, encodingPlain, 1000, 42, bytes.Repeat([]byte{0xf0}, 42))), "cannot be unpacked"},
		"too many values":         {chunkOf(codecNone, page(pageData, encodingPlain, 1<<31-1, 0, nil)), "more values than rows"},
	} {
		var err error
		taken := frametest.Allocated(func() { _, _, err = read(c.body, 256<<20) })
		frametest.Refused(t, name, err, c.want)
		if taken > 4<<20 {
			t.Errorf("%s: %d bytes take %d MiB", name, len(c.body), taken>>20)
		}
	}
}

// What a run has more than its page wants is not unpacked.
func TestLongRunIsReadAsFarAsWanted(t *testing.T) {
	taken := frametest.Allocated(func() {
		columns, rows, err := read(longRun(), 256<<20)
		if err != nil || rows != 1000 || columns[0].Len() != 1000 {
			t.Errorf("%d rows, %v", rows, err)
		}
	})
	if taken > 4<<20 {
		t.Errorf("%d MiB are taken", taken>>20)
	}
}
