package search

import "slices"

// Row is one object as a filter sees it. A key that the object lacks has no values; a dataset's key, or a metric of a
// logged model, may have several, and a term is true when it is for one of them.
type Row interface {
	Texts(e Entity, key string) []string
	Numbers(e Entity, key string, f Fold) []float64
}

// Match evaluates a filter over one object. It is what every store's queries must agree with.
func Match(e Expr, row Row) bool {
	switch e := e.(type) {
	case And:
		return !slices.ContainsFunc(e, func(x Expr) bool { return !Match(x, row) })
	case Or:
		return slices.ContainsFunc(e, func(x Expr) bool { return Match(x, row) })
	case Not:
		return !Match(e.X, row)
	case *Term:
		if e.Type == Number {
			return e.matchNumbers(row.Numbers(e.Entity, e.Key, e.Fold))
		}
		return e.matchTexts(row.Texts(e.Entity, e.Key))
	}
	return true
}

func (t *Term) matchNumbers(values []float64) bool {
	switch t.Op {
	case IsNull:
		return len(values) == 0
	case IsNotNull:
		return len(values) > 0
	}
	return slices.ContainsFunc(values, t.MatchNumber)
}

func (t *Term) matchTexts(values []string) bool {
	switch t.Op {
	case IsNull:
		return len(values) == 0
	case IsNotNull:
		return len(values) > 0
	}
	return slices.ContainsFunc(values, t.MatchText)
}

// MatchNumber compares one number; of the comparators only != is true for NaN.
func (t *Term) MatchNumber(v float64) bool {
	switch t.Op {
	case Eq:
		return v == t.Number
	case Ne:
		return v != t.Number
	case Lt:
		return v < t.Number
	case Le:
		return v <= t.Number
	case Gt:
		return v > t.Number
	case Ge:
		return v >= t.Number
	}
	return t.Op == IsNotNull
}

// MatchText compares one text.
func (t *Term) MatchText(v string) bool {
	switch t.Op {
	case Eq:
		return v == t.Text
	case Ne:
		return v != t.Text
	case Like, NotLike:
		return Compile(t.Text, false).Match(v) == (t.Op == Like)
	case ILike, NotILike:
		return Compile(t.Text, true).Match(v) == (t.Op == ILike)
	case In:
		return slices.Contains(t.List, v)
	case NotIn:
		return !slices.Contains(t.List, v)
	}
	return t.Op == IsNotNull
}
