package tracking

import (
	"strings"

	"github.com/weir-ml/weir/internal/search"
)

// conditions turns filters over one kind of object into SQL.
type conditions struct {
	*query
	// attribute gives the expression of an attribute.
	attribute map[string]string
	// keyed gives a condition that the object has a metric, param or tag, on whose value the condition holds.
	keyed func(t *search.Term, condition func(value string) string) (string, error)
}

// split separates what the database decides from what is decided in Go: ILIKE ignores case by Unicode's rules, which
// the databases do not share. The filter is true when both parts are.
func split(e search.Expr) (inSQL, inGo search.Expr) {
	folds := func(e search.Expr) (found bool) {
		search.Walk(e, func(t *search.Term) { found = found || t.Op == search.ILike || t.Op == search.NotILike })
		return found
	}
	if e == nil || !folds(e) {
		return e, nil
	}
	and, ok := e.(search.And)
	if !ok {
		return nil, e
	}
	var sql, goes search.And
	for _, x := range and {
		if folds(x) {
			goes = append(goes, x)
		} else {
			sql = append(sql, x)
		}
	}
	return joined(sql), joined(goes)
}

func joined(list search.And) search.Expr {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

// of gives the condition of a filter. It is never NULL, so that NOT means what it says.
func (c *conditions) of(e search.Expr) (string, error) {
	switch e := e.(type) {
	case nil:
		return "1 = 1", nil
	case search.And:
		return c.list(e, " and ")
	case search.Or:
		return c.list(e, " or ")
	case search.Not:
		inner, err := c.of(e.X)
		return "not " + inner, err
	case *search.Term:
		return c.term(e)
	}
	return "", invalid("this filter is not supported")
}

func (c *conditions) list(list []search.Expr, word string) (string, error) {
	parts := make([]string, len(list))
	for i, e := range list {
		var err error
		if parts[i], err = c.of(e); err != nil {
			return "", err
		}
	}
	return "(" + strings.Join(parts, word) + ")", nil
}

func (c *conditions) term(t *search.Term) (string, error) {
	if t.Entity != search.Attribute {
		return c.keyed(t, func(value string) string { return c.compare(t, value) })
	}
	expr, ok := c.attribute[t.Key]
	if !ok {
		return "", invalid("Invalid attribute key '%s' specified.", t.Key)
	}
	switch t.Op {
	case search.IsNull:
		return "(" + expr + " is null)", nil
	case search.IsNotNull:
		return "(" + expr + " is not null)", nil
	}
	return "(" + expr + " is not null and " + c.compare(t, expr) + ")", nil
}

// compare gives the condition of one term on a value; a metric's NULL is NaN, of which only != is true.
func (c *conditions) compare(t *search.Term, value string) string {
	if t.Type == search.Number {
		param := "cast(" + c.arg(t.Number) + " as double precision)"
		if t.Op == search.Ne {
			return "(" + value + " is null or " + value + " <> " + param + ")"
		}
		return value + " " + string(t.Op) + " " + param
	}
	switch t.Op {
	case search.Ne:
		return value + " <> " + c.arg(t.Text)
	case search.Like:
		return c.tx.Like(value, c.arg(t.Text), false)
	case search.NotLike:
		return "not " + c.tx.Like(value, c.arg(t.Text), false)
	case search.In, search.NotIn:
		params := make([]string, len(t.List))
		for i, text := range t.List {
			params[i] = c.arg(text)
		}
		word := " in ("
		if t.Op == search.NotIn {
			word = " not in ("
		}
		return value + word + strings.Join(params, ", ") + ")"
	}
	return value + " = " + c.arg(t.Text)
}

// exists wraps the condition of a keyed term: all are false where the key is missing, IS NULL is true there.
func exists(t *search.Term, from string, condition func(string) string, value string) string {
	switch t.Op {
	case search.IsNull:
		return "not exists (" + from + ")"
	case search.IsNotNull:
		return "exists (" + from + ")"
	}
	return "exists (" + from + " and " + condition(value) + ")"
}

// missing is the condition of a keyed term when no object has the key.
func missing(t *search.Term) string {
	if t.Op == search.IsNull {
		return "1 = 1"
	}
	return "1 = 0"
}

// texts is a search.Row over texts and numbers that were read before.
type texts struct {
	texts   map[entityKey][]string
	numbers map[metricKey][]float64
}

type entityKey struct {
	entity search.Entity
	key    string
}

type metricKey struct {
	key  string
	fold search.Fold
}

func (r *texts) Texts(e search.Entity, key string) []string { return r.texts[entityKey{e, key}] }

func (r *texts) Numbers(e search.Entity, key string, f search.Fold) []float64 {
	if e == search.Attribute {
		f = search.Latest
	}
	return r.numbers[metricKey{string(e) + "." + key, f}]
}

// setNumber notes a number; attributes have no fold.
func (r *texts) setNumber(e search.Entity, key string, f search.Fold, v float64) {
	r.numbers[metricKey{string(e) + "." + key, f}] = []float64{v}
}

func newTexts() *texts {
	return &texts{texts: make(map[entityKey][]string), numbers: make(map[metricKey][]float64)}
}

// termsOf lists the terms of a filter.
func termsOf(e search.Expr) (terms []*search.Term) {
	search.Walk(e, func(t *search.Term) { terms = append(terms, t) })
	return terms
}
