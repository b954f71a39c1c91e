package search

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// OrderKey is one key of an order. Objects that lack it come last in both directions, NaN metrics just before them.
type OrderKey struct {
	Entity Entity
	Key    string
	Fold   Fold // only for metrics
	Desc   bool
}

// ParseOrderBy reads the items of order_by: a name, and ASC or DESC in any case. A key that comes again changes nothing,
// or is refused where MLflow refuses it.
func (g *Grammar) ParseOrderBy(items []string, o Options) ([]OrderKey, error) {
	if len(items) > MaxColumns {
		return nil, invalid("Invalid order_by: it has more than %d columns.", MaxColumns)
	}
	size := 0
	var keys []OrderKey
	var twice []string
	for _, item := range items {
		if size += len(item); size > MaxBytes {
			return nil, invalid("Invalid order_by: it is longer than %d bytes.", MaxBytes)
		}
		k, err := g.orderKey(item, o)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, func(have OrderKey) bool {
			return have.Entity == k.Entity && have.Key == k.Key && have.Fold == k.Fold
		}) {
			twice = append(twice, k.Key)
			continue
		}
		keys = append(keys, k)
	}
	if len(twice) > 0 && g.refuseDuplicate {
		return nil, invalid("`order_by` contains duplicate fields: %s", pyList(twice))
	}
	return keys, nil
}

// ParseOrderField reads a field name of logged-models/search, whose direction stands beside it.
func (g *Grammar) ParseOrderField(field string, ascending bool, o Options) (OrderKey, error) {
	k, err := g.orderKey(field, o)
	if k.Desc {
		return OrderKey{}, invalid("Invalid order_by clause '%s'. Could not be parsed.", field)
	}
	k.Desc = !ascending
	return k, err
}

func (g *Grammar) orderKey(item string, o Options) (OrderKey, error) {
	unparsed := invalid("Invalid order_by clause '%s'. Could not be parsed.", item)
	if !utf8.ValidString(item) || strings.IndexByte(item, 0) >= 0 {
		return OrderKey{}, invalid("Invalid order_by clause: it is not valid text.")
	}
	p := parser{g: g, o: o, s: item, tokens: lex(item)}
	name := p.next()
	fold := Latest
	if f := foldOf(name, p.peek()); f != Latest && !o.Strict {
		p.i++
		fold, name = f, p.next()
		if !p.next().punct(")") {
			return OrderKey{}, unparsed
		}
	}
	if name.kind != tokPath {
		return OrderKey{}, unparsed
	}
	key := OrderKey{Fold: fold}
	if t := p.peek(); t.kind != tokEnd {
		p.i++
		key.Desc = t.is("DESC")
		switch {
		case p.peek().kind != tokEnd || t.kind != tokPath || t.pos == name.end:
			return OrderKey{}, unparsed
		case !key.Desc && !t.is("ASC"):
			return OrderKey{}, invalid("Invalid ordering key in order_by clause '%s'.", item)
		}
	} else if name.is("ASC") || name.is("DESC") {
		return OrderKey{}, unparsed
	}
	to, err := p.orderTarget(name)
	if err != nil {
		return OrderKey{}, err
	}
	if fold != Latest && to.entity != Metric {
		return OrderKey{}, unparsed
	}
	key.Entity, key.Key = to.entity, to.key
	return key, nil
}

func (p *parser) orderTarget(t token) (target, error) {
	word, key, dotted := strings.Cut(t.raw, ".")
	if !dotted {
		return p.attribute(t, t.raw, true)
	}
	e, ok := p.g.entity(trimTicks(word), p.o.Strict)
	switch {
	case !ok:
		return target{}, p.fail(t.pos, "Invalid entity type '%s'. %s", word, p.g.listEntities)
	case e == Attribute:
		return p.attribute(t, key, true)
	case !slices.Contains(p.g.orderEntities, e):
		return target{}, p.fail(t.pos, "Invalid order_by entity: %s", e)
	}
	return p.target(t)
}
