package arrow

import (
	"github.com/weir-ml/weir/internal/model/frame"
)

// The types of a field and of a message, as Arrow's Schema.fbs and Message.fbs have them.
const (
	typeNull, typeInt, typeFloat, typeBinary, typeUtf8, typeBool, typeDecimal, typeDate, typeTime = 1, 2, 3, 4, 5, 6, 7, 8, 9
	typeTimestamp, typeInterval, typeList, typeStruct, typeUnion, typeFixedBinary, typeFixedList  = 10, 11, 12, 13, 14, 15, 16
	typeMap, typeDuration, typeLargeBinary, typeLargeUtf8, typeLargeList, typeRunEnds             = 17, 18, 19, 20, 21, 22
	typeBinaryView, typeUtf8View, typeListView, typeLargeListView                                 = 23, 24, 25, 26

	messageSchema, messageDictionaryBatch, messageRecordBatch = 1, 2, 3

	magic   = "ARROW1"
	maxHead = 16 << 20
)

var typeNames = map[int]string{typeNull: "null", typeInt: "int", typeFloat: "float", typeBinary: "binary", typeUtf8: "string", typeBool: "bool",
	typeDecimal: "decimal", typeDate: "date", typeTime: "time", typeTimestamp: "timestamp", typeInterval: "interval", typeList: "list", typeStruct: "struct",
	typeUnion: "union", typeFixedBinary: "binary", typeFixedList: "list", typeMap: "map", typeDuration: "duration", typeLargeBinary: "binary",
	typeLargeUtf8: "string", typeLargeList: "list", typeRunEnds: "run-end encoded", typeBinaryView: "binary", typeUtf8View: "string",
	typeListView: "list", typeLargeListView: "list"}

// schemaField is a field of a schema.
type schemaField struct {
	name     string
	typ      int
	width    int // bits of a number, bytes of a fixed-size value
	signed   bool
	unit     int
	scale    int
	mode     int // of a union
	children []schemaField
	coded    bool // its values are in the dictionary id, and what comes in batches are indexes of the type index
	id       int64
	index    *schemaField
}

// readSchema reads the fields of a schema message's header.
func readSchema(t flat) []schemaField {
	if t.int(0, 2, 0) != 0 {
		panic(frame.Refuse("the Arrow data are big-endian; write it little-endian"))
	}
	var out []schemaField
	seen := 0
	t.tables(1, func(f flat) { out = append(out, readField(f, 0, &seen)) })
	return out
}

func readField(t flat, depth int, seen *int) schemaField {
	// A few bytes may refer to each other until they describe more fields than there are atoms.
	if *seen++; *seen > frame.MaxColumns || depth > 32 {
		panic(bad("its schema has too many fields"))
	}
	f := schemaField{name: t.text(0), typ: int(t.int(2, 1, 0))}
	if typ, ok := t.table(3); ok {
		f.readType(typ)
	}
	t.tables(5, func(c flat) { f.children = append(f.children, readField(c, depth+1, seen)) })
	if d, ok := t.table(4); ok {
		f.coded, f.id = true, d.int(0, 8, 0)
		f.index = &schemaField{typ: typeInt, width: 32, signed: true}
		if typ, ok := d.table(1); ok {
			f.index.readType(typ)
		}
	}
	return f
}

func (f *schemaField) readType(t flat) {
	switch f.typ {
	case typeInt:
		f.width, f.signed = int(t.int(0, 4, 0)), t.int(1, 1, 0) != 0
	case typeFloat:
		f.width = 16 << min(max(t.int(0, 2, 0), 0), 2)
	case typeDecimal:
		f.scale, f.width = int(t.int(1, 4, 0)), int(t.int(2, 4, 128))
	case typeDate:
		f.unit = int(t.int(0, 2, 1))
		f.width = 32 << min(max(f.unit, 0), 1)
	case typeTimestamp:
		f.unit, f.width = int(t.int(0, 2, 0)), 64
	case typeFixedBinary:
		f.width = int(t.int(0, 4, 0))
	case typeUnion:
		f.mode = int(t.int(0, 2, 0))
	}
}

// kind gives the type that R has for the field's, and false for those that it has none for.
func (f *schemaField) kind() (frame.Kind, bool) {
	switch f.typ {
	case typeNull:
		return frame.Empty, !f.coded
	case typeBool:
		return frame.Logical, !f.coded
	case typeInt:
		return frame.Integer, f.width == 8 || f.width == 16 || f.width == 32 || f.width == 64
	case typeFloat:
		return frame.Double, true
	case typeDecimal:
		return frame.Double, f.width == 32 || f.width == 64 || f.width == 128 || f.width == 256
	case typeUtf8, typeLargeUtf8, typeUtf8View:
		if f.coded {
			return frame.Factor, true
		}
		return frame.Text, true
	case typeDate:
		return frame.Day, f.unit == 0 || f.unit == 1
	case typeTimestamp:
		return frame.Time, f.unit >= 0 && f.unit <= 3
	}
	return frame.Empty, false
}
