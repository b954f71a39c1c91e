package frame

import (
	"strings"
	"unicode/utf8"
)

// MaxColumns bounds the columns of a frame.
const MaxColumns = 100_000

// Sheet collects typed columns. What they and what they are read from take is charged to a budget, so that a body of a
// few bytes that unpacks to gigabytes is refused before it does. Its methods refuse by a panic that Recover ends.
type Sheet struct {
	Columns []*Column
	wants   func(name string) bool
	names   map[string]bool
	levels  []map[string]int // of each factor: where its levels stand
	limit   int64
	left    int64
}

// NewSheet makes an empty sheet for the columns that wants names, of which the rows that are held at one time take at
// most limit bytes.
func NewSheet(wants func(name string) bool, limit int64) *Sheet {
	return &Sheet{wants: wants, names: map[string]bool{}, limit: limit, left: limit}
}

// Spend charges n bytes.
func (s *Sheet) Spend(n int64) {
	if n < 0 || n > s.left {
		panic(Refuse("the rows take more than %d MiB when they are unpacked; send fewer at a time", s.limit>>20))
	}
	s.left -= n
}

// GiveBack returns what was charged for n bytes that are not held any more.
func (s *Sheet) GiveBack(n int64) { s.left = min(s.left+n, s.limit) }

// Take gives the rows collected so far, and their room back.
func (s *Sheet) Take() []*Column {
	out := make([]*Column, len(s.Columns))
	for i, c := range s.Columns {
		out[i] = c
		s.Columns[i] = &Column{Name: c.Name, Kind: c.Kind, Levels: c.Levels}
	}
	s.left = s.limit
	return out
}

// Wants reports whether a column is to be read at all.
func (s *Sheet) Wants(name string) bool { return s.wants(name) }

// Add makes room for a column.
func (s *Sheet) Add(name string, kind Kind) error {
	if len(s.Columns) >= MaxColumns {
		return Refuse("more than %d columns", MaxColumns)
	}
	if !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return Refuse("the column name %q is not a text that R can hold", name)
	}
	if s.names[name] {
		return Refuse("column %q appears twice", name)
	}
	s.names[name] = true
	s.Columns = append(s.Columns, &Column{Name: name, Kind: kind})
	s.levels = append(s.levels, nil)
	return nil
}

// Text checks a text that goes into column c.
func (s *Sheet) Text(c *Column, text string) string {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		panic(Refuse("column %q, row %d: the text is not UTF-8 without U+0000", c.Name, c.N+1))
	}
	return text
}

// AddText charges and adds a text, which is copied.
func (s *Sheet) AddText(c *Column, text []byte) {
	s.Spend(int64(len(text)) + 16)
	c.Str = append(c.Str, s.Text(c, string(text)))
	c.Present()
}

// Level gives where a text stands among the levels of the factor in column i, and makes it one where it is none.
func (s *Sheet) Level(i int, text string) int {
	c := s.Columns[i]
	if s.levels[i] == nil {
		s.levels[i] = make(map[string]int, len(c.Levels))
		for at, l := range c.Levels {
			s.levels[i][l] = at
		}
	}
	at, known := s.levels[i][text]
	if !known {
		s.Spend(int64(len(text)) + 64)
		at = len(c.Levels)
		s.levels[i][s.Text(c, text)] = at
		c.Levels = append(c.Levels, text)
	}
	return at
}
