package rds

import "math"

// altrep expands R's alternative representations, which version 3 writes as a class, a state and attributes.
func (d *decoder) altrep(depth int) Value {
	info, state := d.item(depth), d.item(depth)
	attrs := d.attrs(depth)
	class := ""
	if c, ok := info.(*Cons); ok {
		if s, ok := c.Car.(*Symbol); ok {
			class = s.Name
		}
	}
	switch class {
	case "compact_intseq":
		n, start, step := d.sequence(state, 4)
		v := make([]int32, n)
		for i := range v {
			v[i] = int32(start + float64(i)*step)
		}
		return &Integer{v, attrs}
	case "compact_realseq":
		n, start, step := d.sequence(state, 8)
		v := make([]float64, n)
		for i := range v {
			v[i] = start + float64(i)*step
		}
		return &Double{v, attrs}
	case "deferred_string":
		return &String{d.deferredString(state), attrs}
	case "wrap_real", "wrap_integer", "wrap_string", "wrap_logical", "wrap_complex", "wrap_raw", "wrap_list":
		var inner Value
		switch s := state.(type) {
		case *List:
			if len(s.V) > 0 {
				inner = s.V[0]
			}
		case *Cons:
			inner = s.Car
		}
		return d.withAttrs(inner, attrs)
	}
	d.fail("alternative representation %q", class)
	return nil
}

// sequence checks the state of a compact sequence: length, first value, step. size is an element's.
func (d *decoder) sequence(state Value, size int64) (n int, start, step float64) {
	s, ok := state.(*Double)
	if !ok || len(s.V) != 3 {
		d.fail("a compact sequence without its three numbers")
	}
	if !(s.V[0] >= 0 && s.V[0] <= float64(d.room/size)) {
		d.fail("a compact sequence of %g elements", s.V[0])
	}
	n = int(s.V[0])
	d.room -= int64(n) * size
	return n, s.V[1], s.V[2]
}

// deferredString is a number vector that will be text once somebody looks: (vector, scipen).
func (d *decoder) deferredString(state Value) []Str {
	c, ok := state.(*Cons)
	if !ok {
		d.fail("a deferred string without its vector")
	}
	scipen := 0
	if s, ok := c.Cdr.(*Integer); ok && len(s.V) == 1 {
		scipen = int(s.V[0])
	}
	var out []Str
	switch x := c.Car.(type) {
	case *Integer:
		out = make([]Str, len(x.V))
		for i, v := range x.V {
			if v == NAInt {
				out[i].NA = true
			} else {
				out[i] = formatDouble(float64(v), math.MaxInt16) // integers are never scientific
			}
		}
	case *Double:
		out = make([]Str, len(x.V))
		for i, v := range x.V {
			out[i] = formatDouble(v, scipen)
		}
	default:
		d.fail("a deferred string of something else than numbers")
	}
	return out
}

// withAttrs gives a vector the attributes of its wrapper.
func (d *decoder) withAttrs(v Value, attrs Attrs) Value {
	switch v := v.(type) {
	case *Logical:
		return &Logical{v.V, attrs}
	case *Integer:
		return &Integer{v.V, attrs}
	case *Double:
		return &Double{v.V, attrs}
	case *Complex:
		return &Complex{v.V, attrs}
	case *String:
		return &String{v.V, attrs}
	case *Raw:
		return &Raw{v.V, attrs}
	case *List:
		return &List{v.V, v.Expression, attrs}
	}
	d.fail("a wrapper around something else than a vector")
	return nil
}

// shared are the cells that the constants of a compiled body share, by their numbers.
type shared struct {
	n     int
	cells map[int]*Cons
}

func newShared(n int) *shared { return &shared{n, map[int]*Cons{}} }

// bytecode reads a compiled body.
func (d *decoder) bytecode(b *Bytecode, reps *shared, depth int) {
	if depth > maxDepth {
		d.fail("nested deeper than %d", maxDepth)
	}
	d.item(depth) // the instructions
	b.Consts = d.items(d.length(4), depth+1, func(depth int) Value {
		switch t := uint32(d.int()); t {
		case tBytecode:
			inner := &Bytecode{}
			d.bytecode(inner, reps, depth)
			return inner
		case tLang, tPairlist, tBCRepDef, tBCRepRef, tAttrLang, tAttrList:
			return d.bytecodeLang(t, reps, depth)
		default:
			return d.item(depth)
		}
	})
}

// bytecodeLang reads a constant expression, whose cells have a form of their own; it loops along the list.
func (d *decoder) bytecodeLang(t uint32, reps *shared, depth int) Value {
	if depth > maxDepth {
		d.fail("nested deeper than %d", maxDepth)
	}
	var first Value
	link := func(v Value) { first = v }
	for {
		switch t {
		case tBCRepRef:
			i := d.int()
			cell, ok := reps.cells[i]
			if !ok {
				d.fail("bytecode reference %d", i)
			}
			link(cell)
			return first
		case tBCRepDef, tLang, tPairlist, tAttrLang, tAttrList:
		default:
			link(d.item(depth))
			return first
		}
		pos := -1
		if t == tBCRepDef {
			pos = d.int()
			t = uint32(d.int())
		}
		c := &Cons{Lang: t == tLang || t == tAttrLang}
		if pos >= reps.n || pos < -1 {
			d.fail("bytecode definition %d", pos)
		}
		if pos >= 0 {
			reps.cells[pos] = c
		}
		link(c)
		if t == tAttrLang || t == tAttrList {
			c.Attrs = d.attrs(depth)
		}
		c.Tag = d.tag(depth)
		c.Car = d.bytecodeLang(uint32(d.int()), reps, depth+1)
		link = func(v Value) { c.Cdr = v }
		t = uint32(d.int())
	}
}
