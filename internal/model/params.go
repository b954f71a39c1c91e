package model

import (
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/model/frame"
)

// params reads {"name": scalar or list}. With a signature that has params, others are left out, as MLflow does.
func (p *parser) params(s *scanner) {
	switch s.peek() {
	case 'n':
		s.skip()
		return
	case '{':
	default:
		panic(frame.Refuse("params must be an object"))
	}
	for _, f := range s.fields() {
		if p.sig != nil && len(p.sig.Params) > 0 && p.sig.param(f.key) == nil {
			continue
		}
		p.addParam(s.within(&f), f.key)
	}
}

// addParam reads a parameter and checks it against the signature.
func (p *parser) addParam(s *scanner, name string) {
	param := s.param(name)
	if spec := p.sig.param(name); spec != nil {
		spec.check(param.Value)
	}
	p.in.Params = append(p.in.Params, param)
}

// param reads one parameter: a scalar or a list.
func (s *scanner) param(name string) Param {
	c := &Column{Name: name}
	switch s.peek() {
	case '[':
		s.vector(c)
	case '{':
		panic(frame.Refuse("parameter %q is an object; it must be a value or a list of values", name))
	default:
		s.cell(c, 0)
	}
	s.end()
	return Param{name, c}
}

// ParseParams reads an object of parameters, such as {"type": "response"}.
func ParseParams(text []byte) (params []Param, err error) {
	defer frame.Recover(&err)
	if !utf8.Valid(text) {
		return nil, frame.Refuse("the params are not UTF-8")
	}
	s := &scanner{b: text}
	if s.peek() != '{' {
		return nil, frame.Refuse("the params must be a JSON object")
	}
	fields := s.fields()
	s.end()
	for _, f := range fields {
		params = append(params, s.within(&f).param(f.key))
	}
	return params, nil
}

// check gives a parameter the type of the signature. A signature without a shape takes a single value.
func (spec *ParamSpec) check(c *Column) {
	list := len(spec.Shape) > 0 && string(spec.Shape) != "null"
	if !list && c.N != 1 {
		panic(frame.Refuse("parameter %q must be a single value, not a list of %d", spec.Name, c.N))
	}
	at := c.FirstPresent()
	fault := (&ColSpec{Name: spec.Name, Type: spec.Type}).convert(c)
	if fault != nil {
		panic(frame.Refuse("parameter %q: %s is not %s", spec.Name, c.Show(at), article(spec.Type)))
	}
}

// addDefaults gives the input the signature's defaults of the params that it does not have.
func (s *Signature) addDefaults(in *Input) {
	if s == nil {
		return
	}
next:
	for _, spec := range s.Params {
		for _, p := range in.Params {
			if p.Name == spec.Name {
				continue next
			}
		}
		if len(spec.Default) > 0 && string(spec.Default) != "null" {
			in.Params = append(in.Params, (&scanner{b: spec.Default}).param(spec.Name))
		}
	}
}

// param gives what the signature says of a parameter, or nil.
func (s *Signature) param(name string) *ParamSpec {
	if s == nil {
		return nil
	}
	for i := range s.Params {
		if s.Params[i].Name == name {
			return &s.Params[i]
		}
	}
	return nil
}
