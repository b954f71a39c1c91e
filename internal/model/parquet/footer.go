package parquet

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"

	"github.com/weir-ml/weir/internal/model/arrow"
	"github.com/weir-ml/weir/internal/model/frame"
)

// Parquet's own numbers: physical types, converted types, codecs and encodings, as its parquet.thrift has them.
const (
	typeBoolean, typeInt32, typeInt64, typeInt96, typeFloat, typeDouble, typeBytes, typeFixed = 0, 1, 2, 3, 4, 5, 6, 7

	convertedUTF8, convertedEnum, convertedDecimal, convertedDate, convertedTimeMillis, convertedTimeMicros                          = 0, 4, 5, 6, 7, 8
	convertedTimestampMillis, convertedTimestampMicros, convertedUint8, convertedUint64, convertedInt8, convertedWide, convertedJSON = 9, 10, 11, 14, 15, 18, 19

	encodingPlain, encodingPlainDictionary, encodingRLE, encodingDeltaBinary, encodingDeltaLength, encodingDeltaBytes, encodingRLEDictionary, encodingSplit = 0, 2, 3, 5, 6, 7, 8, 9

	magic     = "PAR1"
	maxFooter = 64 << 20
)

// fileMeta is what the footer of a file says.
type fileMeta struct {
	rows    int64
	columns []column // the children of the root; a nested one has its name only
	leaves  int
	groups  []rowGroup
	arrow   string // the schema that Arrow's writers leave beside Parquet's own
}

// column is an element of the schema.
type column struct {
	name      string
	physical  int
	width     int // of a fixed-length value
	repeated  int // 0 required, 1 optional, 2 repeated
	children  int
	converted int // -1 for none
	logical   string
	unit      int64 // of a time: parts of a second
	scale     int
	unsigned  bool
	leaf      int // its place among the chunks of a row group
	factor    bool
}

type rowGroup struct {
	rows   int64
	chunks []chunk
}

type chunk struct {
	physical   int
	codec      int
	values     int64
	compressed int64
	dataAt     int64
	dictAt     int64
}

// readFooter reads the metadata at the end of a file.
func readFooter(r io.ReaderAt, size int64) (f *fileMeta, err error) {
	defer frame.Recover(&err)
	var tail [8]byte
	if size < 12 {
		return nil, bad("it has %d bytes", size)
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return nil, bad("%v", err)
	}
	if string(tail[4:]) == "PARE" {
		return nil, frame.Refuse("the Parquet file is encrypted")
	}
	if string(tail[4:]) != magic {
		return nil, bad("it does not end with %s", magic)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	if length > size-8 || length > maxFooter {
		return nil, bad("its footer of %d bytes is not there", length)
	}
	footer := make([]byte, length)
	if _, err := r.ReadAt(footer, size-8-length); err != nil {
		return nil, bad("%v", err)
	}
	f = &fileMeta{}
	t := &thriftReader{r: bytes.NewReader(footer), left: len(footer)}
	var elements []column
	t.fields(func(id int, _ byte) bool {
		switch id {
		case 2:
			t.structs(func() { elements = append(elements, readSchemaElement(t)) })
		case 3:
			f.rows = t.int()
		case 4:
			t.structs(func() { f.groups = append(f.groups, readRowGroup(t)) })
		case 5:
			t.structs(func() {
				var key, value string
				t.fields(func(id int, _ byte) bool {
					switch id {
					case 1:
						key = t.binary()
					case 2:
						value = t.binary()
					default:
						return false
					}
					return true
				})
				if key == "ARROW:schema" {
					f.arrow = value
				}
			})
		default:
			return false
		}
		return true
	})
	f.flatten(elements)
	f.markFactors()
	return f, nil
}

func readSchemaElement(t *thriftReader) column {
	c := column{converted: -1, physical: -1}
	t.fields(func(id int, _ byte) bool {
		switch id {
		case 1:
			c.physical = clampInt(t.int())
		case 2:
			c.width = clampInt(t.int())
		case 3:
			c.repeated = clampInt(t.int())
		case 4:
			c.name = t.binary()
		case 5:
			c.children = clampInt(t.int())
		case 6:
			c.converted = clampInt(t.int())
		case 7:
			c.scale = clampInt(t.int())
		case 10:
			t.fields(func(id int, _ byte) bool { return readLogicalType(t, &c, id) })
		default:
			return false
		}
		return true
	})
	return c
}

// The members of LogicalType.
var logicalTypes = map[int]string{1: "string", 2: "map", 3: "list", 4: "enum", 5: "decimal", 6: "date", 7: "time", 8: "timestamp",
	10: "integer", 11: "null", 12: "json", 13: "bson", 14: "uuid", 15: "float16", 16: "variant", 17: "geometry", 18: "geography"}

func readLogicalType(t *thriftReader, c *column, member int) bool {
	if c.logical = logicalTypes[member]; c.logical == "" {
		c.logical = "unknown"
	}
	t.fields(func(id int, typ byte) bool {
		switch {
		case c.logical == "decimal" && id == 1:
			c.scale = clampInt(t.int())
		case (c.logical == "time" || c.logical == "timestamp") && id == 2:
			t.fields(func(id int, _ byte) bool {
				c.unit = map[int]int64{1: 1e3, 2: 1e6, 3: 1e9}[id]
				return false
			})
		case c.logical == "integer" && id == 2:
			c.unsigned = typ == thriftFalse
			return false
		default:
			return false
		}
		return true
	})
	return true
}

func readRowGroup(t *thriftReader) rowGroup {
	var g rowGroup
	t.fields(func(id int, _ byte) bool {
		switch id {
		case 1:
			t.structs(func() {
				var c chunk
				t.fields(func(id int, _ byte) bool {
					if id == 1 {
						panic(frame.Refuse("the Parquet file keeps its columns in other files"))
					}
					if id == 3 {
						t.fields(func(id int, _ byte) bool { return readColumnMeta(t, &c, id) })
						return true
					}
					return false
				})
				g.chunks = append(g.chunks, c)
			})
		case 3:
			g.rows = t.int()
		default:
			return false
		}
		return true
	})
	return g
}

func readColumnMeta(t *thriftReader, c *chunk, id int) bool {
	switch id {
	case 1:
		c.physical = clampInt(t.int())
	case 4:
		c.codec = clampInt(t.int())
	case 5:
		c.values = t.int()
	case 7:
		c.compressed = t.int()
	case 9:
		c.dataAt = t.int()
	case 11:
		c.dictAt = t.int()
	default:
		return false
	}
	return true
}

// flatten finds the root's children, and how many leaves stand before each.
func (f *fileMeta) flatten(elements []column) {
	if len(elements) == 0 {
		panic(bad("it has no schema"))
	}
	at := 1
	var walk func(depth int) // over one element and what is below it
	walk = func(depth int) {
		if at >= len(elements) || depth > 64 {
			panic(bad("its schema is broken"))
		}
		e := &elements[at]
		at++
		if e.children == 0 {
			f.leaves++
		}
		for range e.children {
			walk(depth + 1)
		}
	}
	for range elements[0].children {
		if at >= len(elements) {
			panic(bad("its schema is broken"))
		}
		c := elements[at]
		c.leaf = f.leaves
		walk(0)
		f.columns = append(f.columns, c)
	}
	for _, g := range f.groups {
		if len(g.chunks) != f.leaves || g.rows < 0 {
			panic(bad("a row group has %d columns, the schema %d", len(g.chunks), f.leaves))
		}
	}
}

// markFactors finds the columns that were factors, or pandas' categories, before they were written.
func (f *fileMeta) markFactors() {
	raw, err := base64.StdEncoding.DecodeString(f.arrow)
	if err != nil || len(raw) == 0 {
		return
	}
	factors := arrow.Factors(raw)
	for i := range f.columns {
		f.columns[i].factor = factors[f.columns[i].name]
	}
}
