package model

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/model/frame"
)

// ParseV2 decodes the body of an inference request of the Open Inference Protocol (KServe V2) in its JSON form: inputs of
// shape [n] or [n, 1] are columns, one input of shape [n, k] is k columns in the signature's order. Of the parameters,
// those that the signature knows become params. id is the request's.
func ParseV2(body []byte, sig *Signature) (in *Input, id string, err error) {
	defer frame.Recover(&err)
	if !utf8.Valid(body) {
		return nil, "", frame.Refuse("the body is not UTF-8")
	}
	s := &scanner{b: bytes.TrimPrefix(body, byteOrderMark)}
	p := &parser{sig: sig}
	if s.peek() != '{' {
		return nil, "", frame.Refuse("the body is not a JSON object with the field \"inputs\"")
	}
	fields := s.fields()
	s.end()
	found := false
	for i := range fields {
		f := &fields[i]
		switch f.key {
		case "id":
			if json.Unmarshal(f.raw, &id) != nil {
				return nil, "", frame.Refuse("the field \"id\" must be a text")
			}
		case "inputs":
			found = true
			p.tensors(s.within(f))
		case "parameters":
			p.v2Params(s.within(f))
		}
	}
	if !found || len(p.in.Columns) == 0 {
		return nil, "", frame.Refuse("the field \"inputs\" must be a list of tensors")
	}
	in, err = p.finish()
	return in, id, err
}

// v2Params takes the parameters that the signature knows: others are for the server, such as content_type.
func (p *parser) v2Params(s *scanner) {
	if s.peek() != '{' || p.sig == nil {
		return
	}
	for _, f := range s.fields() {
		if p.sig.param(f.key) != nil {
			p.addParam(s.within(&f), f.key)
		}
	}
}

// tensors reads the list of inputs.
func (p *parser) tensors(s *scanner) {
	if s.peek() != '[' {
		panic(frame.Refuse("the field \"inputs\" must be a list of tensors"))
	}
	if !s.open('[', ']') {
		return
	}
	seen := map[string]bool{}
	for n := 0; ; n++ {
		if s.peek() != '{' {
			panic(frame.Refuse("input %d is not an object", n+1))
		}
		t := readTensor(s, n)
		width := t.width()
		switch {
		case width > 1 && n > 0 || p.in.Shape == Vector:
			panic(frame.Refuse("a matrix must be the only input; input %d is %q", n+1, t.name))
		case width > 1:
			p.matrix(t, width)
			p.in.Shape = Vector // until the end: nothing may follow
		default:
			if seen[t.name] {
				panic(frame.Refuse("input %q appears twice", t.name))
			}
			seen[t.name] = true
			c := p.add(t.name)
			*c = *t.data
			p.haveNames = true
			if n > 0 && c.N != p.in.Rows {
				panic(frame.Refuse("input %q has %d elements, the first one has %d", t.name, c.N, p.in.Rows))
			}
			p.in.Rows = c.N
		}
		if !s.next(']') {
			p.in.Shape = Frame
			return
		}
	}
}

// tensor is one input; data is flat, rows first.
type tensor struct {
	name  string
	shape []int
	data  *Column
}

// v2Types are the signature's types for the protocol's datatypes.
var v2Types = map[string]string{"BOOL": "boolean", "BYTES": "string", "FP16": "double", "FP32": "double", "FP64": "double",
	"INT8": "long", "INT16": "long", "INT32": "long", "INT64": "long", "UINT8": "long", "UINT16": "long", "UINT32": "long", "UINT64": "long"}

func readTensor(s *scanner, n int) tensor {
	t := tensor{name: "input " + strconv.Itoa(n+1)}
	var datatype string
	var data *field
	fields := s.fields()
	for i := range fields {
		f := &fields[i]
		ok := true
		switch f.key {
		case "name":
			ok = json.Unmarshal(f.raw, &t.name) == nil
		case "datatype":
			ok = json.Unmarshal(f.raw, &datatype) == nil
		case "shape":
			ok = json.Unmarshal(f.raw, &t.shape) == nil
		case "data":
			data = f
		}
		if !ok {
			panic(frame.Refuse("%s: the field %q cannot be read", t.name, f.key))
		}
	}
	typ, ok := v2Types[strings.ToUpper(datatype)]
	switch {
	case !ok:
		panic(frame.Refuse("input %q has the datatype %q, which is none of BOOL, INT8 to INT64, UINT8 to UINT64, FP16 to FP64, BYTES", t.name, datatype))
	case data == nil:
		panic(frame.Refuse("input %q lacks the field \"data\"; binary tensors are not supported", t.name))
	}
	t.data = &Column{Name: t.name}
	in := s.within(data)
	in.flat(t.data, 0)
	in.end()
	if err := (&ColSpec{Name: t.name, Type: typ}).convert(t.data); err != nil {
		panic(err)
	}
	size := 1
	for _, d := range t.shape {
		if d < 0 || d > 1<<31 || (d > 0 && size > (1<<31)/d) {
			panic(frame.Refuse("input %q has an impossible shape", t.name))
		}
		size *= d
	}
	if len(t.shape) == 0 || size != t.data.N {
		panic(frame.Refuse("input %q has %d elements, its shape %v says %d", t.name, t.data.N, t.shape, size))
	}
	return t
}

// width gives the elements of a row.
func (t *tensor) width() int {
	w := 1
	for _, d := range t.shape[1:] {
		w *= d
	}
	return w
}

// flat reads a list of values, or of lists of them, into one column.
func (s *scanner) flat(c *Column, depth int) {
	if s.peek() != '[' {
		s.cell(c, c.N)
		return
	}
	if depth > 8 {
		panic(frame.Refuse("input %q is nested too deeply", c.Name))
	}
	if !s.open('[', ']') {
		return
	}
	for {
		s.flat(c, depth+1)
		if !s.next(']') {
			return
		}
	}
}

// matrix deals the elements of rows out to columns.
func (p *parser) matrix(t tensor, width int) {
	if width > frame.MaxColumns {
		panic(frame.Refuse("more than %d columns", frame.MaxColumns))
	}
	p.in.Rows = t.data.N / width
	for k := range width {
		name := "V" + strconv.Itoa(k+1)
		if p.sig != nil && !p.sig.Tensor && k < len(p.sig.Inputs) && p.sig.Inputs[k].Name != "" {
			name = p.sig.Inputs[k].Name
		}
		c := p.add(name)
		c.Kind, c.N = t.data.Kind, p.in.Rows
		for i := k; i < t.data.N; i += width {
			if c.Kind == Text {
				c.Str = append(c.Str, t.data.Str[i])
			} else if c.Kind != Empty {
				c.Num = append(c.Num, t.data.Num[i])
			}
			if t.data.Null != nil {
				c.Null = append(c.Null, t.data.Null[i])
			}
		}
	}
}
