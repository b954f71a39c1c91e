package model

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// bodyOf writes rows as one program does, or, with odd, each a little different, so that only the scanner reads them.
func bodyOf(form string, rows [][]string, odd bool) []byte {
	open, colon, comma, line := "[", "", ",", ","
	switch form {
	case "records":
		open = "{"
	case "python":
		open, colon, comma, line = "{", ": ", ", ", ", "
	case "lines":
		open, line = "{", "\n"
	case "pretty":
		comma, line = " ,\n  ", " , \n "
	}
	if open == "{" && colon == "" {
		colon = ":"
	}
	var b bytes.Buffer
	for i, row := range rows {
		if i > 0 {
			b.WriteString(line)
		}
		b.WriteString(open)
		if odd {
			b.WriteString(strings.Repeat(" ", i%3))
		}
		for k, cell := range row {
			if k > 0 {
				b.WriteString(comma)
			}
			if open == "{" {
				fmt.Fprintf(&b, "%q%s", string(rune('a'+k)), colon)
			}
			b.WriteString(cell)
		}
		b.WriteString(map[string]string{"[": "]", "{": "}"}[open])
	}
	switch form {
	case "lines":
		return b.Bytes()
	case "rows":
		return []byte(`{"dataframe_split":{"columns":["a","b"],"data":[` + b.String() + `]}}`)
	case "pretty":
		return []byte(`{"instances": [` + b.String() + `]}`)
	}
	return []byte(`{"dataframe_records": [` + b.String() + `]}`)
}

func parsed(form string, body []byte) (string, *Input) {
	var in *Input
	var err error
	if form == "lines" {
		in, err = ParseJSONLines(body, nil)
	} else {
		in, err = ParseJSON(body, nil, false)
	}
	if err != nil {
		return regexp.MustCompile(`at byte \d+`).ReplaceAllString(err.Error(), "at a byte"), nil
	}
	return dump(in), in
}

// TestRowsOfNumbersAreReadAsTheScannerReadsThem hides rows of another kind among thousands that are alike.
func TestRowsOfNumbersAreReadAsTheScannerReadsThem(t *testing.T) {
	t.Parallel()
	number := rapid.SampledFrom([]string{"1", "-1", "0", "-0", "2.5", "16.46", "123456789012345", "1234567890123456", "0.30000000000000004", "1e5", "-2.5E-3",
		"2147483647", "2147483648", "-2147483648", "1e400", "01", "1.", "-", ".5", "1-2", "null", "true", `"NaN"`, "NaN", "-Infinity", `"x"`, "[1]", "1x", ""})
	odd := rapid.SampledFrom([]string{"", "1", "1,2,3"})
	rapid.Check(t, func(rt *rapid.T) {
		form := rapid.SampledFrom([]string{"rows", "records", "python", "lines", "pretty"}).Draw(rt, "form")
		rows := make([][]string, rapid.SampledFrom([]int{3, 90, 12_000}).Draw(rt, "rows"))
		for i := range rows {
			rows[i] = []string{strconv.Itoa(i), strconv.FormatFloat(float64(i)/8, 'g', -1, 64)}
		}
		for range rapid.IntRange(0, 3).Draw(rt, "others") {
			at := rapid.IntRange(0, len(rows)-1).Draw(rt, "at")
			if rapid.IntRange(0, 5).Draw(rt, "whole row") == 0 {
				rows[at] = strings.Split(odd.Draw(rt, "row"), ",")
			} else {
				rows[at][rapid.IntRange(0, len(rows[at])-1).Draw(rt, "column")] = number.Draw(rt, "value")
			}
		}
		got, in := parsed(form, bodyOf(form, rows, false))
		want, _ := parsed(form, bodyOf(form, rows, true))
		if got != want {
			rt.Fatalf("%s:\n got %.300s\nwant %.300s", form, got, want)
		}
		if in != nil && (in.Rows != len(rows) || in.Columns[0].Len() != len(rows)) {
			rt.Fatalf("%s: %d rows, %d elements of %d", form, in.Rows, in.Columns[0].Len(), len(rows))
		}
	})
}

// Keys in another order than the columns', and what only looks like a form, are for the scanner.
func TestFormsOfRows(t *testing.T) {
	t.Parallel()
	p := &parser{}
	p.add("a")
	p.add("b")
	for row, known := range map[string]bool{
		`[1,2],`: true, ` [ -1.5e3 , 2 ] ,`: true, `{"a":1,"b":2},`: true, "{\"a\": 1, \"b\": 2}\n": true,
		`{"b":1,"a":2},`: false, `{"a":1},`: false, `[1],`: false, `[1,2,3],`: false, `[1,null],`: false, `[-Infinity,2],`: false,
		`{"a":1,"\u0062":2},`: false, `{"a":"b","b":2},`: false, `[1,2`: false, `{"a`: false, `[1x,2],`: false,
	} {
		if before, after := p.form([]byte(row)); (before != nil) != known || known && (len(before) != 2 || len(after) == 0) {
			t.Errorf("%q: %q, %q", row, before, after)
		}
	}
}

func TestRowsAheadAreReadToTheLast(t *testing.T) {
	t.Parallel()
	const rows = 30_000
	body := strings.Repeat(`[1,2.5],`, rows) + `[1,2]]`
	p := &parser{}
	for range 2 {
		c := p.add("x")
		c.AddNumber(1, true)
		c.AddNumber(1, true)
	}
	p.in.Columns[1].Name = "y"
	s := &scanner{b: []byte(body)}
	if n := p.skipAhead(s, []byte(`[1,2],`)); n != rows || s.i != len(body)-len(`[1,2]]`) {
		t.Errorf("%d rows are read, to %d of %d", n, s.i, len(body))
	}
	x, y := p.in.Columns[0], p.in.Columns[1]
	if x.Len() != rows+2 || x.Kind != Integer || y.Kind != Double || len(y.Num) != rows+2 || y.Num[rows+1] != 2.5 {
		t.Errorf("%d rows of %s, %d of %s", x.Len(), x.Kind, y.Len(), y.Kind)
	}
}

func TestNumbersThatAreRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?`), rapid.StringMatching(`[-+0-9.eE]{0,6}`)).Draw(rt, "text")
		x, _, end := plainNumber([]byte(text+","), 0)
		want, err := strconv.ParseFloat(text, 64)
		if read := err == nil && isNumber([]byte(text)); read != (end == len(text) && text != "") {
			rt.Fatalf("%q: ends at %d, %v", text, end, err)
		}
		if end > 0 && math.Float64bits(x) != math.Float64bits(want) {
			rt.Fatalf("%q: %v, want %v", text, x, want)
		}
	})
}
