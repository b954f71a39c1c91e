package model

import (
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

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
