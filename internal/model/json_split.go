package model

import (
	"slices"
	"strconv"

	"github.com/weir-ml/weir/internal/model/frame"
)

func isSplit(fields []field) bool {
	data, other := false, false
	for _, f := range fields {
		switch f.key {
		case "data":
			data = f.raw[0] == '['
		case "columns", "index":
		default:
			other = true
		}
	}
	return data && !other
}

// split reads {"columns", "index", "data"}: rows of cells beside the names of the columns. Without fields it reads them
// from s, and rows whose columns came before them on the way: nothing is looked at twice.
func (p *parser) split(s *scanner, fields []field) {
	haveColumns, haveData := false, false
	columns := func(in *scanner) {
		p.haveNames, haveColumns = true, true
		seen := map[string]bool{}
		for _, name := range in.texts("columns") {
			if seen[name] {
				panic(frame.Refuse("column %q appears twice in columns", name))
			}
			seen[name] = true
			p.add(name)
		}
	}
	data := func(in *scanner) {
		if in.peek() != '[' {
			panic(frame.Refuse("the field \"data\" must be a list of rows"))
		}
		haveData = true
		p.rows(in, haveColumns)
	}
	if fields == nil {
		if s.peek() != '{' {
			panic(frame.Refuse("dataframe_split must be an object with the fields columns, index and data"))
		}
		fields = s.fieldsWith(func(key string) bool {
			switch {
			case key == "columns" && !haveData:
				columns(s)
			case key == "data" && haveColumns:
				data(s)
			default:
				return false
			}
			return true
		})
	}
	var later [3]*field // columns, data, index
	for i := range fields {
		switch f := &fields[i]; f.key {
		case "columns":
			later[0] = f
		case "data":
			later[1] = f
		case "index":
			later[2] = f
		default:
			panic(frame.Refuse("dataframe_split has the unknown field %q; it takes columns, index and data", f.key))
		}
	}
	if f := later[0]; f != nil && !f.taken {
		columns(s.within(f))
	}
	if later[1] == nil {
		panic(frame.Refuse("dataframe_split lacks the field \"data\""))
	}
	if f := later[1]; !f.taken {
		data(s.within(f))
	}
	if f := later[2]; f != nil {
		p.in.RowNames = p.rowNames(s.within(f))
	}
}

// rowNames gives the index as row names; R wants them unique, and automatic ones say as much as 0, 1, 2.
func (p *parser) rowNames(s *scanner) []string {
	if s.peek() == 'n' {
		return nil
	}
	names := s.texts("index")
	if len(names) != p.in.Rows {
		panic(frame.Refuse("index has %d elements for %d rows", len(names), p.in.Rows))
	}
	seen := make(map[string]bool, len(names))
	counting := true
	for i, n := range names {
		if seen[n] {
			return nil
		}
		seen[n] = true
		counting = counting && (n == strconv.Itoa(i) || n == strconv.Itoa(i+1))
	}
	if counting {
		return nil
	}
	return names
}

// texts reads a list of texts or numbers, each as it is written.
func (s *scanner) texts(what string) []string {
	out := []string{}
	if s.peek() != '[' {
		panic(frame.Refuse("the field %q must be a list", what))
	}
	if !s.open('[', ']') {
		return out
	}
	for {
		switch s.peek() {
		case '"':
			out = append(out, s.string())
		case '[', '{':
			panic(frame.Refuse("the field %q must be a list of texts", what))
		default:
			out = append(out, string(s.skip()))
		}
		if len(out) > frame.MaxColumns && what == "columns" {
			panic(frame.Refuse("more than %d columns", frame.MaxColumns))
		}
		if !s.next(']') {
			return out
		}
	}
}

// rows reads a list of lists; fixed says that the columns are known before.
func (p *parser) rows(s *scanner, fixed bool) {
	if !s.open('[', ']') {
		return
	}
	for row := 0; ; row++ {
		start := s.i
		p.row(s, row, fixed)
		if row == 0 {
			p.reserve(len(s.b)-s.i, s.i-start)
		}
		if !s.next(']') {
			return
		}
		if row == 1 {
			row += p.skipAhead(s, s.b[start:s.i])
		}
	}
}

// row reads one list of cells.
func (p *parser) row(s *scanner, row int, fixed bool) {
	if s.peek() != '[' {
		panic(frame.Refuse("row %d is not a list", row+1))
	}
	n := 0
	if s.open('[', ']') {
		for {
			if n == len(p.in.Columns) {
				if row > 0 || fixed {
					panic(frame.Refuse("row %d has more than %d values", row+1, n))
				}
				name := "V" + strconv.Itoa(n+1)
				if p.sig != nil && n < len(p.sig.Inputs) && p.sig.Inputs[n].Name != "" {
					name = p.sig.Inputs[n].Name
				}
				p.add(name)
			}
			s.cell(p.in.Columns[n], row)
			n++
			if !s.next(']') {
				break
			}
		}
	}
	if n < len(p.in.Columns) {
		panic(frame.Refuse("row %d has %d values for %d columns", row+1, n, len(p.in.Columns)))
	}
	p.in.Rows = row + 1
}

// reserve makes room for the rows that the rest of the body is likely to hold, by the bytes of the first one.
func (p *parser) reserve(rest, first int) {
	rows := rest/max(first, 1) + 1
	for _, c := range p.in.Columns {
		if c.Num != nil {
			c.Num = slices.Grow(c.Num, rows)
		}
		if c.Str != nil {
			c.Str = slices.Grow(c.Str, min(rows, 1<<16))
		}
	}
}
