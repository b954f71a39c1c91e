package model

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"math"
	"strings"
)

// Parquet's own numbers: physical types, converted types, codecs and encodings, as its parquet.thrift has them.
const (
	pqBoolean, pqInt32, pqInt64, pqInt96, pqFloat, pqDouble, pqBytes, pqFixed = 0, 1, 2, 3, 4, 5, 6, 7

	pqUTF8, pqEnum, pqDecimal, pqDate, pqTimeMillis, pqTimeMicros                   = 0, 4, 5, 6, 7, 8
	pqTimestampMillis, pqTimestampMicros, pqUint8, pqUint64, pqInt8, pqWide, pqJSON = 9, 10, 11, 14, 15, 18, 19

	pqPlain, pqPlainDictionary, pqRLE, pqDeltaBinary, pqDeltaLength, pqDeltaBytes, pqRLEDictionary, pqSplit = 0, 2, 3, 5, 6, 7, 8, 9

	parquetMagic = "PAR1"
	maxFooter    = 64 << 20
)

// parquetFile is what the footer of a file says.
type parquetFile struct {
	rows    int64
	columns []parquetColumn // the children of the root; a nested one has its name only
	leaves  int
	groups  []parquetGroup
	arrow   string // the schema that Arrow's writers leave beside Parquet's own
}

// parquetColumn is an element of the schema.
type parquetColumn struct {
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

type parquetGroup struct {
	rows   int64
	chunks []parquetChunk
}

type parquetChunk struct {
	physical   int
	codec      int
	values     int64
	compressed int64
	dataAt     int64
	dictAt     int64
}

// readParquetFooter reads the metadata at the end of a file.
func readParquetFooter(r io.ReaderAt, size int64) (f *parquetFile, err error) {
	defer recoverFault(&err)
	var tail [8]byte
	if size < 12 {
		return nil, badParquet("it has %d bytes", size)
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return nil, badParquet("%v", err)
	}
	if string(tail[4:]) == "PARE" {
		return nil, badInput("the Parquet file is encrypted")
	}
	if string(tail[4:]) != parquetMagic {
		return nil, badParquet("it does not end with %s", parquetMagic)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	if length > size-8 || length > maxFooter {
		return nil, badParquet("its footer of %d bytes is not there", length)
	}
	footer := make([]byte, length)
	if _, err := r.ReadAt(footer, size-8-length); err != nil {
		return nil, badParquet("%v", err)
	}
	f = &parquetFile{}
	t := &thriftReader{r: bytes.NewReader(footer), left: len(footer)}
	var elements []parquetColumn
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

func readSchemaElement(t *thriftReader) parquetColumn {
	c := parquetColumn{converted: -1, physical: -1}
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
var parquetLogical = map[int]string{1: "string", 2: "map", 3: "list", 4: "enum", 5: "decimal", 6: "date", 7: "time", 8: "timestamp",
	10: "integer", 11: "null", 12: "json", 13: "bson", 14: "uuid", 15: "float16", 16: "variant", 17: "geometry", 18: "geography"}

func readLogicalType(t *thriftReader, c *parquetColumn, member int) bool {
	if c.logical = parquetLogical[member]; c.logical == "" {
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

func readRowGroup(t *thriftReader) parquetGroup {
	var g parquetGroup
	t.fields(func(id int, _ byte) bool {
		switch id {
		case 1:
			t.structs(func() {
				var c parquetChunk
				t.fields(func(id int, _ byte) bool {
					if id == 1 {
						panic(badInput("the Parquet file keeps its columns in other files"))
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

func readColumnMeta(t *thriftReader, c *parquetChunk, id int) bool {
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
func (f *parquetFile) flatten(elements []parquetColumn) {
	if len(elements) == 0 {
		panic(badParquet("it has no schema"))
	}
	at := 1
	var walk func(depth int) // over one element and what is below it
	walk = func(depth int) {
		if at >= len(elements) || depth > 64 {
			panic(badParquet("its schema is broken"))
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
			panic(badParquet("its schema is broken"))
		}
		c := elements[at]
		c.leaf = f.leaves
		walk(0)
		f.columns = append(f.columns, c)
	}
	for _, g := range f.groups {
		if len(g.chunks) != f.leaves || g.rows < 0 {
			panic(badParquet("a row group has %d columns, the schema %d", len(g.chunks), f.leaves))
		}
	}
}

// markFactors finds the columns that were factors, or pandas' categories, before they were written.
func (f *parquetFile) markFactors() {
	raw, err := base64.StdEncoding.DecodeString(f.arrow)
	if err != nil || len(raw) == 0 {
		return
	}
	factors := arrowDictionaries(raw)
	for i := range f.columns {
		f.columns[i].factor = factors[f.columns[i].name]
	}
}

// kind gives the type that R has for the column's, and false where it has none.
func (c *parquetColumn) kind() (Kind, bool) {
	if c.children > 0 || c.repeated == 2 {
		return Empty, false
	}
	logical := c.logical
	if logical == "" {
		switch v := c.converted; {
		case v == pqUTF8 || v == pqEnum || v == pqJSON:
			logical = "string"
		case v == pqDecimal:
			logical = "decimal"
		case v == pqDate:
			logical = "date"
		case v == pqTimestampMillis || v == pqTimestampMicros:
			logical, c.unit = "timestamp", map[int]int64{pqTimestampMillis: 1e3, pqTimestampMicros: 1e6}[v]
		case v >= pqUint8 && v <= pqWide:
			logical, c.unsigned = "integer", v <= pqUint64
		case v >= 0:
			return Empty, false
		}
		c.logical = logical
	}
	whole := c.physical == pqInt32 || c.physical == pqInt64
	switch logical {
	case "null":
		return Empty, true
	case "string", "enum", "json":
		if c.factor {
			return Factor, c.physical == pqBytes
		}
		return Text, c.physical == pqBytes
	case "decimal":
		return Double, whole || c.physical == pqFixed || c.physical == pqBytes
	case "date":
		return Day, c.physical == pqInt32
	case "timestamp":
		return Time, c.physical == pqInt64 && c.unit > 0
	case "integer":
		return Integer, whole
	case "float16":
		return Double, c.physical == pqFixed && c.width == 2
	case "":
	default:
		return Empty, false
	}
	switch c.physical {
	case pqBoolean:
		return Logical, true
	case pqInt32, pqInt64:
		return Integer, true
	case pqInt96:
		return Time, true
	case pqFloat, pqDouble:
		return Double, true
	}
	return Empty, false
}

// describe names the column's type in a refusal.
func (c *parquetColumn) describe() string {
	switch {
	case c.repeated == 2 || c.logical == "list" || c.converted == 3:
		return "list"
	case c.logical == "map" || c.converted == 1 || c.converted == 2:
		return "map"
	case c.children > 0:
		return "struct"
	case c.logical != "" && c.logical != "unknown":
		return c.logical
	case c.converted == pqTimeMillis || c.converted == pqTimeMicros:
		return "time"
	}
	return "binary"
}

// parquetFrames gives the rows of a file, page by page.
type parquetFrames struct {
	*sheet
	r     io.ReaderAt
	size  int64
	file  *parquetFile
	which []int // the file's columns that are read
	group int   // the next row group
	left  int64 // rows of the present one that are to come
	pages []*pageReader
}

func openParquet(r io.ReaderAt, size int64, s *sheet) (frames, error) {
	file, err := readParquetFooter(r, size)
	if err != nil {
		return nil, err
	}
	f := &parquetFrames{sheet: s, r: r, size: size, file: file}
	for i := range file.columns {
		c := &file.columns[i]
		if !s.wants(c.name) {
			continue
		}
		kind, ok := c.kind()
		if !ok {
			return nil, refuseType(c.name, c.describe())
		}
		if err := s.add(c.name, kind); err != nil {
			return nil, err
		}
		f.which = append(f.which, i)
	}
	return f, nil
}

// skip passes over the first rows; whole row groups are not read.
func (f *parquetFrames) skip(rows int64) error {
	for rows > 0 {
		if f.left == 0 && f.group < len(f.file.groups) && f.file.groups[f.group].rows <= rows {
			rows -= f.file.groups[f.group].rows
			f.group++
			continue
		}
		n, err := f.next(int(min(rows, 100_000)))
		if err != nil {
			return err
		}
		f.take()
		rows -= int64(n)
	}
	return nil
}

func (f *parquetFrames) next(most int) (rows int, err error) {
	defer recoverFault(&err)
	for f.left == 0 {
		if f.group == len(f.file.groups) {
			return 0, io.EOF
		}
		g := &f.file.groups[f.group]
		f.group++
		f.left, f.pages = g.rows, f.pages[:0]
		for _, which := range f.which {
			c := &f.file.columns[which]
			f.pages = append(f.pages, f.openChunk(c, &g.chunks[c.leaf], g.rows))
		}
	}
	rows = int(min(int64(most), f.left))
	for i, p := range f.pages {
		f.spend(9 * int64(rows))
		for need := rows; need > 0; {
			need -= p.read(i, need)
		}
	}
	f.left -= int64(rows)
	return rows, nil
}

// decimalOf reads a decimal in its big-endian two's complement form.
func decimalOf(b []byte, scale int) float64 {
	x := 0.0
	if len(b) > 0 && b[0] >= 0x80 {
		x = -1
	}
	for _, c := range b {
		x = x*256 + float64(c)
	}
	return x / math.Pow10(scale)
}

// halfOf reads a 16-bit number of IEEE 754.
func halfOf(b []byte) float64 {
	h := binary.LittleEndian.Uint16(b)
	exponent, fraction := int(h>>10&31), float64(h&1023)
	var x float64
	switch exponent {
	case 0:
		x = math.Ldexp(fraction, -24)
	case 31:
		x = math.Inf(1)
		if fraction != 0 {
			x = math.NaN()
		}
	default:
		x = math.Ldexp(1024+fraction, exponent-25)
	}
	if h>>15 == 1 {
		x = -x
	}
	return x
}

// julianOf reads a timestamp of 96 bits: nanoseconds of the day, then the Julian day.
func julianOf(b []byte) float64 {
	day := int64(binary.LittleEndian.Uint32(b[8:])) - 2440588
	return float64(day*86400) + seconds(int64(binary.LittleEndian.Uint64(b)), 1e9)
}

// numberOf gives how a column's whole numbers are read, and how its byte strings are.
func (c *parquetColumn) numberOf() (ofInt func(int64) float64, ofBytes func([]byte) float64) {
	ofInt = func(x int64) float64 { return float64(x) }
	switch {
	case c.logical == "timestamp":
		unit := c.unit
		ofInt = func(x int64) float64 { return seconds(x, unit) }
	case c.logical == "decimal":
		scale := c.scale
		ofInt = func(x int64) float64 { return float64(x) / math.Pow10(scale) }
		ofBytes = func(b []byte) float64 { return decimalOf(b, scale) }
	case c.logical == "float16":
		ofBytes = halfOf
	case c.physical == pqInt96:
		ofBytes = julianOf
	case c.unsigned && c.physical == pqInt32:
		ofInt = func(x int64) float64 { return float64(uint32(x)) }
	case c.unsigned:
		ofInt = func(x int64) float64 { return float64(uint64(x)) }
	}
	return ofInt, ofBytes
}

// ownText copies a text out of a page.
func (f *parquetFrames) ownText(c *Column, b []byte) string {
	f.spend(int64(len(b)) + 16)
	return f.text(c, strings.Clone(string(b)))
}
