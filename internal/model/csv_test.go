package model

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

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
