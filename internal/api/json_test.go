package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// libraryJSON is what parseJSON is to give.
func libraryJSON(text []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return value, true
}

var jsonTexts = []string{
	`{}`, `[]`, ` { "a" : [ 1 , -0 , 0.5e+10 , 1E-7 ] , "b" : { "c" : null } , "a" : true } `, `"x"`, `false`, `12345678901234567890.1`,
	`"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00 \u0000ü"`, `"é\u0041"`, `["\ud83d\u0041\ud83d\n\udc00", 1]`,
	``, ` `, `{`, `[1,]`, `{"a":1,}`, `{"a"}`, `{a:1}`, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `"\u12g4"`, "\"\\u00\x101\"", `"\x"`, "\"\n\"", `"a`, `"\`, `"\u00e`, `nul`, `truee`, `1 2`, `[1 2]`,
	`{"a":1}{}`, "\ufeff{}", `[1]x`, "\v1", `nan`, `{"": ""}`,
}

// namedNumbers are what parseJSON reads and the library does not.
var namedNumbers = regexp.MustCompile(`NaN|Infinity`)

func TestNumbersThatPythonNamesAreRead(t *testing.T) {
	t.Parallel()
	want := []any{json.Number("NaN"), json.Number("Infinity"), json.Number("-Infinity"), map[string]any{"a": json.Number("NaN")}, "NaN"}
	if got, ok := parseJSON([]byte(`[NaN, Infinity,-Infinity ,{"a":NaN}, "NaN"]`)); !ok || !cmp.Equal(want, got) {
		t.Errorf("%v %#v", ok, got)
	}
	for _, text := range []string{`-NaN`, `nan`, `+Infinity`, `Infinit`, `NaN1`, `[Infinity NaN]`, `Infinity0`, `--Infinity`, `{NaN:1}`} {
		if got, ok := parseJSON([]byte(text)); ok {
			t.Errorf("%s is read as %#v", text, got)
		}
	}
}

func TestJSONIsReadAsTheLibraryReadsIt(t *testing.T) {
	t.Parallel()
	for _, text := range jsonTexts {
		want, wantOK := libraryJSON([]byte(text))
		got, ok := parseJSON([]byte(text))
		if diff := cmp.Diff(want, got); ok != wantOK || diff != "" {
			t.Errorf("%q: %v, want %v: %s", text, ok, wantOK, diff)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return
		}
		depth := 0
		for _, c := range text {
			if c == '[' || c == '{' {
				depth++
			}
		}
		if depth > 1000 { // which nobody gets past checkText
			return
		}
		want, wantOK := libraryJSON(text)
		got, ok := parseJSON(text)
		if ok && !wantOK && namedNumbers.Match(text) {
			return
		}
		if ok != wantOK || !cmp.Equal(want, got) {
			t.Fatalf("%q: %v %#v, want %v %#v", text, ok, got, wantOK, want)
		}
	})
}
