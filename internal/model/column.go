package model

import (
	"math"
	"time"
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
	n       int
}

// Len gives the number of elements.
func (c *Column) Len() int { return c.n }

// IsNull reports whether element i is missing.
func (c *Column) IsNull(i int) bool { return c.Null != nil && c.Null[i] }

func (c *Column) addNull() {
	if c.Null == nil {
		c.Null = make([]bool, c.n, max(c.n+1, cap(c.Num), cap(c.Str)))
	}
	c.Null = append(c.Null, true)
	switch c.Kind {
	case Empty:
	case Text:
		c.Str = append(c.Str, "")
	default:
		c.Num = append(c.Num, 0)
	}
	c.n++
}

// become gives an empty column its type once the first value comes.
func (c *Column) become(k Kind) {
	c.Kind = k
	if c.n == 0 {
		return
	}
	if k == Text {
		c.Str = make([]string, c.n)
	} else {
		c.Num = make([]float64, c.n)
	}
}

func (c *Column) present() {
	c.n++
	if c.Null != nil {
		c.Null = append(c.Null, false)
	}
}

// addNumber adds a number; isInt says that it was written as a whole number. It reports whether the column takes one.
func (c *Column) addNumber(x float64, isInt bool) bool {
	whole := isInt && x > math.MinInt32 && x <= math.MaxInt32
	switch c.Kind {
	case Empty:
		c.become(Double)
		if whole {
			c.Kind = Integer
		}
	case Integer:
		if !whole {
			c.Kind = Double
		}
	case Double:
	case Text:
		if !c.onlySpecials() {
			return false
		}
		return c.addNumber(x, isInt)
	default:
		return false
	}
	c.Num = append(c.Num, x)
	c.present()
	return true
}

func (c *Column) addBool(b bool) bool {
	if c.Kind == Empty {
		c.become(Logical)
	}
	if c.Kind != Logical {
		return false
	}
	x := 0.0
	if b {
		x = 1
	}
	c.Num = append(c.Num, x)
	c.present()
	return true
}

// specials are the texts that jsonlite writes for numbers that JSON cannot hold.
var specials = map[string]float64{"NaN": math.NaN(), "Inf": math.Inf(1), "-Inf": math.Inf(-1), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}

// addText adds a text; among numbers only the texts that stand for special numbers are taken.
func (c *Column) addText(s string) bool {
	switch c.Kind {
	case Empty:
		c.become(Text)
	case Text:
	case Logical, Integer, Double:
		if s == "NA" {
			c.addNull()
			return true
		}
		x, ok := specials[s]
		if !ok || c.Kind == Logical {
			return false
		}
		return c.addNumber(x, false)
	default:
		return false
	}
	c.Str = append(c.Str, s)
	c.present()
	return true
}

// onlySpecials turns a text column into numbers when all of it is "NA", "NaN", "Inf": the number comes after them.
func (c *Column) onlySpecials() bool {
	num := make([]float64, c.n, cap(c.Str)+1)
	var null []bool
	for i, s := range c.Str {
		x, ok := specials[s]
		if c.IsNull(i) || s == "NA" {
			if null == nil {
				null = make([]bool, c.n)
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

// parseTime reads ISO 8601 dates and times, with T or a blank between them; without a zone it is UTC.
func parseTime(s string) (float64, bool) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return float64(t.Unix()) + float64(t.Nanosecond())/1e9, true
		}
	}
	return 0, false
}

// Concat joins columns of equal name, type and levels.
func Concat(parts []*Column) *Column {
	first := parts[0]
	out := &Column{Name: first.Name, Kind: first.Kind, Levels: first.Levels, Ordered: first.Ordered, TZone: first.TZone}
	missing := false
	for _, p := range parts {
		out.n += p.n
		missing = missing || p.Null != nil
	}
	if out.Kind == Text {
		out.Str = make([]string, 0, out.n)
	} else {
		out.Num = make([]float64, 0, out.n)
	}
	if missing {
		out.Null = make([]bool, 0, out.n)
	}
	for _, p := range parts {
		out.Num = append(out.Num, p.Num...)
		out.Str = append(out.Str, p.Str...)
		if missing && p.Null != nil {
			out.Null = append(out.Null, p.Null...)
		} else if missing {
			out.Null = append(out.Null, make([]bool, p.n)...)
		}
	}
	return out
}
