package parquet

import (
	"encoding/binary"
	"math"

	"github.com/weir-ml/weir/internal/model/frame"
)

// kind gives the type that R has for the column's, and false where it has none.
func (c *column) kind() (frame.Kind, bool) {
	if c.children > 0 || c.repeated == 2 {
		return frame.Empty, false
	}
	logical := c.logical
	if logical == "" {
		switch v := c.converted; {
		case v == convertedUTF8 || v == convertedEnum || v == convertedJSON:
			logical = "string"
		case v == convertedDecimal:
			logical = "decimal"
		case v == convertedDate:
			logical = "date"
		case v == convertedTimestampMillis || v == convertedTimestampMicros:
			logical, c.unit = "timestamp", map[int]int64{convertedTimestampMillis: 1e3, convertedTimestampMicros: 1e6}[v]
		case v >= convertedUint8 && v <= convertedWide:
			logical, c.unsigned = "integer", v <= convertedUint64
		case v >= 0:
			return frame.Empty, false
		}
		c.logical = logical
	}
	whole := c.physical == typeInt32 || c.physical == typeInt64
	switch logical {
	case "null":
		return frame.Empty, true
	case "string", "enum", "json":
		if c.factor {
			return frame.Factor, c.physical == typeBytes
		}
		return frame.Text, c.physical == typeBytes
	case "decimal":
		return frame.Double, whole || c.physical == typeFixed || c.physical == typeBytes
	case "date":
		return frame.Day, c.physical == typeInt32
	case "timestamp":
		return frame.Time, c.physical == typeInt64 && c.unit > 0
	case "integer":
		return frame.Integer, whole
	case "float16":
		return frame.Double, c.physical == typeFixed && c.width == 2
	case "":
	default:
		return frame.Empty, false
	}
	switch c.physical {
	case typeBoolean:
		return frame.Logical, true
	case typeInt32, typeInt64:
		return frame.Integer, true
	case typeInt96:
		return frame.Time, true
	case typeFloat, typeDouble:
		return frame.Double, true
	}
	return frame.Empty, false
}

// describe names the column's type in a refusal.
func (c *column) describe() string {
	switch {
	case c.repeated == 2 || c.logical == "list" || c.converted == 3:
		return "list"
	case c.logical == "map" || c.converted == 1 || c.converted == 2:
		return "map"
	case c.children > 0:
		return "struct"
	case c.logical != "" && c.logical != "unknown":
		return c.logical
	case c.converted == convertedTimeMillis || c.converted == convertedTimeMicros:
		return "time"
	}
	return "binary"
}

// julianOf reads a timestamp of 96 bits: nanoseconds of the day, then the Julian day.
func julianOf(b []byte) float64 {
	day := int64(binary.LittleEndian.Uint32(b[8:])) - 2440588
	return float64(day*86400) + frame.Seconds(int64(binary.LittleEndian.Uint64(b)), 1e9)
}

// numberOf gives how a column's whole numbers are read, and how its byte strings are.
func (c *column) numberOf() (ofInt func(int64) float64, ofBytes func([]byte) float64) {
	ofInt = func(x int64) float64 { return float64(x) }
	switch {
	case c.logical == "timestamp":
		unit := c.unit
		ofInt = func(x int64) float64 { return frame.Seconds(x, unit) }
	case c.logical == "decimal":
		scale := c.scale
		ofInt = func(x int64) float64 { return float64(x) / math.Pow10(scale) }
		ofBytes = func(b []byte) float64 { return frame.Decimal(b, scale) }
	case c.logical == "float16":
		ofBytes = frame.Half
	case c.physical == typeInt96:
		ofBytes = julianOf
	case c.unsigned && c.physical == typeInt32:
		ofInt = func(x int64) float64 { return float64(uint32(x)) }
	case c.unsigned:
		ofInt = func(x int64) float64 { return float64(uint64(x)) }
	}
	return ofInt, ofBytes
}
