package model

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/model/frame"
)

// inputFields are the keys of which a JSON body must have exactly one.
var inputFields = []string{"dataframe_split", "dataframe_records", "instances", "inputs"}

// ParseJSON decodes a body of MLflow's scoring protocol (dataframe_split, dataframe_records, instances or inputs, with
// or without params), or a bare pandas-split object or list of records as MLflow 1 sent them. With bare, an object of
// columns is taken as well, as the legacy route /predict does. What is wrong is INVALID_PARAMETER_VALUE.
func ParseJSON(body []byte, sig *Signature, bare bool) (in *Input, err error) {
	defer frame.Recover(&err)
	if !utf8.Valid(body) {
		return nil, frame.Refuse("the body is not UTF-8")
	}
	p := &parser{sig: sig}
	s := &scanner{b: bytes.TrimPrefix(body, byteOrderMark)}
	switch s.peek() {
	case '[':
		p.flexible(s)
		s.end()
	case '{':
		read := false // the data that most bodies have are read where they stand
		fields := s.fieldsWith(func(key string) bool {
			switch {
			case read:
				return false
			case key == "dataframe_split":
				p.split(s, nil)
			case key == "dataframe_records":
				p.listOfRecords(s)
			default:
				return false
			}
			read = true
			return true
		})
		s.end()
		p.object(s, fields, bare)
	case 0:
		return nil, frame.Refuse("the body is empty")
	default:
		s.skip()
		s.end()
		return nil, frame.Refuse("the body is neither a JSON object nor an array")
	}
	return p.finish()
}

type parser struct {
	in        Input
	sig       *Signature
	haveNames bool // the columns came with names
	index     map[string]int
	filled    int // cells that records left out
}

func (p *parser) object(s *scanner, fields []field, bare bool) {
	var data *field
	found := 0
	var received []string
	for i := range fields {
		f := &fields[i]
		if f.key == "params" {
			continue
		}
		received = append(received, strconv.Quote(f.key))
		for _, name := range inputFields {
			if f.key == name {
				data = f
				found++
			}
		}
	}
	switch {
	case found == 1 && len(received) == 1:
		if !data.taken {
			in := s.within(data)
			p.flexible(in)
			in.end()
		}
		for i := range fields {
			if fields[i].key == "params" {
				p.params(s.within(&fields[i]))
			}
		}
	case found == 0 && isSplit(fields):
		p.split(s, fields)
	case found == 0 && bare && len(fields) > 0:
		p.columns(s, fields)
	default:
		panic(frame.Refuse("the input must be a JSON object with exactly one of the fields %s; received %s",
			strings.Join(inputFields, ", "), listOrNone(received)))
	}
}

// listOfRecords reads dataframe_records; a list of values, which R writes of a vector, is one.
func (p *parser) listOfRecords(s *scanner) {
	if c := s.peek(); c != '[' && c != '{' {
		panic(frame.Refuse("dataframe_records must be a list of objects"))
	}
	p.flexible(s)
	if !p.haveNames && p.in.Rows > 0 && p.in.Shape != Vector {
		panic(frame.Refuse("dataframe_records must be a list of objects"))
	}
}

// add appends a column, or gives the existing one of that index.
func (p *parser) add(name string) *Column {
	if len(p.in.Columns) >= frame.MaxColumns {
		panic(frame.Refuse("more than %d columns", frame.MaxColumns))
	}
	if fault := checkName(name); fault != nil {
		panic(fault)
	}
	c := &Column{Name: name}
	p.in.Columns = append(p.in.Columns, c)
	return c
}

// flexible reads what instances and inputs may be: records, rows, an object of columns, a vector or a scalar.
func (p *parser) flexible(s *scanner) {
	switch s.peek() {
	case '{':
		p.columns(s, s.fields())
	case '[':
		at := s.i
		s.i++
		first := s.peek()
		s.i = at
		switch first {
		case '{':
			p.records(s)
		case '[':
			p.rows(s, false)
		case ']':
			s.skip()
		default:
			p.in.Shape = Vector
			p.in.Rows = s.vector(p.add(""))
		}
	default:
		p.in.Shape = Vector
		s.cell(p.add(""), 0)
		p.in.Rows = 1
	}
}

func (s *scanner) vector(c *Column) int {
	if !s.open('[', ']') {
		return 0
	}
	for n := 0; ; n++ {
		s.cell(c, n)
		if !s.next(']') {
			return n + 1
		}
	}
}

// columns reads {"name": [values]}: a data frame when all are equally long, a named list otherwise.
func (p *parser) columns(s *scanner, fields []field) {
	p.haveNames = true
	equal := true
	for i := range fields {
		in := s.within(&fields[i])
		c := p.add(fields[i].key)
		n := 1
		if in.peek() == '[' {
			n = in.vector(c)
		} else {
			in.cell(c, 0)
		}
		in.end()
		if i > 0 && n != p.in.Rows {
			equal = false
		}
		p.in.Rows = n
	}
	if !equal {
		p.in.Shape, p.in.Rows = Named, 0
	}
}

// finish checks what was read against the signature.
func (p *parser) finish() (*Input, error) {
	in := &p.in
	p.sig.addDefaults(in)
	if in.Shape == Vector && p.sig != nil && len(p.sig.Inputs) == 1 && !p.sig.Tensor {
		in.Shape = Frame
		in.Columns[0].Name = "V1"
	}
	if in.Shape != Frame {
		return in, p.sig.takes(in.Shape)
	}
	if in.Rows == 0 && len(in.Columns) == 0 && p.sig != nil && !p.sig.Tensor { // an empty list of records names no columns
		for i := range p.sig.Inputs {
			p.add(p.sig.Inputs[i].Name)
		}
		p.haveNames = p.sig.named()
	}
	var err error
	if in.Columns, err = p.sig.apply(in.Columns, p.haveNames); err != nil {
		return nil, err
	}
	return in, nil
}
