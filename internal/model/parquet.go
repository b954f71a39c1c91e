package model

import (
	"encoding/binary"
	"io"
	"math"
	"strings"
)

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
