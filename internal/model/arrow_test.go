package model

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

// mediaOf gives the media type of a file of typed columns.
func mediaOf(path string) string {
	return map[string]string{".parquet": MediaParquet, ".arrow": MediaArrowFile, ".arrows": MediaArrowStream}[filepath.Ext(path)]
}

// The rows of testdata/columns/make.py, as texts.
func columnsOfMakePy(row int) map[string]string {
	want := map[string]string{"none": "empty NA", "f64": fmt.Sprint("double ", float64(row)/3)}
	kinds := map[string]string{"b": "logical", "i8": "integer", "u16": "integer", "i32": "integer", "u32": "double", "i64": "double",
		"f32": "double", "dec": "double", "s": "string", "fct": "factor", "d": "date", "t": "datetime"}
	for name, kind := range kinds {
		want[name] = kind + " NA"
	}
	if row%7 == 3 {
		return want
	}
	number := map[string]float64{"b": float64(btoi(row%3 == 0)), "i8": float64(row - 20), "u16": float64(65535 - row), "i32": float64(row*1000 - 7),
		"u32": float64(4294967295 - row), "i64": float64(1<<53 + 2*row), "f32": float64(row) / 4, "dec": float64(row-20) / 4,
		"d": float64(row - 12), "t": 1769860800.25 + float64(row)}
	for name, x := range number {
		want[name] = fmt.Sprint(kinds[name], " ", x)
	}
	want["s"] = fmt.Sprintf("string text %d ä", row)
	want["fct"] = "factor " + []string{"low", "mid", "high"}[row%3]
	return want
}

func shown(in *Input, row int) map[string]string {
	out := map[string]string{}
	for _, c := range in.Columns {
		value := "NA"
		switch {
		case c.IsNull(row):
		case c.Kind == Text:
			value = c.Str[row]
		case c.Kind == Factor:
			value = c.Levels[int(c.Num[row])]
		default:
			value = fmt.Sprint(c.Num[row])
		}
		out[c.Name] = c.Kind.String() + " " + value
	}
	return out
}

func TestColumnsOfPyarrow(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/columns/*.*r*")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, path := range files {
		if mediaOf(path) == "" || strings.HasPrefix(filepath.Base(path), "nested") {
			continue
		}
		read++
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			in, err := ParseColumns(mediaOf(path), body, nil)
			if err != nil {
				t.Fatal(err)
			}
			if in.Rows != 40 {
				t.Fatalf("%d rows", in.Rows)
			}
			for row := range in.Rows {
				if diff := cmp.Diff(columnsOfMakePy(row), shown(in, row)); diff != "" {
					t.Fatalf("row %d: (-want +got)\n%s", row, diff)
				}
			}
			for _, c := range in.Columns {
				if c.Kind == Factor && !cmp.Equal(c.Levels, []string{"low", "mid", "high"}) {
					t.Errorf("the levels are %q", c.Levels)
				}
				if c.Len() != 40 || (c.Null != nil && len(c.Null) != 40) {
					t.Errorf("column %s has %d elements and %d marks", c.Name, c.Len(), len(c.Null))
				}
			}
		})
	}
	if read != 11 {
		t.Errorf("%d files were read", read)
	}
}

// A body is checked against the signature as any other, whatever types it brought.
func TestColumnsMeetSignature(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"testdata/columns/snappy.parquet", "testdata/columns/zstd.arrow"} {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := ParseSignature(`[{"name":"i32","type":"double"},{"name":"fct","type":"string","levels":["high","mid","low"]},
			{"name":"s","type":"string"},{"name":"d","type":"datetime"},{"name":"t","type":"datetime"},{"name":"none","type":"integer"}]`, "", "")
		if err != nil {
			t.Fatal(err)
		}
		in, err := ParseColumns(mediaOf(path), body, sig)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got := shown(in, 1)
		want := map[string]string{"i32": "double 993", "fct": "factor mid", "s": "string text 1 ä",
			"d": fmt.Sprint("datetime ", -11*86400.0), "t": fmt.Sprint("datetime ", 1769860801.25), "none": "integer NA"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", path, diff)
		}
		for signature, fault := range map[string]string{
			`[{"name":"s","type":"double"}]`:                    `column "s", row 1: "text 0 ä" is not a double`,
			`[{"name":"f64","type":"integer"}]`:                 `column "f64", row 2: 0.3333333333333333 is not an integer`,
			`[{"name":"x","type":"double"}]`:                    `the input lacks the column "x"`,
			`[{"name":"fct","type":"string","levels":["low"]}]`: `column "fct", row 2: "mid" is not one of the levels "low"`,
			`[{"name":"t","type":"datetime","r_class":"Date"}]`: `column "t", row 1: a time of day, where the model takes a date`,
			`[{"name":"i32","type":"boolean"}]`:                 `column "i32", row 1: -7 is not a boolean`,
		} {
			sig, err := ParseSignature(signature, "", "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseColumns(mediaOf(path), body, sig); err == nil || !strings.Contains(err.Error(), fault) {
				t.Errorf("%s with %s: %v", path, signature, err)
			}
		}
	}
}

func TestColumnsThatAreRefused(t *testing.T) {
	t.Parallel()
	for path, fault := range map[string]string{
		"testdata/columns/nested.parquet": `column "tags" is of the type list;`,
		"testdata/columns/nested.arrow":   `column "tags" is of the type list;`,
	} {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseColumns(mediaOf(path), body, nil); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", path, err)
		}
		sig, err := ParseSignature(`[{"name":"x","type":"double"}]`, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if in, err := ParseColumns(mediaOf(path), body, sig); err != nil || in.Rows != 2 || len(in.Columns) != 1 {
			t.Errorf("%s: a nested column that the model does not take: %v", path, err)
		}
	}
	for media, bodies := range map[string][]string{
		MediaParquet:     {"", "PAR1", strings.Repeat("x", 40), "PAR1\xff\xff\xff\x7fPAR1"},
		MediaArrowFile:   {"", "ARROW1", strings.Repeat("x", 40)},
		MediaArrowStream: {"", "\xff\xff\xff\xff\xff\xff\xff\x7f", strings.Repeat("x", 40)},
	} {
		for _, body := range bodies {
			if _, err := ParseColumns(media, []byte(body), nil); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
				t.Errorf("%s %q: %v", media, body, err)
			}
		}
	}
}

// someColumns are columns of every type, with and without missing values.
func someColumns() []*Column {
	null := []bool{false, true, false}
	return []*Column{
		NewColumn("b", Logical, []float64{1, 0, 0}, nil, nil, null),
		NewColumn("i", Integer, []float64{-5, 0, 2147483647}, nil, nil, null),
		NewColumn("x", Double, []float64{math.Pi, math.Inf(-1), math.NaN()}, nil, nil, nil),
		NewColumn("s", Text, nil, []string{"", "", "ä,\"\n"}, nil, null),
		NewColumn("f", Factor, []float64{1, 0, 0}, nil, []string{"lo", "hi"}, null),
		NewColumn("t", Time, []float64{-1.5, 0, 1769860800.25}, nil, nil, null),
		NewColumn("d", Day, []float64{-1, 0, 20000}, nil, nil, null),
	}
}

func TestColumnsAreReadAsWritten(t *testing.T) {
	t.Parallel()
	for _, media := range []string{MediaParquet, MediaArrowFile, MediaArrowStream} {
		var out bytes.Buffer
		var err error
		if media == MediaParquet {
			w := NewParquetWriter(&out, ParquetState{})
			if err = w.Write(someColumns(), 3); err == nil {
				err = w.Close()
			}
		} else {
			err = WriteArrow(&out, someColumns(), 3, media == MediaArrowFile)
		}
		if err != nil {
			t.Fatal(err)
		}
		in, err := ParseColumns(media, out.Bytes(), nil)
		if err != nil {
			t.Fatalf("%s: %v", media, err)
		}
		want := &Input{Columns: someColumns(), Rows: 3}
		for row := range 3 {
			wanted := shown(want, row)
			if media == MediaParquet {
				wanted["f"] = strings.Replace(wanted["f"], "factor", "string", 1)
			}
			if diff := cmp.Diff(wanted, shown(in, row)); diff != "" {
				t.Errorf("%s, row %d: (-want +got)\n%s", media, row, diff)
			}
		}
	}
}

// A file goes on from the state of one that was broken off.
func TestParquetWriterGoesOn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	first := NewParquetWriter(&out, ParquetState{})
	if err := first.Write(someColumns(), 3); err != nil {
		t.Fatal(err)
	}
	if err := first.Flush(); err != nil {
		t.Fatal(err)
	}
	state := first.State()
	if state.Bytes != int64(out.Len()) {
		t.Fatalf("%d bytes are written, the state says %d", out.Len(), state.Bytes)
	}
	second := NewParquetWriter(&out, state)
	if err := second.Write(someColumns(), 3); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	in, err := ParseColumns(MediaParquet, out.Bytes(), nil)
	if err != nil || in.Rows != 6 {
		t.Fatalf("%v", err)
	}
	if diff := cmp.Diff(shown(in, 0), shown(in, 3)); diff != "" {
		t.Error(diff)
	}
}

// What unpacks to more than the limit is refused before its memory is taken.
func TestColumnsOfABomb(t *testing.T) {
	t.Parallel()
	const rows, limit = 1 << 17, 4 << 20
	constant := NewColumn("x", Text, nil, make([]string, rows), nil, nil)
	for i := range constant.Str {
		constant.Str[i] = strings.Repeat("a", 100)
	}
	var out bytes.Buffer
	w := NewParquetWriter(&out, ParquetState{})
	if err := w.Write([]*Column{constant}, rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() > rows*100/10 {
		t.Fatalf("a bomb of %d bytes is none", out.Len())
	}
	src, err := openParquet(bytes.NewReader(out.Bytes()), int64(out.Len()), newSheet(nil, limit))
	if err == nil {
		_, err = src.next(rows)
	}
	if err == nil || !strings.Contains(err.Error(), "more than 4 MiB when they are unpacked") {
		t.Errorf("%v", err)
	}
	packed, err := os.ReadFile("testdata/columns/zstd.arrow")
	if err != nil {
		t.Fatal(err)
	}
	src, err = openArrow(bytes.NewReader(packed), true, newSheet(nil, 500))
	if err == nil {
		_, err = src.next(rows)
	}
	if err == nil || !strings.Contains(err.Error(), "when they are unpacked") {
		t.Errorf("%v", err)
	}
}

func FuzzColumns(f *testing.F) {
	files, err := filepath.Glob("testdata/columns/*.*r*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(mediaOf(path), body)
	}
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		if !HoldsColumns(media) {
			media = MediaParquet
		}
		in, err := parseColumns(media, body, nil, 1<<20)
		if err != nil {
			if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
				t.Errorf("the code of %v", err)
			}
			return
		}
		for _, c := range in.Columns {
			if c.Len() != in.Rows {
				t.Errorf("column %q has %d elements for %d rows", c.Name, c.Len(), in.Rows)
			}
		}
	})
}
