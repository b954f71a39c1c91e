package search

import (
	"slices"
	"strings"
)

// target is what a term looks at.
type target struct {
	entity Entity
	key    string
	attr   attribute
	typ    Type
	fold   Fold
	pos    int
}

// target reads a name: an entity, a dot and a key, or an attribute alone.
func (p *parser) target(t token) (target, error) {
	g := p.g
	word, key, dotted := strings.Cut(t.raw, ".")
	if !dotted {
		return p.attribute(t, t.raw, false)
	}
	e, ok := g.entity(trimTicks(word), p.o.Strict)
	if !ok {
		return target{}, p.fail(t.pos, "Invalid entity type '%s'. %s", word, g.listEntities)
	}
	if e == Attribute {
		return p.attribute(t, key, false)
	}
	to := target{entity: e, key: unquote(key)}
	switch {
	case to.key == "":
		return target{}, p.junk(t)
	case p.o.Strict && key == to.key && digitWord(key):
		return target{}, p.junk(t)
	case e == Metric:
		to.typ = Number
	case e == Dataset && !slices.Contains(g.datasetKeys, to.key):
		return target{}, p.fail(t.pos, "Invalid dataset key '%s' specified. Valid keys are '%s'", to.key, pySet(g.datasetKeys))
	}
	return to, nil
}

// attribute finds an attribute by its name or another name of it.
func (p *parser) attribute(t token, raw string, order bool) (target, error) {
	g := p.g
	name := unquote(raw)
	quotes := name != raw
	if alias, ok := g.aliases[name]; ok && !(order && strings.Contains(name, " ") && p.o.Strict) {
		name = alias
	}
	if alias, ok := g.orderAliases[name]; ok && order {
		name = alias
	}
	a, ok := g.attributes[name]
	if !ok || order && !a.order || !order && a.noFilter || quotes && !order && g.noQuotedAttr && p.o.Strict {
		return target{}, p.fail(t.pos, "Invalid attribute key '%s' specified. Valid keys are '%s'",
			unquote(raw), pySet(g.attributeKeys(order)))
	}
	return target{entity: Attribute, key: name, attr: a, typ: a.typ}, nil
}

// digitWord says whether a word of a bare key is all digits, which upstream's tokenizer takes for a number.
func digitWord(key string) bool {
	for word := range strings.SplitSeq(key, ".") {
		if word != "" && strings.Trim(word, "0123456789") == "" {
			return true
		}
	}
	return false
}

func trimTicks(s string) string {
	if len(s) > 1 && s[0] == '`' && s[len(s)-1] == '`' {
		return s[1 : len(s)-1]
	}
	return s
}

// unquote takes off quotes that go around the whole of s; quotes around a part of a key belong to the key.
func unquote(s string) string {
	if len(s) > 1 && strings.IndexByte("`'\"", s[0]) >= 0 && strings.IndexByte(s[1:], s[0]) == len(s)-2 {
		return s[1 : len(s)-1]
	}
	return s
}
