package model

import (
	"bytes"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/model/frame"
)

// fill marks a cell as missing that a record does not have. A body of a megabyte could claim terabytes of them: each
// record with a key of its own makes a column for all the others.
func (p *parser) fill(c *Column, body int) {
	if p.filled++; p.filled > 4<<20+body/4 {
		panic(frame.Refuse("the records leave out too many of the %d columns; send them as dataframe_split", len(p.in.Columns)))
	}
	c.AddNull()
}

// records reads [{"name": value}].
func (p *parser) records(s *scanner) {
	p.haveNames = true
	s.open('[', ']')
	for row := 0; ; row++ {
		start := s.i
		p.record(s, row)
		if !s.next(']') {
			return
		}
		if row == 1 {
			row += p.skipAhead(s, s.b[start:s.i])
		}
	}
}

// record reads one object. Keys mostly come in the same order, so the expected column is tried first.
func (p *parser) record(s *scanner, row int) {
	if s.peek() != '{' {
		panic(frame.Refuse("row %d is not an object", row+1))
	}
	if p.index == nil {
		p.index = map[string]int{}
	}
	expected := 0
	if s.open('{', '}') {
		for {
			raw, escaped := s.rawString()
			var c *Column
			if expected < len(p.in.Columns) && !escaped && string(raw) == p.in.Columns[expected].Name {
				c = p.in.Columns[expected]
			} else {
				c, expected = p.column(s.unescape(raw, escaped), row, len(s.b))
			}
			expected++
			s.expect(':')
			if c.N > row {
				panic(frame.Refuse("column %q appears twice in row %d", c.Name, row+1))
			}
			s.cell(c, row)
			if !s.next('}') {
				break
			}
		}
	}
	for _, c := range p.in.Columns {
		if c.N <= row {
			p.fill(c, len(s.b))
		}
	}
	p.in.Rows = row + 1
}

// ParseJSONLines decodes a body with a record, or a list of cells, on each line.
func ParseJSONLines(body []byte, sig *Signature) (in *Input, err error) {
	defer frame.Recover(&err)
	if !utf8.Valid(body) {
		return nil, frame.Refuse("the body is not UTF-8")
	}
	p := &parser{sig: sig}
	s := &scanner{b: bytes.TrimPrefix(body, byteOrderMark)}
	first := s.peek()
	p.haveNames = first == '{'
	for row := 0; s.peek() != 0 || s.i < len(s.b); row++ {
		start := s.i
		if p.haveNames {
			p.record(s, row)
		} else {
			p.row(s, row, false)
		}
		if c := s.inLine(); c != 0 && c != '\n' {
			s.fail("%s after the value of a line", s.describe())
		}
		if s.peek(); row == 1 {
			row += p.skipAhead(s, s.b[start:s.i])
		}
	}
	if p.in.Rows == 0 {
		return nil, frame.Refuse("the body is empty")
	}
	return p.finish()
}

// inLine skips blanks and gives the byte after them, 0 at the end.
func (s *scanner) inLine() byte {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
	if s.i == len(s.b) {
		return 0
	}
	return s.b[s.i]
}

func (p *parser) column(name string, row, body int) (*Column, int) {
	if i, ok := p.index[name]; ok {
		return p.in.Columns[i], i
	}
	c := p.add(name)
	for range row {
		p.fill(c, body)
	}
	p.index[name] = len(p.in.Columns) - 1
	return c, len(p.in.Columns) - 1
}
