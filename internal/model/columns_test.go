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

	"github.com/weir-ml/weir/internal/model/arrow"
	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/parquet"
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
	number := map[string]float64{"b": map[bool]float64{true: 1}[row%3 == 0], "i8": float64(row - 20), "u16": float64(65535 - row), "i32": float64(row*1000 - 7),
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
		frame.NewColumn("b", Logical, []float64{1, 0, 0}, nil, nil, null),
		frame.NewColumn("i", Integer, []float64{-5, 0, 2147483647}, nil, nil, null),
		frame.NewColumn("x", Double, []float64{math.Pi, math.Inf(-1), math.NaN()}, nil, nil, nil),
		frame.NewColumn("s", Text, nil, []string{"", "", "ä,\"\n"}, nil, null),
		frame.NewColumn("f", Factor, []float64{1, 0, 0}, nil, []string{"lo", "hi"}, null),
		frame.NewColumn("t", Time, []float64{-1.5, 0, 1769860800.25}, nil, nil, null),
		frame.NewColumn("d", Day, []float64{-1, 0, 20000}, nil, nil, null),
	}
}

func TestColumnsAreReadAsWritten(t *testing.T) {
	t.Parallel()
	for _, media := range []string{MediaParquet, MediaArrowFile, MediaArrowStream} {
		var out bytes.Buffer
		var err error
		if media == MediaParquet {
			w := parquet.NewWriter(&out, parquet.State{})
			if err = w.Write(someColumns(), 3); err == nil {
				err = w.Close()
			}
		} else {
			err = arrow.Write(&out, someColumns(), 3, media == MediaArrowFile)
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
