package model

import (
	"bytes"
	"math"
	"runtime"
	"strconv"
	"sync"

	"github.com/weir-ml/weir/internal/model/frame"
)

// numberRows reads rows that hold nothing but numbers. Between the numbers of a row one program writes the same bytes in
// each: brackets and commas, or the keys of a record. A row of another form, or with another value, is left to the scanner.
type numberRows struct {
	b       []byte
	before  [][]byte // what stands before each number of a row
	after   []byte   // what stands behind the last one, up to the next row
	columns [][]float64
	large   []bool // of each column: a number is none of R's integers
	begin   int
	end     int // where the rows of another reader begin
	at      int // where the next row begins
	rows    int
}

const (
	worthwhile = 1 << 10  // bytes of rows that are worth a look at how they are written
	perReader  = 48 << 10 // those that are worth another processor
)

// skipAhead reads the rows of numbers that come next and are written as sample is: the row before them, with what stands
// between it and them. It gives how many they are.
func (p *parser) skipAhead(s *scanner, sample []byte) (rows int) {
	if len(s.b)-s.i < worthwhile {
		return 0
	}
	for _, c := range p.in.Columns {
		if c.Null != nil || c.Kind != frame.Integer && c.Kind != frame.Double {
			return 0
		}
	}
	before, after := p.form(sample)
	if before == nil {
		return 0
	}
	p.reserve(len(s.b)-s.i, len(sample))
	readers := p.divide(&numberRows{b: s.b, before: before, after: after, begin: s.i, end: len(s.b)}, len(sample))
	var done sync.WaitGroup
	for _, r := range readers[1:] {
		done.Go(r.read)
	}
	readers[0].read()
	done.Wait()
	for _, r := range readers {
		if r.begin != s.i { // the reader before stopped on its way, so this one may have begun anywhere
			break
		}
		for k, c := range p.in.Columns {
			c.Num = append(c.Num, r.columns[k][:r.rows]...)
			c.N += r.rows
			if r.large[k] {
				c.Kind = frame.Double
			}
		}
		s.i = r.at
		rows += r.rows
	}
	p.in.Rows += rows
	return rows
}

// form takes a row apart into what stands around its numbers; nil when it holds anything else, or keys that are not in
// the order of the columns.
func (p *parser) form(row []byte) (before [][]byte, after []byte) {
	start := 0
	for i := 0; i < len(row); {
		k := len(before)
		switch c := row[i]; {
		case c == '"':
			key, _, closed := bytes.Cut(row[i+1:], []byte{'"'})
			if !closed || k == len(p.in.Columns) || string(key) != p.in.Columns[k].Name || bytes.IndexByte(key, '\\') >= 0 {
				return nil, nil
			}
			i += len(key) + 2
		case c == '-' || c >= '0' && c <= '9':
			before = append(before, row[start:i])
			i += numberLength(row[i:])
			if start = i; i == len(row) {
				return nil, nil
			}
		case !endsScalar[c]:
			return nil, nil
		default:
			i++
		}
	}
	if len(before) != len(p.in.Columns) {
		return nil, nil
	}
	return before, row[start:]
}

// divide gives the readers of the rows that first would read alone: one for each processor, when there are many.
func (p *parser) divide(first *numberRows, rowBytes int) []*numberRows {
	rest := first.end - first.begin
	n := max(1, min(rest/perReader, runtime.GOMAXPROCS(0)))
	between := append(bytes.Clone(first.after), first.before[0]...)
	readers := []*numberRows{first}
	for k := 1; k < n; k++ {
		last := readers[len(readers)-1]
		from := max(last.begin, first.begin+k*(rest/n))
		next := bytes.Index(first.b[from:], between)
		if next < 0 {
			break
		}
		r := *first
		r.begin = from + next + len(first.after)
		last.end = r.begin
		readers = append(readers, &r)
	}
	for k, r := range readers {
		r.at, r.large, r.columns = r.begin, make([]bool, len(r.before)), make([][]float64, len(r.before))
		for i, c := range p.in.Columns {
			if k == 0 { // behind those that are there, where the room is
				r.columns[i] = c.Num[len(c.Num):]
			} else {
				r.columns[i] = make([]float64, 0, (r.end-r.begin)/rowBytes+1)
			}
		}
	}
	return readers
}

// read reads rows up to the end, or to the first that is different.
func (r *numberRows) read() {
	b, i := r.b, r.at
	for i < r.end {
		for k, piece := range r.before {
			if len(b)-i < len(piece) || string(b[i:i+len(piece)]) != string(piece) {
				return
			}
			i += len(piece)
			x, whole, end := plainNumber(b, i)
			if end == 0 {
				return
			}
			i = end
			r.columns[k] = append(r.columns[k], x)
			if !whole || x <= math.MinInt32 || x > math.MaxInt32 {
				r.large[k] = true
			}
		}
		if len(b)-i < len(r.after) || string(b[i:i+len(r.after)]) != string(r.after) {
			return
		}
		i += len(r.after)
		r.rows++
		r.at = i
	}
}

// plainNumber reads a number at b[i:] and says where it ends; 0 when there is none that a double can hold.
func plainNumber(b []byte, i int) (x float64, whole bool, end int) {
	if x, whole, end = shortNumber(b, i); end > 0 {
		return x, whole, end
	}
	end = i + numberLength(b[i:])
	text := b[i:end]
	if !isNumber(text) {
		return 0, false, 0
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return 0, false, 0
	}
	return x, bytes.IndexAny(text, ".eE") < 0, end
}

// numberLength gives how many bytes at the beginning of b numbers are made of.
func numberLength(b []byte) int {
	for i, c := range b {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return i
		}
	}
	return len(b)
}
