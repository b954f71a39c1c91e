package model

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// The media types of bodies that hold typed columns.
const (
	MediaArrowStream = "application/vnd.apache.arrow.stream"
	MediaArrowFile   = "application/vnd.apache.arrow.file"
	MediaParquet     = "application/vnd.apache.parquet"
)

// HoldsColumns reports whether a body of the media type holds typed columns, which ParseColumns reads.
func HoldsColumns(media string) bool {
	return media == MediaArrowStream || media == MediaArrowFile || media == MediaParquet
}

// ParseColumns decodes a body of Arrow's IPC format or of Parquet. Types become R's as the arrow package would have it:
// whole numbers are integers where they all fit and numbers otherwise (beyond 2^53 the nearest one), a dictionary of
// texts is a factor, dates are Date, timestamps POSIXct, decimals numbers, null is NA. Columns that the signature does not name
// are not looked at; of the others a nested or binary one is refused by its name. The columns of pandas' index are dropped.
func ParseColumns(media string, body []byte, sig *Signature) (*Input, error) {
	return parseColumns(media, body, sig, unpackedLimit(len(body)))
}

func parseColumns(media string, body []byte, sig *Signature, limit int64) (*Input, error) {
	s := newSheet(sig, limit)
	var src frames
	var err error
	switch media {
	case MediaParquet:
		src, err = openParquet(bytes.NewReader(body), int64(len(body)), s)
	case MediaArrowFile:
		src, err = openArrow(bytes.NewReader(body), true, s)
	default:
		src, err = openArrow(bytes.NewReader(body), false, s)
	}
	if err != nil {
		return nil, err
	}
	in := &Input{}
	sig.addDefaults(in)
	for {
		rows, err := src.next(math.MaxInt32)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if in.Rows += rows; in.Rows > math.MaxInt32 {
			return nil, badInput("the body holds more than %d rows", math.MaxInt32)
		}
	}
	in.Columns, err = sig.applyTyped(s.columns)
	return in, err
}

// unpackedLimit bounds what a compressed body of n bytes may grow to: eight times itself, and 256 MiB in any case.
func unpackedLimit(n int) int64 { return max(256<<20, 8*int64(n)) }

// frames are the rows of a source of typed columns. next appends at most most of them to the sheet's columns and says how
// many; at the end it gives io.EOF.
type frames interface {
	next(most int) (rows int, err error)
}

// sheet collects typed columns. What they and what they are read from take is charged to a budget, so that a body of a
// few bytes that unpacks to gigabytes is refused before it does.
type sheet struct {
	sig     *Signature
	columns []*Column
	levels  []map[string]int // of each factor: where its levels stand
	limit   int64
	left    int64
}

func newSheet(sig *Signature, limit int64) *sheet { return &sheet{sig: sig, limit: limit, left: limit} }

func (s *sheet) spend(n int64) {
	if n < 0 || n > s.left {
		panic(badInput("the rows take more than %d MiB when they are unpacked; send fewer at a time", s.limit>>20))
	}
	s.left -= n
}

func (s *sheet) giveBack(n int64) { s.left = min(s.left+n, s.limit) }

// take gives the rows collected so far, and their room back.
func (s *sheet) take() []*Column {
	out := make([]*Column, len(s.columns))
	for i, c := range s.columns {
		out[i] = c
		s.columns[i] = &Column{Name: c.Name, Kind: c.Kind, Levels: c.Levels}
	}
	s.left = s.limit
	return out
}

// wants reports whether a column is to be read at all: with a signature of names only those that it names are, without
// one all but pandas' index.
func (s *sheet) wants(name string) bool {
	if s.sig != nil && !s.sig.Tensor && s.sig.named() {
		return s.sig.column(name, 0) != nil
	}
	return !strings.HasPrefix(name, "__index_level_")
}

// add makes room for a column.
func (s *sheet) add(name string, kind Kind) error {
	if len(s.columns) >= maxColumns {
		return badInput("more than %d columns", maxColumns)
	}
	if !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return badInput("the column name %q is not a text that R can hold", name)
	}
	for _, c := range s.columns {
		if c.Name == name {
			return badInput("column %q appears twice", name)
		}
	}
	s.columns = append(s.columns, &Column{Name: name, Kind: kind})
	s.levels = append(s.levels, nil)
	return nil
}

// text checks a text that goes into column c.
func (s *sheet) text(c *Column, b string) string {
	if !utf8.ValidString(b) || strings.IndexByte(b, 0) >= 0 {
		panic(badInput("column %q, row %d: the text is not UTF-8 without U+0000", c.Name, c.n+1))
	}
	return b
}

// level gives where a text stands among the levels of the factor in column i, and makes it one where it is none.
func (s *sheet) level(i int, text string) int {
	c := s.columns[i]
	if s.levels[i] == nil {
		s.levels[i] = make(map[string]int, len(c.Levels))
		for at, l := range c.Levels {
			s.levels[i][l] = at
		}
	}
	at, known := s.levels[i][text]
	if !known {
		s.spend(int64(len(text)) + 64)
		at = len(c.Levels)
		s.levels[i][s.text(c, text)] = at
		c.Levels = append(c.Levels, text)
	}
	return at
}

// refuseType says that a column is of a type that R's vectors have no place for.
func refuseType(name, typ string) error {
	return badInput("column %q is of the type %s; numbers, texts, booleans, dates and timestamps can be predicted for", name, typ)
}

// applyTyped is apply for columns that came with types: what the signature calls a text may have been a factor.
func (s *Signature) applyTyped(columns []*Column) ([]*Column, error) {
	for i, c := range columns {
		spec := s.column(c.Name, i)
		if spec == nil || c.Kind != Factor || (spec.Type != "string" && spec.Type != "binary") {
			continue
		}
		c.Str = make([]string, c.n)
		for row := range c.n {
			if !c.IsNull(row) {
				c.Str[row] = c.Levels[int(c.Num[row])]
			}
		}
		c.Kind, c.Num, c.Levels = Text, nil, nil
	}
	return s.apply(columns, true)
}

// retime makes days of times and times of days.
func (spec *ColSpec) retime(c *Column) error {
	kind := spec.timeKind()
	if c.Kind == kind {
		return nil
	}
	for i := range c.Num {
		if kind == Time {
			c.Num[i] *= 86400
		} else if c.Num[i] /= 86400; c.Num[i] != math.Trunc(c.Num[i]) && !c.IsNull(i) {
			return badInput("column %q, row %d: a time of day, where the model takes a date", c.Name, i+1)
		}
	}
	c.Kind = kind
	return nil
}

// addTyped adds a number to a column whose type is known; integers become numbers once one is too large for R's.
func (c *Column) addTyped(x float64) {
	if c.Kind == Integer && (x <= math.MinInt32 || x > math.MaxInt32) {
		c.Kind = Double
	}
	c.Num = append(c.Num, x)
	c.present()
}

// addAll adds n numbers that are all there.
func (c *Column) addAll(n int, number func(int) float64) {
	at := len(c.Num)
	c.Num = slices.Grow(c.Num, n)[:at+n]
	added := c.Num[at:]
	for i := range added {
		added[i] = number(i)
	}
	c.allAdded(added)
}

// allAdded counts numbers that stand in Num already.
func (c *Column) allAdded(added []float64) {
	for i := 0; c.Kind == Integer && i < len(added); i++ {
		if x := added[i]; x <= math.MinInt32 || x > math.MaxInt32 {
			c.Kind = Double
		}
	}
	c.n += len(added)
	if c.Null != nil {
		c.Null = append(c.Null, make([]bool, len(added))...)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// seconds divides a count of parts of a second, whole seconds apart from the rest, as each is exact in a double.
func seconds(x, perSecond int64) float64 {
	return float64(x/perSecond) + float64(x%perSecond)/float64(perSecond)
}
