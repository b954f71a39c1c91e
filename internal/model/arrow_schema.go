package model

// The types of a field and of a message, as Arrow's Schema.fbs and Message.fbs have them.
const (
	arNull, arInt, arFloat, arBinary, arUtf8, arBool, arDecimal, arDate, arTime    = 1, 2, 3, 4, 5, 6, 7, 8, 9
	arTimestamp, arInterval, arList, arStruct, arUnion, arFixedBinary, arFixedList = 10, 11, 12, 13, 14, 15, 16
	arMap, arDuration, arLargeBinary, arLargeUtf8, arLargeList, arRunEnds          = 17, 18, 19, 20, 21, 22
	arBinaryView, arUtf8View, arListView, arLargeListView                          = 23, 24, 25, 26

	arSchema, arDictionaryBatch, arRecordBatch = 1, 2, 3

	arrowMagic   = "ARROW1"
	maxArrowHead = 16 << 20
)

var arrowNames = map[int]string{arNull: "null", arInt: "int", arFloat: "float", arBinary: "binary", arUtf8: "string", arBool: "bool",
	arDecimal: "decimal", arDate: "date", arTime: "time", arTimestamp: "timestamp", arInterval: "interval", arList: "list", arStruct: "struct",
	arUnion: "union", arFixedBinary: "binary", arFixedList: "list", arMap: "map", arDuration: "duration", arLargeBinary: "binary",
	arLargeUtf8: "string", arLargeList: "list", arRunEnds: "run-end encoded", arBinaryView: "binary", arUtf8View: "string",
	arListView: "list", arLargeListView: "list"}

// arrowField is a field of a schema.
type arrowField struct {
	name     string
	typ      int
	width    int // bits of a number, bytes of a fixed-size value
	signed   bool
	unit     int
	scale    int
	mode     int // of a union
	children []arrowField
	coded    bool // its values are in the dictionary id, and what comes in batches are indexes of the type index
	id       int64
	index    *arrowField
}

// readArrowSchema reads the fields of a schema message's header.
func readArrowSchema(t flat) []arrowField {
	if t.int(0, 2, 0) != 0 {
		panic(badInput("the Arrow data are big-endian; write it little-endian"))
	}
	var out []arrowField
	seen := 0
	t.tables(1, func(f flat) { out = append(out, readArrowField(f, 0, &seen)) })
	return out
}

func readArrowField(t flat, depth int, seen *int) arrowField {
	// A few bytes may refer to each other until they describe more fields than there are atoms.
	if *seen++; *seen > maxColumns || depth > 32 {
		panic(badArrow("its schema has too many fields"))
	}
	f := arrowField{name: t.text(0), typ: int(t.int(2, 1, 0))}
	if typ, ok := t.table(3); ok {
		f.readType(typ)
	}
	t.tables(5, func(c flat) { f.children = append(f.children, readArrowField(c, depth+1, seen)) })
	if d, ok := t.table(4); ok {
		f.coded, f.id = true, d.int(0, 8, 0)
		f.index = &arrowField{typ: arInt, width: 32, signed: true}
		if typ, ok := d.table(1); ok {
			f.index.readType(typ)
		}
	}
	return f
}

func (f *arrowField) readType(t flat) {
	switch f.typ {
	case arInt:
		f.width, f.signed = int(t.int(0, 4, 0)), t.int(1, 1, 0) != 0
	case arFloat:
		f.width = 16 << min(max(t.int(0, 2, 0), 0), 2)
	case arDecimal:
		f.scale, f.width = int(t.int(1, 4, 0)), int(t.int(2, 4, 128))
	case arDate:
		f.unit = int(t.int(0, 2, 1))
		f.width = 32 << min(max(f.unit, 0), 1)
	case arTimestamp:
		f.unit, f.width = int(t.int(0, 2, 0)), 64
	case arFixedBinary:
		f.width = int(t.int(0, 4, 0))
	case arUnion:
		f.mode = int(t.int(0, 2, 0))
	}
}

// kind gives the type that R has for the field's, and false for those that it has none for.
func (f *arrowField) kind() (Kind, bool) {
	switch f.typ {
	case arNull:
		return Empty, !f.coded
	case arBool:
		return Logical, !f.coded
	case arInt:
		return Integer, f.width == 8 || f.width == 16 || f.width == 32 || f.width == 64
	case arFloat:
		return Double, true
	case arDecimal:
		return Double, f.width == 32 || f.width == 64 || f.width == 128 || f.width == 256
	case arUtf8, arLargeUtf8, arUtf8View:
		if f.coded {
			return Factor, true
		}
		return Text, true
	case arDate:
		return Day, f.unit == 0 || f.unit == 1
	case arTimestamp:
		return Time, f.unit >= 0 && f.unit <= 3
	}
	return Empty, false
}
