package model

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/model/frame"
)

// ParseCSV decodes a CSV body with a header, as R's read.csv(stringsAsFactors = FALSE) would: blanks after commas do not
// count (R keeps them in unquoted text), each column is logical, integer, double or character by all of its values, and NA or an empty field is missing
// (an empty text stays one). A header with one name less than the rows have fields makes the first field the row's name.
// Column names stay as they are. What is wrong is INVALID_PARAMETER_VALUE with the line.
func ParseCSV(body []byte, sig *Signature) (in *Input, err error) {
	readers := max(1, min(len(body)/perReader, runtime.GOMAXPROCS(0)))
	if in := wholeChunk(body).numbers(sig, &Like{}, readers); in != nil {
		sig.addDefaults(in)
		in.Columns, err = sig.apply(in.Columns, true)
		return in, err
	}
	return parseCSV(body, sig, nil)
}

// parseCSV reads what like says was text as text, where the signature says nothing of it, and takes names of rows only
// when like has them.
func parseCSV(body []byte, sig *Signature, like *Like) (in *Input, err error) {
	defer frame.Recover(&err)
	if !utf8.Valid(body) {
		return nil, frame.Refuse("the body is not UTF-8")
	}
	if bytes.IndexByte(body, 0) >= 0 {
		return nil, frame.Refuse("the body holds U+0000, which R cannot hold")
	}
	body = bytes.TrimPrefix(body, byteOrderMark)
	if bytes.IndexByte(body, '\n') < 0 && bytes.IndexByte(body, '\r') >= 0 { // lines as old Macs ended them
		body = bytes.ReplaceAll(body, []byte("\r"), []byte("\n"))
	}
	r := csv.NewReader(bytes.NewReader(body))
	r.TrimLeadingSpace = true
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, frame.Refuse("the CSV body is empty: it needs a header")
	}
	if err != nil {
		return nil, badCSV(err)
	}
	if len(header) > frame.MaxColumns {
		return nil, frame.Refuse("more than %d columns", frame.MaxColumns)
	}
	names := make([]string, len(header))
	seen := map[string]bool{}
	for i, h := range header {
		names[i] = strings.TrimRight(h, " \t")
		if names[i] == "" {
			names[i] = "X"
			if i > 0 {
				names[i] += "." + strconv.Itoa(i)
			}
		}
		if err := checkName(names[i]); err != nil {
			return nil, err
		}
		if seen[names[i]] {
			return nil, frame.Refuse("column %q appears twice in the header", names[i])
		}
		seen[names[i]] = true
	}
	r.ReuseRecord = true
	in = &Input{}
	sig.addDefaults(in)
	texts := make([][]string, len(names))
	for row := 1; ; row++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, badCSV(err)
		}
		if len(record) == len(names)+1 && (row == 1 || in.RowNames != nil) && (like == nil || like.RowNames) {
			in.RowNames = append(in.RowNames, record[0])
			record = record[1:]
		} else if len(record) != len(names) || in.RowNames != nil {
			line, _ := r.FieldPos(0)
			return nil, frame.Refuse("row %d (line %d) has %d fields, the header has %d", row, line, len(record), len(names))
		}
		for i, f := range record {
			texts[i] = append(texts[i], f)
		}
		in.Rows = row
	}
	for i, name := range names {
		typ := ""
		if spec := sig.column(name, i); spec != nil {
			typ = spec.Type
		} else if like != nil && like.Kinds[name] == Text {
			typ = "string"
		}
		switch typ {
		case "datetime":
			in.Columns = append(in.Columns, textColumn(name, texts[i], true))
		case "string":
			in.Columns = append(in.Columns, textColumn(name, texts[i], false))
		case "boolean":
			in.Columns = append(in.Columns, logicalColumn(name, texts[i]))
		default:
			in.Columns = append(in.Columns, sniff(name, texts[i]))
		}
	}
	in.Columns, err = sig.apply(in.Columns, true)
	if err != nil {
		return nil, err
	}
	return in, nil
}

func badCSV(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return frame.Refuse("the body is not CSV: line %d, column %d: %v", p.Line, p.Column, p.Err)
	}
	return frame.Refuse("the body is not CSV: %v", err)
}

// column gives what the signature says of a column of a table with a header, or nil.
func (s *Signature) column(name string, i int) *ColSpec {
	if s == nil || s.Tensor {
		return nil
	}
	if !s.named() && i < len(s.Inputs) {
		return &s.Inputs[i]
	}
	for j := range s.Inputs {
		if s.Inputs[j].Name == name {
			return &s.Inputs[j]
		}
	}
	return nil
}

func missing(s string) bool { return s == "" || s == "NA" }

// textColumn keeps a column as text; an empty field is missing only where text is not the column's final type.
func textColumn(name string, texts []string, emptyIsMissing bool) *Column {
	c := &Column{Name: name, Kind: Text}
	for _, s := range texts {
		if s == "NA" || (emptyIsMissing && s == "") {
			c.AddNull()
		} else {
			c.Str = append(c.Str, s)
			c.Present()
		}
	}
	return c
}

// sniff finds the narrowest type that holds every value, as R's type.convert() does.
func sniff(name string, texts []string) *Column {
	logical, integer, double, any := true, true, true, false
	for _, s := range texts {
		if logical && !missing(s) {
			_, logical = parseLogical(s)
		}
		s = strings.Trim(s, " \t")
		if missing(s) {
			continue
		}
		any = true
		if integer {
			integer = isInteger(s)
		}
		if double && !integer {
			_, double = parseDouble(s)
		}
		if !logical && !integer && !double {
			return textColumn(name, texts, false)
		}
	}
	c := &Column{Name: name}
	for _, s := range texts {
		s = strings.Trim(s, " \t")
		switch {
		case missing(s):
			c.AddNull()
		case logical:
			b, _ := parseLogical(s)
			c.AddBool(b)
		default:
			x, _ := parseDouble(s)
			c.AddNumber(x, integer)
		}
	}
	if !any {
		c.Become(Logical) // what R makes of a column without values
	}
	return c
}

// parseLogical takes what R's type.convert() does: the words of Python and SQL stay text.
func parseLogical(s string) (value, ok bool) {
	switch s {
	case "T", "TRUE":
		return true, true
	case "F", "FALSE":
		return false, true
	}
	return false, false
}

// logicalColumn reads a column that the signature calls boolean: there the spellings of other languages count as well.
func logicalColumn(name string, texts []string) *Column {
	upper := make([]string, len(texts))
	for i, s := range texts {
		switch s = strings.TrimRight(s, " \t"); s {
		case "true", "True", "false", "False":
			s = strings.ToUpper(s)
		}
		upper[i] = s
	}
	return sniff(name, upper)
}

func isInteger(s string) bool {
	n, err := strconv.ParseInt(strings.TrimPrefix(s, "+"), 10, 64)
	return err == nil && n > math.MinInt32 && n <= math.MaxInt32
}

func parseDouble(s string) (float64, bool) {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return parseSpecial(s)
		}
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil || math.IsInf(x, 0) || x == 0 && errors.Is(err, strconv.ErrRange)
}

func parseSpecial(s string) (float64, bool) {
	sign := 1.0
	body := s
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		if s[0] == '-' {
			sign = -1
		}
		body = s[1:]
	}
	switch {
	case strings.EqualFold(body, "nan"):
		return math.NaN(), true
	case strings.EqualFold(body, "inf") || strings.EqualFold(body, "infinity"):
		return sign * math.Inf(1), true
	case strings.HasPrefix(body, "0x") || strings.HasPrefix(body, "0X"):
		n, err := strconv.ParseUint(body[2:], 16, 53)
		return sign * float64(n), err == nil
	}
	return 0, false
}
