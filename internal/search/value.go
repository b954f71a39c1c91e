package search

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// operation reads the comparator and the value of a clause.
func (p *parser) operation(start int, to target) (Expr, error) {
	t := p.next()
	switch {
	case t.is("IS"):
		return p.null(start, to)
	case t.is("BETWEEN"):
		return p.between(start, to, false)
	case t.is("NOT"):
		word := p.next()
		switch {
		case word.is("IN"):
			return p.list(start, to, NotIn, p.s[t.pos:word.end])
		case word.is("BETWEEN"):
			return p.between(start, to, true)
		case word.is("LIKE"), word.is("ILIKE"):
			return p.single(start, to, token{kind: tokCompare, raw: p.s[t.pos:word.end], pos: t.pos, end: word.end})
		}
		p.i = start + 2
		return nil, p.junkSince(start)
	case t.is("IN"):
		return p.list(start, to, In, t.raw)
	}
	return p.single(start, to, t)
}

// null reads IS [NOT] NULL.
func (p *parser) null(start int, to target) (Expr, error) {
	op := IsNull
	if p.accept("NOT") {
		op = IsNotNull
	}
	if !p.accept("NULL") {
		return nil, p.junkSince(start)
	}
	if p.o.Strict && !slices.Contains(p.g.isNull, to.entity) || to.entity == Dataset {
		return nil, p.fail(to.pos, "IS NULL / IS NOT NULL is only supported for tags and params, not for '%s' '%s'", to.entity, to.key)
	}
	return p.term(to, op), nil
}

// between reads the bounds of BETWEEN and gives the two comparisons that it stands for.
func (p *parser) between(start int, to target, not bool) (Expr, error) {
	if p.o.Strict {
		return nil, p.junkSince(start)
	}
	if to.typ != Number {
		return nil, p.fail(to.pos, "Invalid comparator 'BETWEEN' not one of '%s'", pySet(p.g.ops(to, false)))
	}
	low, err := p.number(start, to)
	if err != nil {
		return nil, err
	}
	if !p.accept("AND") {
		return nil, p.junkSince(start)
	}
	high, err := p.number(start, to)
	if err != nil {
		return nil, err
	}
	if p.terms++; p.terms > MaxTerms {
		return nil, p.fail(to.pos, "Invalid filter: it has more than %d terms.", MaxTerms)
	}
	a, b := p.term(to, Ge), p.term(to, Le)
	if not {
		a.Op, b.Op = Lt, Gt
	}
	a.Number, b.Number = low, high
	if not {
		return Or{a, b}, nil
	}
	return And{a, b}, nil
}

// list reads the parenthesis of IN.
func (p *parser) list(start int, to target, op Op, raw string) (Expr, error) {
	open := p.next()
	if !open.punct("(") {
		p.i--
		return nil, p.junkSince(start)
	}
	var values []string
	closed := false
	for !closed {
		t := p.next()
		switch {
		case t.punct(")"):
			closed = true
		case t.kind == tokText || p.g.bareText && (t.kind == tokPath || t.kind == tokNumber):
			values = append(values, t.plain())
			p.acceptPunct(",")
			if k := p.tokens[p.i-1]; !k.punct(",") && !p.peek().punct(")") && p.peek().kind != tokEnd {
				p.i++
				return nil, p.badList(open)
			}
		case t.kind == tokEnd:
			return nil, p.junk(p.tokens[start:p.i]...)
		default:
			return nil, p.badList(open)
		}
	}
	text := p.s[open.pos:p.tokens[p.i-1].end]
	switch allowed := to.typ == Text && slices.Contains(p.g.ops(to, p.o.Strict), op); {
	case to.typ == Number && to.attr.quoted:
		return nil, p.onlyLists(open)
	case to.typ == Number:
		return nil, p.wantNumber(to, open.pos, text)
	case !allowed && to.entity == Attribute:
		return nil, p.onlyLists(open)
	case !allowed:
		return nil, p.wantText(to, open.pos, text)
	case len(values) == 0:
		return nil, p.fail(open.pos, "While parsing a list in the query, expected a non-empty list of string values, but got empty list")
	}
	if err := p.caseOf(to, raw); err != nil {
		return nil, err
	}
	for _, v := range values {
		if err := p.checkText(to, v, open.pos); err != nil {
			return nil, err
		}
	}
	term := p.term(to, op)
	term.List = values
	return term, nil
}

func (p *parser) acceptPunct(s string) {
	if p.peek().punct(s) {
		p.i++
	}
}

func (p *parser) onlyLists(t token) error {
	return p.fail(t.pos, "Only %s attributes support comparison with a list of quoted string values.", pyList(p.g.lists()))
}

func (p *parser) badList(open token) error {
	p.i--
	t := p.peek()
	if t.punct(",") {
		return p.fail(t.pos, "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.")
	}
	end := t.end
	for _, k := range p.tokens[p.i:] {
		if end = k.end; k.punct(")") || k.kind == tokEnd {
			break
		}
	}
	return p.fail(t.pos, "While parsing a list in the query, expected string value, punctuation, or whitespace, "+
		"but got different type in list: %s", p.s[open.pos:end])
}

// single reads a comparison with one value.
func (p *parser) single(start int, to target, op token) (Expr, error) {
	if p.peek().kind == tokEnd || p.peek().is("AND") {
		return nil, p.junkSince(start)
	}
	term := p.term(to, canonical(op.raw))
	var err error
	if to.typ == Number {
		term.Number, err = p.number(start, to)
	} else {
		term.Text, err = p.text(start, to)
	}
	if err != nil {
		return nil, err
	}
	if ops := p.g.ops(to, p.o.Strict); !slices.Contains(ops, term.Op) {
		return nil, p.fail(op.pos, "Invalid comparator '%s' not one of '%s'", op.raw, pySet(ops))
	}
	return term, p.caseOf(to, op.raw)
}

// canonical writes a comparator in upper case, with single spaces.
func canonical(raw string) Op { return Op(strings.ToUpper(strings.Join(strings.Fields(raw), " "))) }

// caseOf refuses lower-case words where MLflow does.
func (p *parser) caseOf(to target, raw string) error {
	if p.o.Strict && p.g.upperWords && raw != strings.ToUpper(raw) {
		return p.fail(to.pos, "Invalid comparator '%s' not one of '%s'", raw, pySet(p.g.ops(to, true)))
	}
	return nil
}

func (p *parser) term(to target, op Op) *Term {
	return &Term{Entity: to.entity, Key: to.key, Fold: to.fold, Op: op, Type: to.typ, Column: p.column(to.pos)}
}

// text reads a quoted value.
func (p *parser) text(start int, to target) (string, error) {
	t := p.next()
	switch {
	case t.kind == tokText:
		v := t.plain()
		return v, p.checkText(to, v, t.pos)
	case p.g.bareText && (t.kind == tokPath || t.kind == tokNumber || t.kind == tokNumWord):
		return t.raw, nil
	case t.kind == tokNumber, t.is("NULL"), t.is("TRUE"), t.is("FALSE"):
		return "", p.wantText(to, t.pos, t.raw)
	case t.kind == tokPath || t.kind == tokNumWord:
		return "", p.fail(t.pos, "Parameter value is either not quoted or unidentified quote types used for string value %s. "+
			"Use either single or double quotes.", t.raw)
	}
	p.i--
	return "", p.junkSince(start)
}

// checkText refuses a text that the attribute cannot be.
func (p *parser) checkText(to target, v string, pos int) error {
	if !to.attr.integer || !p.o.Strict {
		return nil
	}
	if _, err := strconv.ParseInt(v, 10, 64); err != nil {
		return p.fail(pos, "Parameter '%s' must be an integer, got '%s'.", to.key, v)
	}
	return nil
}

func (p *parser) wantText(to target, pos int, raw string) error {
	switch to.entity {
	case Attribute:
		return p.fail(pos, "Expected a quoted string value for attributes. Got value %s", raw)
	case Dataset:
		return p.fail(pos, "Expected a quoted string value for dataset attributes. Got value %s", raw)
	}
	return p.fail(pos, "Expected a quoted string value for %s (e.g. 'my-value'). Got value %s", to.entity, raw)
}

func (p *parser) wantNumber(to target, pos int, raw string) error {
	if to.entity == Metric {
		return p.fail(pos, "Expected numeric value type for metric. Found %s", raw)
	}
	return p.fail(pos, "Expected numeric value type for numeric attribute: %s. Found %s", to.key, raw)
}

// number reads a number, and for times also now() with durations added or taken away.
func (p *parser) number(start int, to target) (float64, error) {
	t := p.next()
	switch {
	case t.kind == tokNumber:
		return parseNumber(t.raw), nil
	case t.is("now") && p.peek().punct("(") && p.peekAt(1).punct(")") && to.attr.time && !p.o.Strict:
		p.i += 2
		return p.relative()
	case t.kind == tokText && to.attr.quoted:
		v := t.plain()
		if end := number(v, 0); end > 0 && end == len(v) {
			return parseNumber(v), nil
		}
		return 0, p.wantNumber(to, t.pos, t.raw)
	case t.kind == tokText, t.kind == tokPath, t.kind == tokNumWord:
		return 0, p.wantNumber(to, t.pos, t.raw)
	}
	p.i--
	return 0, p.junkSince(start)
}

// parseNumber reads a number that the lexer has checked; one that is too large for a float64 is an infinity.
func parseNumber(raw string) float64 {
	v, _ := strconv.ParseFloat(raw, 64)
	return v
}

// relative reads what follows now(): durations with a sign, as in now() - 7d or now() - 1d12h.
func (p *parser) relative() (float64, error) {
	now := float64(p.o.Now.UnixMilli())
	for {
		t := p.peek()
		sign := 1.0
		switch {
		case t.punct("-"):
			sign = -1
			fallthrough
		case t.punct("+"):
			p.i++
			t = p.peek()
			if strings.HasPrefix(t.raw, "-") {
				return 0, p.fail(t.pos, "Invalid duration '%s': write a number and ms, s, m, h, d or w, as in 7d.", t.raw)
			}
		case t.kind == tokNumWord && strings.HasPrefix(t.raw, "-"):
		default:
			return now, nil
		}
		d, ok := duration(strings.TrimPrefix(t.raw, "-"))
		if !ok {
			return 0, p.fail(t.pos, "Invalid duration '%s': write a number and ms, s, m, h, d or w, as in 7d.", t.raw)
		}
		if strings.HasPrefix(t.raw, "-") {
			sign = -1
		}
		p.i++
		now += sign * d
	}
}

var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// duration reads numbers with units and gives milliseconds.
func duration(s string) (float64, bool) {
	var ms float64
	for rest := s; rest != ""; {
		end := number(rest, 0)
		stop := end
		for stop < len(rest) && 'a' <= rest[stop] && rest[stop] <= 'z' {
			stop++
		}
		unit, ok := units[rest[end:stop]]
		if end == 0 || !ok {
			return 0, false
		}
		ms += parseNumber(rest[:end]) * float64(unit/time.Millisecond)
		rest = rest[stop:]
	}
	return ms, s != "" && !math.IsInf(ms, 0)
}
