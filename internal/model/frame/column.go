package frame

import (
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a column.
type Kind uint8

// The types of a column. Empty is the type of a column that holds only missing values.
const (
	Empty Kind = iota
	Logical
	Integer
	Double
	Text
	Factor
	Time
	Day
)

func (k Kind) String() string {
	return [...]string{"empty", "logical", "integer", "double", "string", "factor", "datetime", "date"}[k]
}

// Column is a named vector. Which slice is used follows from Kind: Num for Logical (0 or 1), Integer, Double, Factor
// (0-based level), Time (seconds since the epoch, UTC) and Day (days since the epoch); Str for Text. A missing value is marked in Null.
type Column struct {
	Name   string
	Kind   Kind
	Num    []float64
	Str    []string
	Levels []string // of a Factor
	// Ordered says that the levels have an order, TZone in which zone R shows a Time; its numbers are the same in each.
	Ordered bool
	TZone   string
	Null    []bool // nil when nothing is missing
	N       int    // elements; who appends to Num or Str himself counts them here
}

// Len gives the number of elements.
func (c *Column) Len() int { return c.N }

// IsNull reports whether element i is missing.
func (c *Column) IsNull(i int) bool { return c.Null != nil && c.Null[i] }

// AddNull adds a missing value.
func (c *Column) AddNull() {
	if c.Null == nil {
		c.Null = make([]bool, c.N, max(c.N+1, cap(c.Num), cap(c.Str)))
	}
	c.Null = append(c.Null, true)
	switch c.Kind {
	case Empty:
	case Text:
		c.Str = append(c.Str, "")
	default:
		c.Num = append(c.Num, 0)
	}
	c.N++
}

// Become gives an empty column its type once the first value comes.
func (c *Column) Become(k Kind) {
	c.Kind = k
	if c.N == 0 {
		return
	}
	if k == Text {
		c.Str = make([]string, c.N)
	} else {
		c.Num = make([]float64, c.N)
	}
}

// Present counts a value that was appended to Num or Str.
func (c *Column) Present() {
	c.N++
	if c.Null != nil {
		c.Null = append(c.Null, false)
	}
}

// AddNumber adds a number; isInt says that it was written as a whole number. It reports whether the column takes one.
func (c *Column) AddNumber(x float64, isInt bool) bool {
	whole := isInt && x > math.MinInt32 && x <= math.MaxInt32
	switch c.Kind {
	case Empty:
		c.Become(Double)
		if whole {
			c.Kind = Integer
		}
	case Integer:
		if !whole {
			c.Kind = Double
		}
	case Double:
	case Text:
		if !c.SpecialsToNumbers() {
			return false
		}
		return c.AddNumber(x, isInt)
	default:
		return false
	}
	c.Num = append(c.Num, x)
	c.Present()
	return true
}

// AddBool adds a logical value and reports whether the column takes one.
func (c *Column) AddBool(b bool) bool {
	if c.Kind == Empty {
		c.Become(Logical)
	}
	if c.Kind != Logical {
		return false
	}
	x := 0.0
	if b {
		x = 1
	}
	c.Num = append(c.Num, x)
	c.Present()
	return true
}

// specials are the texts that jsonlite writes for numbers that JSON cannot hold.
var specials = map[string]float64{"NaN": math.NaN(), "Inf": math.Inf(1), "-Inf": math.Inf(-1), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}

// AddText adds a text and reports whether the column takes one; among numbers only the texts that stand for special
// numbers are taken.
func (c *Column) AddText(s string) bool {
	switch c.Kind {
	case Empty:
		c.Become(Text)
	case Text:
	case Logical, Integer, Double:
		if s == "NA" {
			c.AddNull()
			return true
		}
		x, ok := specials[s]
		if !ok || c.Kind == Logical {
			return false
		}
		return c.AddNumber(x, false)
	default:
		return false
	}
	c.Str = append(c.Str, s)
	c.Present()
	return true
}

// SpecialsToNumbers turns a text column into numbers when all of it is "NA", "NaN", "Inf": the number comes after them. It
// reports whether it did.
func (c *Column) SpecialsToNumbers() bool {
	num := make([]float64, c.N, cap(c.Str)+1)
	var null []bool
	for i, s := range c.Str {
		x, ok := specials[s]
		if c.IsNull(i) || s == "NA" {
			if null == nil {
				null = make([]bool, c.N)
			}
			null[i] = true
		} else if !ok {
			return false
		}
		num[i] = x
	}
	c.Kind, c.Num, c.Str, c.Null = Double, num, nil, null
	return true
}

// NewColumn makes a column of values that are known: numbers for every Kind but Text, which takes texts. null marks the
// missing ones; it may be nil.
func NewColumn(name string, kind Kind, numbers []float64, texts, levels []string, null []bool) *Column {
	return &Column{Name: name, Kind: kind, Num: numbers, Str: texts, Levels: levels, Null: null, N: max(len(numbers), len(texts))}
}

// AllMissing reports whether no value is there.
func (c *Column) AllMissing() bool {
	for i := range c.N {
		if !c.IsNull(i) {
			return false
		}
	}
	return true
}

// FirstPresent gives where the first value is that is not missing; 0 when there is none.
func (c *Column) FirstPresent() int {
	for i := range c.N {
		if !c.IsNull(i) {
			return i
		}
	}
	return 0
}

// Show renders a value for a message.
func (c *Column) Show(i int) string {
	switch {
	case c.Kind == Text:
		s := c.Str[i]
		if len(s) > 40 {
			s = strings.ToValidUTF8(s[:40], "") + "…"
		}
		return strconv.Quote(s)
	case c.Kind == Logical:
		return strconv.FormatBool(c.Num[i] == 1)
	}
	return strconv.FormatFloat(c.Num[i], 'g', -1, 64)
}
