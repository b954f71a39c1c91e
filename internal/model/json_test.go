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

// A signature's columns are checked whatever form the input has.
func TestOnlyRowsFitASignatureOfColumns(t *testing.T) {
	t.Parallel()
	columns, err := ParseSignature(`[{"type":"double","name":"x"},{"type":"double","name":"y"}]`, "", "")
	if err != nil {
		t.Fatal(err)
	}
	tensor, err := ParseSignature(`[{"type":"tensor","tensor-spec":{"dtype":"float64","shape":[-1]}}]`, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		`{"inputs": {"x": [1, 2], "y": [1]}}`: "not equally long",
		`{"inputs": {"x": 1, "y": [1, 2]}}`:   "not equally long",
		`{"inputs": [1, 2]}`:                  "a list of values; the model takes rows of 2 columns",
		`{"instances": 5}`:                    "a list of values",
	} {
		for _, bare := range []bool{false, true} {
			if _, err := ParseJSON([]byte(body), columns, bare); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: %v, want %q", body, err, want)
			}
		}
		for _, s := range []*Signature{nil, tensor} {
			if _, err := ParseJSON([]byte(body), s, false); err != nil {
				t.Errorf("%s without columns: %v", body, err)
			}
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{"dataframe_split": {"columns": ["x", "y"], "data": [[1, "a"], [2.5, null]]}}`, `[{"x": 1}, {"y": "b"}]`,
		`{"inputs": {"x": [1, 2]}, "params": {"a": [true]}}`, `{"instances": [NaN, "Inf", -1e-5]}`, `{"a": 1}`,
	} {
		f.Add([]byte(s), true)
	}
	f.Add([]byte("["+strings.Repeat(`{"x": 1.5, "y": -2}, `, 80)+`{"x": 1, "y": 2}]`), false)
	f.Add([]byte(`{"dataframe_split": {"columns": ["x", "y"], "data": [`+strings.Repeat("[1.5,-2],", 160)+"[1,2]]}}"), false)
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
