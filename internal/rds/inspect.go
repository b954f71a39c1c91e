package rds

import (
	"maps"
	"slices"
)

// Summary is what can be said of a stored R object without running it.
type Summary struct {
	Class    []string   // its class attribute, or its type
	Captured []Captured // for a function: the variables of the environment that it carries
	Packages []string   // the packages that it names, by `::` or by their namespaces, sorted
	// Promises counts code that waits to be run in places where R leaves none, which is everywhere but in the variables
	// of an environment: R before 4.4 runs it as soon as the object is looked at (CVE-2024-27322).
	Promises int
}

// Captured is a variable that a crate carries with it.
type Captured struct {
	Name  string
	Class []string
}

// Inspect describes an object; for the content of crate.bin, which is a raw vector that holds a serialization, it
// describes what is inside.
func Inspect(v Value) (Summary, error) {
	if raw, ok := v.(*Raw); ok {
		inner, err := Decode(raw.V)
		if err != nil {
			return Summary{}, err
		}
		v = inner
	}
	s := Summary{Class: Class(v)}
	s.Packages, s.Promises = walk(v)
	if f, ok := v.(*Closure); ok {
		if env, ok := f.Env.(*Environment); ok {
			for _, b := range env.Vars {
				s.Captured = append(s.Captured, Captured{b.Name, Class(b.Value)})
			}
			slices.SortFunc(s.Captured, func(a, b Captured) int {
				if a.Name < b.Name {
					return -1
				}
				return 1
			})
		}
	}
	return s, nil
}

// Class gives the class attribute, and without one the implicit class that R's class() would name.
func Class(v Value) []string {
	if v != nil {
		if c := v.Attributes().Strings("class"); len(c) > 0 {
			return c
		}
		if dim, ok := v.Attributes().Get("dim").(*Integer); ok {
			if len(dim.V) == 2 {
				return []string{"matrix", "array"}
			}
			return []string{"array"}
		}
	}
	switch v := v.(type) {
	case *Logical:
		return []string{"logical"}
	case *Integer:
		return []string{"integer"}
	case *Double:
		return []string{"numeric"}
	case *Complex:
		return []string{"complex"}
	case *String:
		return []string{"character"}
	case *Raw:
		return []string{"raw"}
	case *List:
		if v.Expression {
			return []string{"expression"}
		}
		return []string{"list"}
	case *Symbol:
		return []string{"name"}
	case *Cons:
		if v.Lang {
			return []string{"call"}
		}
		return []string{"pairlist"}
	case *Closure, *Builtin:
		return []string{"function"}
	case *Environment, *Known:
		return []string{"environment"}
	case *Bytecode:
		return []string{"bytecode"}
	case *Promise:
		return []string{"promise"}
	case *Opaque:
		return []string{v.Kind}
	}
	return []string{"NULL"}
}

// walk looks at everything that v holds, each environment and each cell once: both may point back at themselves.
func walk(v Value) (packages []string, promises int) {
	type item struct {
		v    Value
		lazy bool // in an environment's variable, where a promise is an argument that nobody has used yet
	}
	found := map[string]bool{}
	seen := map[Value]bool{}
	stack := []item{{v: v}}
	push := func(vs ...Value) {
		for _, v := range vs {
			stack = append(stack, item{v: v})
		}
	}
	for len(stack) > 0 {
		v, lazy := stack[len(stack)-1].v, stack[len(stack)-1].lazy
		stack = stack[:len(stack)-1]
		if v == nil {
			continue
		}
		switch v := v.(type) {
		case *Environment:
			if seen[v] {
				continue
			}
			seen[v] = true
			push(v.Parent)
			for _, b := range v.Vars {
				stack = append(stack, item{b.Value, true})
			}
		case *Cons:
			if seen[v] {
				continue
			}
			seen[v] = true
			if name, ok := v.packageOf(); ok {
				found[name] = true
			}
			push(v.Tag, v.Car, v.Cdr)
		case *Known:
			if v.Kind == "namespace" && len(v.Name) > 0 {
				found[v.Name[0]] = true
			}
		case *Closure:
			push(v.Env, v.Formals, v.Body)
		case *Promise:
			if known, ok := v.Value.(*Known); ok && known.Kind == "unbound" && !lazy {
				promises++
			}
			push(v.Env)
			// The dots of a call are a chain of promises.
			stack = append(stack, item{v.Value, lazy}, item{v.Expr, lazy})
		case *Bytecode:
			push(v.Consts...)
		case *List:
			push(v.V...)
		}
		for _, a := range v.Attributes() {
			push(a.Value)
		}
	}
	out := slices.AppendSeq(make([]string, 0, len(found)), maps.Keys(found))
	slices.Sort(out)
	return out, promises
}

// packageOf gives pkg when the cell is the call pkg::name or pkg:::name.
func (c *Cons) packageOf() (string, bool) {
	op, ok := c.Car.(*Symbol)
	if !ok || !c.Lang || (op.Name != "::" && op.Name != ":::") {
		return "", false
	}
	arg, ok := c.Cdr.(*Cons)
	if !ok {
		return "", false
	}
	switch p := arg.Car.(type) {
	case *Symbol:
		return p.Name, true
	case *String:
		if len(p.V) == 1 && !p.V[0].NA {
			return p.V[0].S, true
		}
	}
	return "", false
}
