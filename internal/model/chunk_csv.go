package model

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/model/frame"
)

// numbers reads a piece of CSV whose columns are numbers and texts that are known to be texts, three times as fast as
// parseCSV and with the same result: most rows that anybody predicts for in millions are such. It gives nil for a piece with
// anything else in it (a quote, a logical value, a row of another length), which parseCSV then reads or finds fault with.
// The rows are divided among readers.
func (c *Chunk) numbers(sig *Signature, like *Like, readers int) *Input {
	if c == nil || !c.csv || like == nil || like.RowNames || bytes.IndexByte(c.body, '"') >= 0 || bytes.IndexByte(c.body, 0) >= 0 ||
		bytes.IndexByte(c.header, '"') >= 0 || !utf8.Valid(c.body) || !utf8.Valid(c.header) {
		return nil
	}
	parts := make([][]fastColumn, readers)
	for k := range parts {
		rows := c.Rows() // the first one holds all in the end
		if k > 0 {
			rows = rows/readers + 1
		}
		if parts[k] = fastColumns(c.header, sig, like, rows); parts[k] == nil {
			return nil
		}
	}
	text := string(c.body) // texts are parts of it
	read := make([]bool, readers)
	part := func(k int) {
		from, to := k*c.Rows()/readers, (k+1)*c.Rows()/readers
		start := 0
		if from > 0 {
			start = c.ends[from-1]
		}
		read[k] = readLines(text, start, c.ends[from:to], parts[k])
	}
	var done sync.WaitGroup
	for k := 1; k < readers; k++ {
		done.Go(func() { part(k) })
	}
	part(0)
	done.Wait()
	if slices.Contains(read, false) {
		return nil
	}
	in := &Input{Rows: c.Rows(), Columns: make([]*Column, len(parts[0]))}
	for i := range parts[0] {
		f := &parts[0][i]
		for _, more := range parts[1:] {
			f.join(&more[i])
		}
		in.Columns[i] = f.done()
	}
	return in
}

// readLines reads the lines of text that end where ends says, and reports false when one of them is not what numbers reads.
func readLines(text string, start int, ends []int, columns []fastColumn) bool {
	for _, end := range ends {
		line := text[start:end]
		start = end
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if len(line) == 0 || strings.IndexByte(line, '\n') >= 0 { // blank lines between
			return false
		}
		for i := range columns {
			f := &columns[i]
			last := i == len(columns)-1
			if !f.text { // most fields are short numbers: read to their end in one pass
				if x, whole, n := leadingNumber(line); n > 0 && (last && n == len(line) || !last && n < len(line) && line[n] == ',') {
					f.number(x, whole)
					line = line[min(n+1, len(line)):]
					continue
				}
			}
			field := line
			if comma := strings.IndexByte(line, ','); last == (comma >= 0) {
				return false // too many fields, or too few
			} else if !last {
				field, line = line[:comma], line[comma+1:]
			}
			if !f.add(field) {
				return false
			}
		}
	}
	return true
}

// wholeChunk is a body of CSV as one piece; nil when it has no rows, or a quote, which may hold line ends together.
func wholeChunk(body []byte) *Chunk {
	end := bytes.IndexByte(body, '\n')
	if end <= 0 || bytes.IndexByte(body, '"') >= 0 {
		return nil
	}
	c := &Chunk{First: 1, csv: true, header: body[:end+1]}
	rest := body[end+1:]
	c.ends = make([]int, 0, bytes.Count(rest, []byte{'\n'})+1)
	for at := 0; at < len(rest); {
		next := bytes.IndexByte(rest[at:], '\n') + 1
		if next == 0 {
			next = len(rest) - at
		}
		if len(bytes.TrimSpace(rest[at:at+next])) == 0 { // encoding/csv has its own mind about these
			return nil
		}
		at += next
		c.ends = append(c.ends, at)
	}
	if c.body = rest; len(c.ends) == 0 {
		return nil
	}
	return c
}

// fastColumn collects the fields of a column.
type fastColumn struct {
	*Column
	text, emptyIsMissing bool
	fraction             bool // a number among them is not an R integer
	any                  bool // a value is there
}

func fastColumns(header []byte, sig *Signature, like *Like, rows int) []fastColumn {
	names := strings.Split(strings.TrimPrefix(strings.TrimRight(string(header), "\r\n"), "\ufeff"), ",")
	out := make([]fastColumn, len(names))
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		name = strings.TrimSpace(name)
		if name == "" || seen[name] || len(name) > maxName || strings.IndexByte(name, 0) >= 0 || len(names) > frame.MaxColumns {
			return nil
		}
		seen[name] = true
		f := fastColumn{Column: &Column{Name: name, Kind: Double}}
		spec := sig.column(name, i)
		switch {
		case spec != nil && spec.Type == "datetime":
			f.text, f.emptyIsMissing = true, true
		case spec != nil && spec.Type == "string", spec == nil && like.Kinds[name] == Text:
			f.text = true
		case spec != nil && spec.Type == "boolean", spec == nil && like.Kinds[name] == Logical:
			return nil
		}
		if f.text {
			f.Kind, f.Str = Text, make([]string, 0, rows)
		} else {
			f.Num = make([]float64, 0, rows)
		}
		out[i] = f
	}
	return out
}

// add takes a field, or reports that it is none of what numbers reads.
func (f *fastColumn) add(s string) bool {
	if s != "" && (s[0] <= ' ' || s[0] >= utf8.RuneSelf) {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if f.text {
		if strings.IndexByte(s, '\r') >= 0 {
			return false
		}
		if s == "NA" || f.emptyIsMissing && s == "" {
			f.AddNull()
			return true
		}
		f.Str = append(f.Str, s)
		f.Present()
		return true
	}
	if s = strings.TrimRight(s, " \t"); missing(s) {
		f.AddNull()
		return true
	}
	x, ok := parseDouble(s)
	if ok {
		f.number(x, isInteger(s))
	}
	return ok
}

func (f *fastColumn) number(x float64, whole bool) {
	f.any = true
	f.fraction = f.fraction || !whole || x <= math.MinInt32 || x > math.MaxInt32
	f.Num = append(f.Num, x)
	f.Present()
}

// join appends the fields of the rows that come after these.
func (f *fastColumn) join(rest *fastColumn) {
	f.any, f.fraction = f.any || rest.any, f.fraction || rest.fraction
	f.Num, f.Str = append(f.Num, rest.Num...), append(f.Str, rest.Str...)
	if f.Null == nil && rest.Null != nil {
		f.Null = make([]bool, f.N)
	}
	f.N += rest.N
	if f.Null != nil {
		f.Null = append(f.Null, rest.Null...)
		f.Null = append(f.Null, make([]bool, f.N-len(f.Null))...)
	}
}

// done gives the column the type that all of its fields make.
func (f *fastColumn) done() *Column {
	switch {
	case f.text:
	case !f.any:
		f.Kind = Logical // what R makes of a column without values
	case !f.fraction:
		f.Kind = Integer
	}
	return f.Column
}

// leadingNumber reads a number of at most 15 digits without an exponent that s begins with, as scanner.short does, and
// says how many bytes it takes; 0 for anything else.
func leadingNumber(s string) (x float64, whole bool, n int) {
	i := 0
	negative := s != "" && s[0] == '-'
	if negative {
		i = 1
	}
	start, point := i, -1
	var sum int64
	for ; i < len(s); i++ {
		if d := s[i] - '0'; d <= 9 {
			if sum = sum*10 + int64(d); i-start > 16 {
				return 0, false, 0
			}
		} else if s[i] == '.' && point < 0 {
			point = i
		} else {
			break
		}
	}
	digits := i - start
	if point >= 0 {
		digits--
	}
	if digits == 0 || digits > 15 {
		return 0, false, 0
	}
	x = float64(sum)
	if point >= 0 {
		x /= tens[i-1-point]
	}
	if negative {
		x = math.Copysign(x, -1)
	}
	return x, point < 0, i
}
