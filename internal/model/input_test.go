package model

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-ml/weir/mlflow"
)

// dump renders an input in one line: shape, row names, then name:kind=values.
func dump(in *Input) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d", [...]string{"frame", "vector", "named"}[in.Shape], in.Rows)
	if in.RowNames != nil {
		fmt.Fprintf(&b, " %v", in.RowNames)
	}
	column := func(c *Column) {
		fmt.Fprintf(&b, " %s:%s=", c.Name, c.Kind)
		for i := range c.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			switch {
			case c.IsNull(i):
				b.WriteString("NA")
			case c.Kind == Text:
				b.WriteString(c.Str[i])
			case c.Kind == Factor:
				b.WriteString(c.Levels[int(c.Num[i])])
			default:
				fmt.Fprint(&b, c.Num[i])
			}
		}
	}
	for _, c := range in.Columns {
		column(c)
	}
	for _, p := range in.Params {
		b.WriteString(" |")
		column(p.Value)
	}
	return b.String()
}

func signature(t *testing.T, inputs, params string) *Signature {
	t.Helper()
	s, err := ParseSignature(inputs, "", params)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJSONBodiesBecomeColumns(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"dataframe_split": {"columns": ["x", "y"], "data": [[1, "a"], [2.5, null]]}}`:      "frame2 x:double=1,2.5 y:string=a,NA",
		`{"dataframe_split": {"data": [[1, true]], "index": [0], "columns": ["x", "y"]}}`:    "frame1 x:integer=1 y:logical=1",
		`{"dataframe_split": {"columns": ["x"], "index": ["r1", "r2"], "data": [[1], [2]]}}`: "frame2 [r1 r2] x:integer=1,2",
		`{"dataframe_split": {"data": [[1, 2]]}}`:                                            "frame1 V1:integer=1 V2:integer=2",
		`{"dataframe_records": [{"x": 1, "y": "a"}, {"y": "b", "x": 2}]}`:                    "frame2 x:integer=1,2 y:string=a,b",
		`{"dataframe_records": [{"x": 1}, {"y": "b"}, {}]}`:                                  "frame3 x:integer=1,NA,NA y:string=NA,b,NA",
		`{"dataframe_records": {"x": [1, 2], "y": [3, 4]}}`:                                  "frame2 x:integer=1,2 y:integer=3,4",
		`{"dataframe_records": []}`:                                                          "frame0",
		`{"instances": [{"x": 1}, {"x": null}]}`:                                             "frame2 x:integer=1,NA",
		`{"instances": [[1, 2], [3, 4]]}`:                                                    "frame2 V1:integer=1,3 V2:integer=2,4",
		`{"inputs": {"x": [1, 2], "y": ["a", "b"]}}`:                                         "frame2 x:integer=1,2 y:string=a,b",
		`{"inputs": {"x": [1, 2], "y": ["a"]}}`:                                              "named0 x:integer=1,2 y:string=a",
		`{"inputs": [1, 2, 3]}`:                                                              "vector3 :integer=1,2,3",
		`{"dataframe_records": [0, 1, 2]}`:                                                   "vector3 :integer=0,1,2",
		`{"inputs": 12}`:                                                                     "vector1 :integer=12",
		`{"columns": ["x"], "data": [[1]]}`:                                                  "frame1 x:integer=1",
		`[{"x": 1}, {"x": 2}]`:                                                               "frame2 x:integer=1,2",
		` {"inputs": [{"x":1}] , "params": {"n": 3, "type": "response", "p": [0.1, 0.9]} } `: "frame1 x:integer=1 | n:integer=3 | type:string=response | p:double=0.1,0.9",
		`{"dataframe_records": [{"x": "NA"}, {"x": 1.5}, {"x": "NaN"}, {"x": "-Inf"}]}`:      "frame4 x:double=NA,1.5,NaN,-Inf",
		`{"inputs": [NaN, -Infinity, Infinity, -1.5e3, 0]}`:                                  "vector5 :double=NaN,-Inf,+Inf,-1500,0",
		`{"inputs": [3000000000, -2147483648, 2147483647]}`:                                  "vector3 :double=3e+09,-2.147483648e+09,2.147483647e+09",
		`{"inputs": [null, null, 2]}`:                                                        "vector3 :integer=NA,NA,2",
		`{"inputs": {"a\u00e9\n": ["\ud83d\ude00", "t\"q"]}}`:                                "frame2 aé\n:string=😀,t\"q",
		`{"inputs": [12345678901234567890, 0.1, 1E2, -0.0]}`:                                 "vector4 :double=1.2345678901234567e+19,0.1,100,-0",
		`{"dataframe_split": {"columns": [1, 2], "index": null, "data": [["a", "b"]]}}`:      "frame1 1:string=a 2:string=b",
		`{"dataframe_split": {"columns": ["x"], "data": [[1],[2]], "index": [1, 2]}}`:        "frame2 x:integer=1,2",
		`{"dataframe_split": {"columns": ["x"], "data": []}}`:                                "frame0 x:empty=",
	} {
		in, err := ParseJSON([]byte(body), nil, false)
		if err != nil {
			t.Errorf("%s: %v", body, err)
		} else if got := dump(in); got != want {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
	}
	in, err := ParseJSON([]byte(`{"wt": [2.5, 3], "cyl": [4, 6]}`), nil, true)
	if err != nil || dump(in) != "frame2 wt:double=2.5,3 cyl:integer=4,6" {
		t.Errorf("bare columns: %v %v", in, err)
	}
}

func TestWrongBodiesAreNamed(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                                  "the body is empty",
		`{`:                                 "not JSON",
		`{"inputs": [1, 2}`:                 "not JSON: it ends where ',' or '}' is expected at byte 18",
		`{"inputs": [1, 2]} x`:              "not JSON: 'x' after the value",
		`{"inputs": [01]}`:                  `"01" is not a number`,
		`{"inputs": [1.]}`:                  `"1." is not a number`,
		`{"inputs": [--1]}`:                 `"--1" is not a number`,
		`{"inputs": [tru]}`:                 "not JSON",
		`{"inputs": ["a]}`:                  "without its end",
		`{"inputs": ["\q"]}`:                "wrong escape",
		`{"inputs": ["\u0000"]}`:            "U+0000",
		"{\"inputs\": [\"\xff\"]}":          "not UTF-8",
		`3`:                                 "neither a JSON object nor an array",
		`{}`:                                "exactly one of the fields dataframe_split, dataframe_records, instances, inputs; received none",
		`{"foo": 1}`:                        `received "foo"`,
		`{"inputs": [1], "instances": [1]}`: `received "inputs", "instances"`,
		`{"dataframe_split": {"columns": ["x"]}}`:                                 "lacks the field \"data\"",
		`{"dataframe_split": {"columns": ["x"], "data": [[1], [2, 3]]}}`:          "row 2 has more than 1 values",
		`{"dataframe_split": {"columns": ["x", "y"], "data": [[1, 2], [2]]}}`:     "row 2 has 1 values for 2 columns",
		`{"dataframe_split": {"columns": ["x", "x"], "data": []}}`:                `column "x" appears twice`,
		`{"dataframe_split": {"columns": ["x"], "data": [[1]], "rows": 2}}`:       `unknown field "rows"`,
		`{"dataframe_split": {"columns": ["x"], "data": [[1]], "index": [1, 2]}}`: "index has 2 elements for 1 rows",
		`{"dataframe_records": [[1]]}`:                                            "must be a list of objects",
		`{"dataframe_records": 5}`:                                                "must be a list of objects",
		`{"dataframe_records": [{"x": 1}, {"x": "a"}]}`:                           `column "x", row 2: the value does not fit the integer values before it`,
		`{"dataframe_records": [{"x": 1}, {"x": true}]}`:                          `column "x", row 2`,
		`{"dataframe_records": [{"x": "a"}, {"x": 1}]}`:                           `column "x", row 2: the value does not fit the string values`,
		`{"dataframe_records": [{"x": 1}, {"x": [1]}]}`:                           `column "x", row 2: a nested value`,
		`{"dataframe_records": [{"x": 1, "x": 2}]}`:                               `column "x" appears twice in row 1`,
		`{"dataframe_records": [{"x": 1}, 2]}`:                                    "row 2 is not an object",
		`{"inputs": [[1], 2]}`:                                                    "row 2 is not a list",
		`{"inputs": [1], "params": 3}`:                                            "params must be an object",
	} {
		_, err := ParseJSON([]byte(body), nil, false)
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

func TestSignatureDecides(t *testing.T) {
	t.Parallel()
	const all = `[{"type":"double","name":"d"},{"type":"integer","name":"i"},{"type":"string","name":"s"},{"type":"boolean","name":"b"},` +
		`{"type":"datetime","name":"t","required":false},{"type":"string","name":"f","required":false,"levels":["lo","hi"]},{"type":"long","name":"l","required":false}]`
	full := signature(t, all, "")
	for body, want := range map[string]string{
		`[{"b": true, "s": "x", "i": 2.0, "d": 1, "extra": 5}]`:                               "frame1 d:double=1 i:integer=2 s:string=x b:logical=1 t:datetime=NA f:factor=NA l:double=NA",
		`[{"d":null,"i":null,"s":null,"b":null,"t":null,"f":null,"l":null}]`:                  "frame1 d:double=NA i:integer=NA s:string=NA b:logical=NA t:datetime=NA f:factor=NA l:double=NA",
		`[{"d":1,"i":1,"s":"","b":false,"t":"1970-01-02T00:00:00Z","f":"hi","l":3000000000}]`: "frame1 d:double=1 i:integer=1 s:string= b:logical=0 t:datetime=86400 f:factor=hi l:double=3e+09",
		`[{"d":1,"i":1,"s":"","b":false,"t":"1970-01-01 00:00:01.5"}]`:                        "frame1 d:double=1 i:integer=1 s:string= b:logical=0 t:datetime=1.5 f:factor=NA l:double=NA",
		`[{"d":"NaN","i":"NA","s":"","b":false}]`:                                             "frame1 d:double=NaN i:integer=NA s:string= b:logical=0 t:datetime=NA f:factor=NA l:double=NA",
		`[{"i": 1, "s": "x", "b": true}]`:                                                     `the input lacks the column "d"; it has "i", "s", "b"`,
		`[{"q": 1}]`:                                                                          `the input lacks the columns "d", "i", "s", "b"; it has "q"`,
		`[{"d":1,"i":1,"s":"","b":false},{"d":"x","i":1,"s":"","b":false}]`:                   `column "d", row 2`,
		`[{"d":"x","i":1,"s":"","b":false}]`:                                                  `column "d", row 1: "x" is not a double`,
		`[{"d":1,"i":1,"s":"","b":false},{"d":1,"i":1.5,"s":"","b":false}]`:                   `column "i", row 2: 1.5 is not an integer`,
		`[{"d":1,"i":3e9,"s":"","b":false}]`:                                                  `column "i", row 1: 3e+09 is not an integer`,
		`[{"d":1,"i":1,"s":7,"b":false}]`:                                                     `column "s", row 1: 7 is not a string`,
		`[{"d":1,"i":1,"s":"","b":1}]`:                                                        `column "b", row 1: 1 is not a boolean`,
		`[{"d":true,"i":1,"s":"","b":true}]`:                                                  `column "d", row 1: true is not a double`,
		`[{"d":1,"i":1,"s":"","b":true,"t":"soon"}]`:                                          `column "t", row 1: "soon" is not a date or time`,
		`[{"d":1,"i":1,"s":"","b":true,"f":"mid"}]`:                                           `column "f", row 1: "mid" is not one of the levels "lo", "hi"`,
		`{"inputs": [[1, 2]]}`:                                                                "the model takes 7 columns, the input has 2",
	} {
		in, err := ParseJSON([]byte(body), full, false)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = dump(in)
		}
		if (err != nil && !strings.Contains(got, want)) || (err == nil && got != want) {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
	}
	two := signature(t, `[{"type":"double","name":"a"},{"type":"double","name":"b"}]`, `[{"name":"n","type":"long","default":1}]`)
	in, err := ParseJSON([]byte(`{"instances": [[1, 2]], "params": {"n": 4, "other": 1}}`), two, false)
	if err != nil || dump(in) != "frame1 a:double=1 b:double=2 | n:integer=4" {
		t.Errorf("rows take the signature's names, params its list: %v, %v", in, err)
	}
	in, err = ParseCSV([]byte("a,b\n1,2\n"), two)
	if err != nil || dump(in) != "frame1 a:double=1 b:double=2 | n:integer=1" {
		t.Errorf("a param that is not sent has its default: %v, %v", in, err)
	}
	unnamed := signature(t, `[{"type":"double"}]`, "")
	in, err = ParseJSON([]byte(`{"inputs": [1, 2]}`), unnamed, false)
	if err != nil || dump(in) != "frame2 V1:double=1,2" {
		t.Errorf("a vector for one column: %v, %v", in, err)
	}
}

func TestCSVIsReadAsRReadsIt(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"x,y\n1,a\n2,b\n":                         "frame2 x:integer=1,2 y:string=a,b",
		"x, y, \"z w\"\n1, 2.5, \"a, b\"\n":       "frame1 x:integer=1 y:double=2.5 z w:string=a, b",
		"\xef\xbb\xbfx\r\n1\r\nNA\r\n3":           "frame3 x:integer=1,NA,3",
		"x,y\nTRUE,\nF,NA\n":                      "frame2 x:logical=1,0 y:logical=NA,NA",
		"x\n1e5\n-Inf\nNaN\n":                     "frame3 x:double=100000,-Inf,NaN",
		"x,y\na,1\n,\nNA,3\n":                     "frame3 x:string=a,,NA y:integer=1,NA,3",
		"x\n3000000000\n":                         "frame1 x:double=3e+09",
		"x\n\"say \"\"hi\"\"\"\n\"two\nlines\"\n": "frame2 x:string=say \"hi\",two\nlines",
		"x,y\nr1,1,2\nr2,3,4\n":                   "frame2 [r1 r2] x:integer=1,3 y:integer=2,4",
		"x\nT\n1\n":                               "frame2 x:string=T,1",
		"a,b\n":                                   "frame0 a:logical= b:logical=",
	} {
		in, err := ParseCSV([]byte(body), nil)
		if err != nil {
			t.Errorf("%q: %v", body, err)
		} else if got := dump(in); got != want {
			t.Errorf("%q:\n got %s\nwant %s", body, got, want)
		}
	}
	for body, want := range map[string]string{
		"":               "empty",
		"x,y\n1,2\n3\n":  "row 2 (line 3) has 1 fields, the header has 2",
		"x,y\n1,2,3,4\n": "row 1 (line 2) has 4 fields",
		"x,x\n1,2\n":     `column "x" appears twice`,
		"x\n\"a\n":       "not CSV: line",
		"x\n\xff\n":      "not UTF-8",
		"x\n\x00\n":      "U+0000",
	} {
		_, err := ParseCSV([]byte(body), nil)
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
	}
	sig := signature(t, `[{"type":"string","name":"zip"},{"type":"double","name":"x"},{"type":"datetime","name":"t"}]`, "")
	in, err := ParseCSV([]byte("x,zip,t\n1,01234,2026-01-01\n2,99999,\n"), sig)
	if err != nil || dump(in) != "frame2 zip:string=01234,99999 x:double=1,2 t:datetime=1.7672256e+09,NA" {
		t.Errorf("with a signature: %v, %v", in, err)
	}
	in, err = ParseCSV([]byte("b\ntrue\nFalse\nT\n"), signature(t, `[{"type":"boolean","name":"b"}]`, ""))
	if err != nil || dump(in) != "frame3 b:logical=1,0,1" {
		t.Errorf("booleans of other languages: %v, %v", in, err)
	}
	_, err = ParseCSV([]byte("x,zip,t\n1,1,2026-01-01\nabc,2,2026-01-01\n"), sig)
	if err == nil || !strings.Contains(err.Error(), `column "x", row `) {
		t.Errorf("a text among numbers: %v", err)
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{"dataframe_split": {"columns": ["x", "y"], "data": [[1, "a"], [2.5, null]]}}`, `[{"x": 1}, {"y": "b"}]`,
		`{"inputs": {"x": [1, 2]}, "params": {"a": [true]}}`, `{"instances": [NaN, "Inf", -1e-5]}`, `{"a": 1}`,
	} {
		f.Add([]byte(s), true)
	}
	sig, err := ParseSignature(`[{"type":"double","name":"x"},{"type":"string","name":"y","required":false,"levels":["a"]}]`, "", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, bare bool) {
		for _, s := range []*Signature{nil, sig} {
			in, err := ParseJSON(body, s, bare)
			if err != nil {
				if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
					t.Fatal(err)
				}
				continue
			}
			for _, c := range in.Columns {
				if in.Shape == Frame && c.Len() != in.Rows {
					t.Fatalf("column %q has %d of %d rows", c.Name, c.Len(), in.Rows)
				}
				if (c.Null != nil && len(c.Null) != c.Len()) || (c.Kind == Text && len(c.Str) != c.Len()) || (c.Kind > Empty && c.Kind != Text && len(c.Num) != c.Len()) {
					t.Fatalf("column %q of kind %s: %d elements, %d nulls, %d texts, %d numbers", c.Name, c.Kind, c.Len(), len(c.Null), len(c.Str), len(c.Num))
				}
			}
		}
	})
}

func FuzzParseCSV(f *testing.F) {
	f.Add([]byte("x, y\n1,a\n,\"b\"\"\n\"\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := ParseCSV(body, nil)
		if err != nil {
			return
		}
		for _, c := range in.Columns {
			if c.Len() != in.Rows {
				t.Fatalf("column %q has %d of %d rows", c.Name, c.Len(), in.Rows)
			}
		}
	})
}

// TestNumbersAreReadLikeEncodingJSON compares the fast path with the standard library.
func TestNumbersAreReadLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "-0", "7", "-12", "1e3", "1E-3", "0.5", "123456789012345", "1234567890123456", "4.9e-324", "1e400", "2.2250738585072011e-308"} {
		var want float64
		err := json.Unmarshal([]byte(text), &want)
		s := &scanner{b: []byte(text)}
		got, _ := s.number()
		if err == nil && math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestShortNumbersAreTheNearestDoubles reads what the fast path takes, and what it must leave.
func TestShortNumbersAreTheNearestDoubles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,16})?`).Draw(rt, "number")
		in, err := ParseJSON([]byte("[[1],["+text+"]]"), nil, false)
		if err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		want, _ := strconv.ParseFloat(text, 64)
		if got := in.Columns[0].Num[1]; math.Float64bits(got) != math.Float64bits(want) {
			rt.Fatalf("%s: %v, want %v", text, got, want)
		}
	})
	for _, wrong := range []string{"01", "1.", ".5", "-", "1.2.3", "1-2", "--1", "1e", "+1", "0x1", "1.e3", "1_000"} {
		if in, err := ParseJSON([]byte("[[1],["+wrong+"]]"), nil, false); err == nil {
			t.Errorf("%s: read as %v", wrong, in.Columns[0].Num)
		}
	}
}

func TestKeysThatComeTwice(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"dataframe_split": {"columns": ["x"], "data": [[1]]}, "dataframe_split": {"columns": ["x"], "data": [[2]]}}`: `the key "dataframe_split" appears twice`,
		`{"dataframe_split": {"columns": ["x"], "data": [[1]], "data": [[2]]}}`:                                        `the key "data" appears twice`,
		`{"dataframe_split": {"columns": ["x"], "data": [[1]], "columns": ["y"]}}`:                                     `the key "columns" appears twice`,
		`{"dataframe_split": {"columns": ["x"], "data": [[1]]}, "inputs": [1]}`:                                        "exactly one of the fields",
		`{"dataframe_split": {"columns": ["x"]}}`:                                                                      "lacks the field",
		`{"dataframe_split": {}}`:   "lacks the field",
		`{"dataframe_split": null}`: "must be an object",
	} {
		if _, err := ParseJSON([]byte(body), nil, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	for _, body := range []string{
		`{"dataframe_split": {"data": [[1, "a"]], "columns": ["x", "y"], "index": [5]}, "params": {"p": 1}}`,
		`{"params": {"p": 1}, "dataframe_split": {"index": [5], "columns": ["x", "y"], "data": [[1, "a"]]}}`,
	} {
		in, err := ParseJSON([]byte(body), nil, false)
		if err != nil || len(in.Columns) != 2 || in.Columns[1].Name != "y" || in.Rows != 1 || len(in.RowNames) != 1 || len(in.Params) != 1 {
			t.Errorf("%s: %+v, %v", body, in, err)
		}
	}
}

func BenchmarkOneRow(b *testing.B) {
	body := []byte(`{"dataframe_split": {"columns": ["x", "y", "z"], "data": [[1.5, 2.25, 3]]}}`)
	for b.Loop() {
		if _, err := ParseJSON(body, nil, false); err != nil {
			b.Fatal(err)
		}
	}
}

func Benchmark10000Rows(b *testing.B) {
	body := []byte(`{"dataframe_records": [` + strings.Repeat(`{"x": 1.52345, "y": 2.25, "z": 3},`, 9999) + `{"x": 1.5, "y": 2.25, "z": 3}]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := ParseJSON(body, nil, false); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWhatROnlyKnowsOfColumnsIsRestored(t *testing.T) {
	t.Parallel()
	m, err := Parse([]byte(`flavors: {rds: {}}
signature: {inputs: '[{"type":"string","name":"gear"},{"type":"string","name":"size"},{"type":"datetime","name":"at"},{"type":"string","name":"yes"}]'}
r_columns: '[{"name":"gear","class":"factor","levels":["3","4.5"]},{"name":"size","class":"ordered","levels":["s","l"]},{"name":"at","class":"POSIXct","tzone":"Europe/Vienna"},{"name":"yes","class":"factor","levels":["TRUE","FALSE"]},{"name":"gone","class":"Date"}]'
`))
	if err != nil {
		t.Fatal(err)
	}
	in, err := ParseJSON([]byte(`[{"gear": 4.5, "size": "l", "at": "1970-01-01T00:00:01Z", "yes": true}, {"gear": 3, "yes": false}]`), m.Signature, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := dump(in), "frame2 gear:factor=4.5,3 size:factor=l,NA at:datetime=1,NA yes:factor=TRUE,FALSE"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if in.Columns[0].Ordered || !in.Columns[1].Ordered || in.Columns[2].TZone != "Europe/Vienna" {
		t.Errorf("%+v", in.Columns)
	}
	joined := Concat([]*Column{in.Columns[1], in.Columns[1]})
	if !joined.Ordered || joined.Len() != 4 {
		t.Errorf("joined: %+v", joined)
	}
	_, err = ParseJSON([]byte(`[{"gear": 3, "size": "l", "at": null, "yes": true}, {"gear": 4, "size": "l", "at": null, "yes": true}]`), m.Signature, false)
	if err == nil || !strings.Contains(err.Error(), `column "gear", row 2: "4" is not one of the levels "3", "4.5"`) {
		t.Errorf("a number that is no level: %v", err)
	}
	if _, err := Parse([]byte("flavors: {rds: {}}\nsignature: {inputs: '[]'}\nr_columns: '{'")); err == nil || !strings.Contains(err.Error(), "r_columns are not JSON") {
		t.Errorf("%v", err)
	}
}

func TestParamsFitTheSignature(t *testing.T) {
	t.Parallel()
	sig := signature(t, `[{"type":"double","name":"x"}]`, `[{"name":"n","type":"long","default":1,"shape":null},{"name":"at","type":"double","default":[1],"shape":[-1]},{"name":"how","type":"string","default":"a"}]`)
	for params, want := range map[string]string{
		`{"n": 2, "at": [1, 2], "how": "b"}`: "", `{"n": 2.0}`: "", `{"at": []}`: "", `{"other": {"a": 1}}`: "",
		`{"n": 2.5}`: `parameter "n": 2.5 is not a long`, `{"n": [1, 2]}`: `parameter "n" must be a single value, not a list of 2`,
		`{"at": "x"}`: `parameter "at": "x" is not a double`, `{"how": 1}`: `parameter "how": 1 is not a string`, `{"n": {"a": 1}}`: `parameter "n" is an object`,
	} {
		_, err := ParseJSON([]byte(`{"inputs": {"x": [1]}, "params": `+params+`}`), sig, false)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", params, err, want)
		}
	}
	params, err := ParseParams([]byte(`{"type": "response", "at": [0.5, 1]}`))
	if err != nil || len(params) != 2 || params[1].Value.Len() != 2 {
		t.Errorf("%+v, %v", params, err)
	}
	for _, text := range []string{"", "[]", `{"a": {}}`, `{"a": 1} x`} {
		if _, err := ParseParams([]byte(text)); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestRecordsWithKeysOfTheirOwn sends records of which each makes a column for all the others.
func TestRecordsWithKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("[")
	for i := range 50_000 {
		fmt.Fprintf(&b, `{"k%d":1},`, i)
	}
	body := strings.TrimSuffix(b.String(), ",") + "]"
	_, err := ParseJSON([]byte(body), nil, false)
	if err == nil || !strings.Contains(err.Error(), "leave out too many of the") {
		t.Errorf("%v", err)
	}
	_, err = ParseJSONLines([]byte(strings.ReplaceAll(strings.Trim(body, "[]"), "},", "}\n")), nil)
	if err == nil || !strings.Contains(err.Error(), "leave out too many of the") {
		t.Errorf("%v", err)
	}
}

func TestNoRecordsHaveTheColumnsOfTheSignature(t *testing.T) {
	t.Parallel()
	sig := signature(t, `[{"type":"double","name":"x"},{"type":"string","name":"f","levels":["a"]}]`, "")
	for _, body := range []string{"[]", `{"dataframe_records": []}`, `{"inputs": []}`, `{"dataframe_split": {"columns": ["x", "f"], "data": []}}`} {
		in, err := ParseJSON([]byte(body), sig, false)
		if err != nil || len(in.Columns) != 2 || in.Rows != 0 || in.Columns[0].Kind != Double || in.Columns[1].Kind != Factor {
			t.Errorf("%s: %+v, %v", body, in, err)
		}
	}
}

func TestColumnsOfMissingValuesHaveTheTypeOfTheSignature(t *testing.T) {
	t.Parallel()
	sig := signature(t, `[{"type":"double","name":"d"},{"type":"integer","name":"i"},{"type":"string","name":"s"},{"type":"boolean","name":"b"},{"type":"datetime","name":"t"},{"type":"string","name":"f","levels":["a"]}]`, "")
	for body, rows := range map[string]int{"d,i,s,b,t,f\nNA,NA,NA,NA,NA,NA\n,,NA,,,NA\n": 2, "d,i,s,b,t,f\n": 0} {
		in, err := ParseCSV([]byte(body), sig)
		if err != nil || in.Rows != rows {
			t.Errorf("%q: %v", body, err)
			continue
		}
		for i, want := range []Kind{Double, Integer, Text, Logical, Time, Factor} {
			if c := in.Columns[i]; c.Kind != want || c.Len() != rows {
				t.Errorf("%q: column %s is %s of %d", body, c.Name, c.Kind, c.Len())
			}
		}
	}
}

func TestWhatProgramsPutAroundABody(t *testing.T) {
	t.Parallel()
	const mark = "\xef\xbb\xbf"
	for name, parse := range map[string]func() (*Input, error){
		"JSON":           func() (*Input, error) { return ParseJSON([]byte(mark+`{"inputs": {"a": [1]}}`), nil, false) },
		"JSON lines":     func() (*Input, error) { return ParseJSONLines([]byte(mark+`{"a": 1}`), nil) },
		"CSV":            func() (*Input, error) { return ParseCSV([]byte(mark+"a\n1\n"), nil) },
		"CSV of old Mac": func() (*Input, error) { return ParseCSV([]byte("a\r1\r"), nil) },
		"V2": func() (*Input, error) {
			in, _, err := ParseV2([]byte(mark+`{"inputs": [{"name": "a", "shape": [1], "datatype": "INT32", "data": [1]}]}`), nil)
			return in, err
		},
	} {
		in, err := parse()
		if err != nil || dump(in) != "frame1 a:integer=1" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestColumnsThatRCannotHave(t *testing.T) {
	t.Parallel()
	long, wide := strings.Repeat("x", 10_001), strings.Repeat(",", 100_001)
	for name, parse := range map[string]func() (*Input, error){
		"JSON":     func() (*Input, error) { return ParseJSON([]byte(`{"inputs": {"`+long+`": [1]}}`), nil, false) },
		"CSV":      func() (*Input, error) { return ParseCSV([]byte(long+"\n1\n"), nil) },
		"CSV wide": func() (*Input, error) { return ParseCSV([]byte(wide+"\n"), nil) },
	} {
		_, err := parse()
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("%s: %v", name, err)
		}
	}
}
