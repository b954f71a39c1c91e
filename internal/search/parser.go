package search

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-ml/weir/mlflow"
)

// The bounds of a search; more is INVALID_PARAMETER_VALUE. They keep a hostile filter from costing more than its bytes.
const (
	MaxBytes   = 10 << 10 // of a filter, and of all order_by items together
	MaxTerms   = 200
	MaxDepth   = 32 // of parentheses and NOT
	MaxColumns = 32 // of order_by
)

// Options chooses the language. The zero value is the superset, in which now() is the epoch.
type Options struct {
	Strict bool      // MLflow 3.17.2's language, without what is ours
	Now    time.Time // what now() stands for
}

// Parse reads a filter. An empty filter gives a nil Expr, which matches everything.
func (g *Grammar) Parse(filter string, o Options) (Expr, error) {
	p := parser{g: g, o: o, s: filter}
	if len(filter) > MaxBytes {
		return nil, invalid("Invalid filter: it is longer than %d bytes.", MaxBytes)
	}
	if i := strings.IndexByte(filter, 0); i >= 0 {
		return nil, p.fail(i, "Invalid filter: it contains the character U+0000.")
	}
	if !utf8.ValidString(filter) {
		return nil, invalid("Invalid filter: it is not valid UTF-8.")
	}
	p.tokens = lex(filter)
	if p.peek().kind == tokEnd {
		if filter != "" && o.Strict {
			return nil, p.fail(0, "Invalid filter '%s'. Could not be parsed.", filter)
		}
		return nil, nil
	}
	for _, t := range p.tokens {
		if t.punct(";") {
			return nil, p.fail(t.pos, "Search filter contained multiple expression '%s'. Provide AND-ed expression list.", filter)
		}
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek().kind != tokEnd {
		return nil, p.junk(p.peek())
	}
	return e, nil
}

func invalid(format string, args ...any) error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue, format, args...)
}

type parser struct {
	g      *Grammar
	o      Options
	s      string
	tokens []token
	i      int
	depth  int
	terms  int
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) peekAt(n int) token { return p.tokens[min(p.i+n, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

func (p *parser) accept(word string) bool {
	if p.peek().is(word) {
		p.i++
		return true
	}
	return false
}

// column counts characters from 1.
func (p *parser) column(pos int) int { return utf8.RuneCountInString(p.s[:pos]) + 1 }

// fail makes an error whose text ends with the column of the fault.
func (p *parser) fail(pos int, format string, args ...any) error {
	return invalid("%s (column %d)", fmt.Sprintf(format, args...), p.column(pos))
}

// junk refuses tokens that cannot be part of a filter where they stand.
func (p *parser) junk(tokens ...token) error {
	return p.fail(tokens[0].pos, "Invalid clause(s) in filter string: %s", p.listed(tokens))
}

// junkSince refuses the clause that began at token number start and cannot be finished at the current token.
func (p *parser) junkSince(start int) error {
	end := p.i
	for k := p.tokens[end]; k.kind != tokEnd && !k.is("AND") && end-start < 8; k = p.tokens[end] {
		end++
	}
	return p.fail(p.peek().pos, "Invalid clause(s) in filter string: %s", p.listed(p.tokens[start:end]))
}

// missing refuses a filter that ends, or goes on with AND, where a clause should be.
func (p *parser) missing() error {
	return p.fail(p.peek().pos, "Invalid clause(s) in filter string: a clause is missing")
}

// listed writes tokens as MLflow's messages do.
func (p *parser) listed(tokens []token) string {
	quote := ""
	if p.g.quoteJunk {
		quote = "'"
	}
	raw := make([]string, len(tokens))
	for i, t := range tokens {
		raw[i] = quote + t.raw + quote
	}
	return strings.Join(raw, ", ")
}

// or reads clauses joined by OR.
func (p *parser) or() (Expr, error) {
	var list Or
	for {
		e, err := p.and()
		if err != nil {
			return nil, err
		}
		if o, ok := e.(Or); ok {
			list = append(list, o...)
		} else {
			list = append(list, e)
		}
		t := p.peek()
		if !t.is("OR") {
			break
		}
		if p.o.Strict {
			return nil, p.junk(t)
		}
		p.i++
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return list, nil
}

// and reads clauses joined by AND. As in MLflow, an AND may be missing, doubled, first or last.
func (p *parser) and() (Expr, error) {
	var list And
	start := p.i
	for {
		for p.accept("AND") {
		}
		if t := p.peek(); t.kind == tokEnd || t.punct(")") || t.is("OR") {
			break
		}
		e, err := p.unary()
		if err != nil {
			return nil, err
		}
		if a, ok := e.(And); ok {
			list = append(list, a...)
		} else {
			list = append(list, e)
		}
	}
	switch len(list) {
	case 0:
		switch t := p.peek(); {
		case t.kind != tokEnd:
			return nil, p.junk(t)
		case p.i > start:
			return nil, p.junk(p.tokens[start:p.i]...)
		}
		return nil, p.missing()
	case 1:
		return list[0], nil
	}
	return list, nil
}

// unary reads NOT, parentheses, or one comparison.
func (p *parser) unary() (Expr, error) {
	t := p.peek()
	if !t.is("NOT") && !t.punct("(") {
		return p.comparison()
	}
	if p.o.Strict {
		if t.punct("(") {
			return nil, p.junk(p.parenthesised())
		}
		return nil, p.junk(t)
	}
	p.i++
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > MaxDepth {
		return nil, p.fail(t.pos, "Invalid filter: it nests deeper than %d levels.", MaxDepth)
	}
	if t.is("NOT") {
		if k := p.peek(); k.kind == tokEnd || k.is("AND") || k.is("OR") {
			return nil, p.junk(t)
		}
		e, err := p.unary()
		if err != nil {
			return nil, err
		}
		return Not{X: e}, nil
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.peek().punct(")") {
		return nil, p.fail(t.pos, "Invalid clause(s) in filter string: the parenthesis is not closed")
	}
	p.i++
	return e, nil
}

// parenthesised joins the tokens from a parenthesis to the one that closes it, for a message.
func (p *parser) parenthesised() token {
	first, last := p.peek(), p.peek()
	for depth := 0; p.peek().kind != tokEnd; {
		last = p.next()
		if last.punct("(") {
			depth++
		}
		if last.punct(")") {
			depth--
		}
		if depth == 0 {
			break
		}
	}
	return token{kind: tokPunct, raw: p.s[first.pos:last.end], pos: first.pos, end: last.end}
}

// comparison reads one clause: a target, a comparator and a value.
func (p *parser) comparison() (Expr, error) {
	if p.terms++; p.terms > MaxTerms {
		return nil, p.fail(p.peek().pos, "Invalid filter: it has more than %d terms.", MaxTerms)
	}
	start := p.i
	left := p.next()
	fold := Latest
	if f := foldOf(left, p.peek()); f != Latest && !p.o.Strict {
		p.i++
		fold, left = f, p.next()
		if !p.peek().punct(")") {
			return nil, p.junkSince(start)
		}
		p.i++
	}
	if err := p.checkLeft(start, left); err != nil {
		return nil, err
	}
	to, err := p.target(left)
	if err != nil {
		return nil, err
	}
	if fold != Latest && to.entity != Metric {
		return nil, p.fail(left.pos, "Invalid clause(s) in filter string: %s() is only for metrics, found '%s'", fold, left.raw)
	}
	to.fold, to.pos = fold, p.tokens[start].pos
	return p.operation(start, to)
}

// foldOf finds max( and its like.
func foldOf(name, after token) Fold {
	if name.kind != tokPath || !after.punct("(") {
		return Latest
	}
	switch f := Fold(strings.ToLower(name.raw)); f {
	case Min, Max, First, Last:
		return f
	}
	return Latest
}

// checkLeft refuses a clause that does not begin with a name and a comparator.
func (p *parser) checkLeft(start int, left token) error {
	after := p.peek()
	switch {
	case left.kind == tokEnd:
		return p.missing()
	case left.kind == tokJunk:
		return p.junk(left)
	case left.kind == tokPath || left.kind == tokText && left.raw[0] == '"':
		if after.kind == tokCompare && !p.g.bareText && (p.tokens[p.i+1].is("TRUE") || p.tokens[p.i+1].is("FALSE")) {
			return p.junkSince(start) // no clause has such a value, whatever its key
		}
		if after.kind == tokCompare || p.atWordOp() {
			return nil
		}
		if after.kind != tokEnd && after.pos == left.end && left.kind == tokPath && !after.punct("(") && !after.punct(",") {
			return p.fail(after.pos, "Invalid comparison clause. Expected 'Identifier' found '%s'. "+
				"Put backticks around a key that has more than letters, digits, '_' and '.'.", p.s[left.pos:p.glued(after)])
		}
	case after.kind == tokCompare:
		return p.fail(left.pos, "Invalid comparison clause. Expected 'Identifier' found '%s'", left.raw)
	}
	return p.junkSince(start)
}

// atWordOp says whether a comparator in letters follows.
func (p *parser) atWordOp() bool {
	for _, word := range []string{"LIKE", "ILIKE", "IN", "NOT", "IS", "BETWEEN"} {
		if p.peek().is(word) {
			return true
		}
	}
	return false
}

// glued gives the end of the tokens that follow each other without space or comparator.
func (p *parser) glued(t token) int {
	end := t.end
	for _, k := range p.tokens[p.i+1:] {
		if k.pos != end || k.kind == tokCompare || k.kind == tokEnd {
			break
		}
		end = k.end
	}
	return end
}
