package search

import (
	"strconv"
	"strings"
	"unicode"
)

// Entity is the kind of thing a term looks at, in its canonical spelling.
type Entity string

// The entities. Which of them a search has is up to its Grammar.
const (
	Attribute Entity = "attribute"
	Metric    Entity = "metric"
	Param     Entity = "parameter"
	Tag       Entity = "tag"
	Dataset   Entity = "dataset"
)

// Op is a comparator in its canonical spelling.
type Op string

// The comparators. All of them are false where the object lacks the key, except IsNull.
const (
	Eq        Op = "="
	Ne        Op = "!="
	Lt        Op = "<"
	Le        Op = "<="
	Gt        Op = ">"
	Ge        Op = ">="
	Like      Op = "LIKE"
	ILike     Op = "ILIKE"
	NotLike   Op = "NOT LIKE"
	NotILike  Op = "NOT ILIKE"
	In        Op = "IN"
	NotIn     Op = "NOT IN"
	IsNull    Op = "IS NULL"
	IsNotNull Op = "IS NOT NULL"
)

// Type says which field of a Term holds the value that it compares with.
type Type int

// The types of a term's target.
const (
	Text   Type = iota // Term.Text, or Term.List for In and NotIn
	Number             // Term.Number
)

// Fold says which value of a metric a term or an order key looks at.
type Fold string

// The folds. Latest is what MLflow means by a metric's value: the one at the greatest (step, timestamp, value).
const (
	Latest Fold = ""
	Min    Fold = "min"
	Max    Fold = "max"
	First  Fold = "first"
	Last   Fold = "last"
)

// Expr is a node of a filter: And, Or, Not or *Term. A nil Expr matches everything.
type Expr interface {
	// String prints the node in the language; parsing the text gives the same tree.
	String() string
	print(b *strings.Builder, parent int)
}

// And is true when all of its two or more nodes are; no node of it is an And.
type And []Expr

// Or is true when one of its two or more nodes is; no node of it is an Or.
type Or []Expr

// Not is true when its node is not, also where that node is false because the object lacks the key.
type Not struct{ X Expr }

// Term compares one value of an object.
type Term struct {
	Entity Entity
	Key    string // an attribute's canonical name, or the metric, param or tag as it was logged
	Fold   Fold   // only for metrics
	Op     Op
	Type   Type
	Text   string
	Number float64
	List   []string // the values of In and NotIn
	Column int      // where the term begins in the filter, in characters from 1
}

// Conjuncts gives the terms of a filter that is one term or an And of terms, and false for any other filter.
func Conjuncts(e Expr) ([]*Term, bool) {
	switch e := e.(type) {
	case nil:
		return nil, true
	case *Term:
		return []*Term{e}, true
	case And:
		terms := make([]*Term, len(e))
		for i, x := range e {
			t, ok := x.(*Term)
			if !ok {
				return nil, false
			}
			terms[i] = t
		}
		return terms, true
	}
	return nil, false
}

// Walk calls f for each term of a filter, from left to right.
func Walk(e Expr, f func(*Term)) {
	switch e := e.(type) {
	case *Term:
		f(e)
	case And:
		for _, x := range e {
			Walk(x, f)
		}
	case Or:
		for _, x := range e {
			Walk(x, f)
		}
	case Not:
		Walk(e.X, f)
	}
}

// The binding strengths: a node is put into parentheses below a parent that binds tighter.
const (
	bindOr = iota + 1
	bindAnd
	bindNot
)

func printed(e Expr) string {
	var b strings.Builder
	e.print(&b, 0)
	return b.String()
}

func (e And) String() string   { return printed(e) }
func (e Or) String() string    { return printed(e) }
func (e Not) String() string   { return printed(e) }
func (t *Term) String() string { return printed(t) }

func (e And) print(b *strings.Builder, parent int) { printList(b, e, " AND ", bindAnd, parent) }
func (e Or) print(b *strings.Builder, parent int)  { printList(b, e, " OR ", bindOr, parent) }

func printList(b *strings.Builder, list []Expr, sep string, bind, parent int) {
	if parent >= bind {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	for i, x := range list {
		if i > 0 {
			b.WriteString(sep)
		}
		x.print(b, bind)
	}
}

func (e Not) print(b *strings.Builder, _ int) {
	b.WriteString("NOT ")
	e.X.print(b, bindNot)
}

func (t *Term) print(b *strings.Builder, _ int) {
	if t.Fold != Latest {
		b.WriteString(string(t.Fold))
		b.WriteByte('(')
	}
	printKey(b, t.Entity, t.Key)
	if t.Fold != Latest {
		b.WriteByte(')')
	}
	b.WriteByte(' ')
	b.WriteString(string(t.Op))
	switch t.Op {
	case IsNull, IsNotNull:
	case In, NotIn:
		b.WriteString(" (")
		for i, s := range t.List {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quoted(s))
		}
		b.WriteByte(')')
	default:
		b.WriteByte(' ')
		if t.Type == Number {
			b.WriteString(printNumber(t.Number))
		} else {
			b.WriteString(quoted(t.Text))
		}
	}
}

var plural = map[Entity]string{Metric: "metrics", Param: "params", Tag: "tags", Dataset: "dataset"}

func printKey(b *strings.Builder, e Entity, key string) {
	if e == Attribute {
		b.WriteString(key)
		return
	}
	b.WriteString(plural[e])
	b.WriteByte('.')
	if bareKey(key) || partlyQuoted(key) {
		b.WriteString(key)
		return
	}
	for _, q := range []string{"`", `"`} {
		if !strings.Contains(key, q) {
			b.WriteString(q + key + q)
			return
		}
	}
	b.WriteString("'" + key + "'")
}

// quoted chooses the quotes in which the text reads back as itself; for a parsed text there are some.
func quoted(s string) string {
	for _, q := range []string{"'", `"`} {
		if all := q + s + q; text(all, 0) == len(all) {
			return all
		}
	}
	return `"` + s + `"`
}

// printNumber writes infinities as a number that reads back as one.
func printNumber(v float64) string {
	switch s := strconv.FormatFloat(v, 'g', -1, 64); s {
	case "+Inf":
		return "1e999"
	case "-Inf":
		return "-1e999"
	default:
		return s
	}
}

// partlyQuoted says whether the key came from quotes around a part of it, which belong to the key.
func partlyQuoted(key string) bool {
	kind, end := path("x."+key, 0)
	return kind == tokPath && end == len(key)+2 && unquote(key) == key && strings.ContainsAny(key, "`\"'")
}

// bareKey says whether a key needs no quotes: words of letters, digits and _ between dots, none of them all digits.
func bareKey(key string) bool {
	for word := range strings.SplitSeq(key, ".") {
		digits := true
		for _, r := range word {
			if !isWord(r) {
				return false
			}
			digits = digits && '0' <= r && r <= '9'
		}
		if digits {
			return false
		}
	}
	return true
}

func isWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}
