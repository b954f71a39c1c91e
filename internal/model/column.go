package model

import "github.com/weir-ml/weir/internal/model/frame"

// Column is a named vector of an input or of predictions.
type Column = frame.Column

// Kind is the type of a column.
type Kind = frame.Kind

// The types of a column; see package frame.
const (
	Empty   = frame.Empty
	Logical = frame.Logical
	Integer = frame.Integer
	Double  = frame.Double
	Text    = frame.Text
	Factor  = frame.Factor
	Time    = frame.Time
	Day     = frame.Day
)

// Concat joins columns of equal name, type and levels.
func Concat(parts []*Column) *Column {
	first := parts[0]
	out := &Column{Name: first.Name, Kind: first.Kind, Levels: first.Levels, Ordered: first.Ordered, TZone: first.TZone}
	missing := false
	for _, p := range parts {
		out.N += p.N
		missing = missing || p.Null != nil
	}
	if out.Kind == Text {
		out.Str = make([]string, 0, out.N)
	} else {
		out.Num = make([]float64, 0, out.N)
	}
	if missing {
		out.Null = make([]bool, 0, out.N)
	}
	for _, p := range parts {
		out.Num = append(out.Num, p.Num...)
		out.Str = append(out.Str, p.Str...)
		if missing && p.Null != nil {
			out.Null = append(out.Null, p.Null...)
		} else if missing {
			out.Null = append(out.Null, make([]bool, p.N)...)
		}
	}
	return out
}
