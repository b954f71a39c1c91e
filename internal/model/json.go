package model

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weir-ml/weir/mlflow"
)

// Shape says what a model is given.
type Shape uint8

// The shapes of an input: a data frame; one vector without a name; a named list of vectors of unequal lengths.
const (
	Frame Shape = iota
	Vector
	Named
)

// Input is a decoded request body.
type Input struct {
	Shape    Shape
	Columns  []*Column
	Rows     int
	RowNames []string // nil for automatic ones
	Params   []Param
}

// Param is a named argument of predict beside the data.
type Param struct {
	Name  string
	Value *Column
}

// maxColumns bounds the columns of an input and the keys of an object, maxName the bytes of a column's name, as R does.
const (
	maxColumns = 100_000
	maxName    = 10_000
)

func checkName(name string) error {
	if len(name) > maxName {
		return badInput("a column has a name of %d bytes; R takes at most %d", len(name), maxName)
	}
	return nil
}

// byteOrderMark is what some programs put before UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// inputFields are the keys of which a JSON body must have exactly one.
var inputFields = []string{"dataframe_split", "dataframe_records", "instances", "inputs"}

// recoverFault turns the panic of a scanner into its error.
func recoverFault(err *error) {
	if r := recover(); r != nil {
		fault, ok := r.(*mlflow.Error)
		if !ok {
			panic(r)
		}
		*err = fault
	}
}

// ParseJSON decodes a body of MLflow's scoring protocol (dataframe_split, dataframe_records, instances or inputs, with
// or without params), or a bare pandas-split object or list of records as MLflow 1 sent them. With bare, an object of
// columns is taken as well, as the legacy route /predict does. What is wrong is INVALID_PARAMETER_VALUE.
func ParseJSON(body []byte, sig *Signature, bare bool) (in *Input, err error) {
	defer recoverFault(&err)
	if !utf8.Valid(body) {
		return nil, badInput("the body is not UTF-8")
	}
	p := &parser{sig: sig}
	s := &scanner{b: bytes.TrimPrefix(body, byteOrderMark)}
	switch s.peek() {
	case '[':
		p.flexible(s)
		s.end()
	case '{':
		fields := s.fieldsWith(func(key string) bool {
			if key != "dataframe_split" {
				return false
			}
			p.split(s, nil)
			return true
		})
		s.end()
		p.object(s, fields, bare)
	case 0:
		return nil, badInput("the body is empty")
	default:
		s.skip()
		s.end()
		return nil, badInput("the body is neither a JSON object nor an array")
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

// fill marks a cell as missing that a record does not have. A body of a megabyte could claim terabytes of them: each
// record with a key of its own makes a column for all the others.
func (p *parser) fill(c *Column, body int) {
	if p.filled++; p.filled > 4<<20+body/4 {
		panic(badInput("the records leave out too many of the %d columns; send them as dataframe_split", len(p.in.Columns)))
	}
	c.addNull()
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
		in := s.within(data)
		switch data.key {
		case "dataframe_split": // has been read
			in = nil
		case "dataframe_records":
			if c := in.peek(); c != '[' && c != '{' {
				panic(badInput("dataframe_records must be a list of objects"))
			}
			p.flexible(in)
			// A list of values, which R writes of a vector, is one.
			if !p.haveNames && p.in.Rows > 0 && p.in.Shape != Vector {
				panic(badInput("dataframe_records must be a list of objects"))
			}
		default:
			p.flexible(in)
		}
		if in != nil {
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
		panic(badInput("the input must be a JSON object with exactly one of the fields %s; received %s",
			strings.Join(inputFields, ", "), listOrNone(received)))
	}
}

func isSplit(fields []field) bool {
	data, other := false, false
	for _, f := range fields {
		switch f.key {
		case "data":
			data = f.raw[0] == '['
		case "columns", "index":
		default:
			other = true
		}
	}
	return data && !other
}

// add appends a column, or gives the existing one of that index.
func (p *parser) add(name string) *Column {
	if len(p.in.Columns) >= maxColumns {
		panic(badInput("more than %d columns", maxColumns))
	}
	if fault := checkName(name); fault != nil {
		panic(fault)
	}
	c := &Column{Name: name}
	p.in.Columns = append(p.in.Columns, c)
	return c
}

// split reads {"columns", "index", "data"}: rows of cells beside the names of the columns. Without fields it reads them
// from s, and rows whose columns came before them on the way: nothing is looked at twice.
func (p *parser) split(s *scanner, fields []field) {
	haveColumns, haveData := false, false
	columns := func(in *scanner) {
		p.haveNames, haveColumns = true, true
		seen := map[string]bool{}
		for _, name := range in.texts("columns") {
			if seen[name] {
				panic(badInput("column %q appears twice in columns", name))
			}
			seen[name] = true
			p.add(name)
		}
	}
	data := func(in *scanner) {
		if in.peek() != '[' {
			panic(badInput("the field \"data\" must be a list of rows"))
		}
		haveData = true
		p.rows(in, haveColumns)
	}
	if fields == nil {
		if s.peek() != '{' {
			panic(badInput("dataframe_split must be an object with the fields columns, index and data"))
		}
		fields = s.fieldsWith(func(key string) bool {
			switch {
			case key == "columns" && !haveData:
				columns(s)
			case key == "data" && haveColumns:
				data(s)
			default:
				return false
			}
			return true
		})
	}
	var later [3]*field // columns, data, index
	for i := range fields {
		switch f := &fields[i]; f.key {
		case "columns":
			later[0] = f
		case "data":
			later[1] = f
		case "index":
			later[2] = f
		default:
			panic(badInput("dataframe_split has the unknown field %q; it takes columns, index and data", f.key))
		}
	}
	if f := later[0]; f != nil && !f.taken {
		columns(s.within(f))
	}
	if later[1] == nil {
		panic(badInput("dataframe_split lacks the field \"data\""))
	}
	if f := later[1]; !f.taken {
		data(s.within(f))
	}
	if f := later[2]; f != nil {
		p.in.RowNames = p.rowNames(s.within(f))
	}
}

// rowNames gives the index as row names; R wants them unique, and automatic ones say as much as 0, 1, 2.
func (p *parser) rowNames(s *scanner) []string {
	if s.peek() == 'n' {
		return nil
	}
	names := s.texts("index")
	if len(names) != p.in.Rows {
		panic(badInput("index has %d elements for %d rows", len(names), p.in.Rows))
	}
	seen := make(map[string]bool, len(names))
	counting := true
	for i, n := range names {
		if seen[n] {
			return nil
		}
		seen[n] = true
		counting = counting && (n == strconv.Itoa(i) || n == strconv.Itoa(i+1))
	}
	if counting {
		return nil
	}
	return names
}

// texts reads a list of texts or numbers, each as it is written.
func (s *scanner) texts(what string) []string {
	out := []string{}
	if s.peek() != '[' {
		panic(badInput("the field %q must be a list", what))
	}
	if !s.open('[', ']') {
		return out
	}
	for {
		switch s.peek() {
		case '"':
			out = append(out, s.string())
		case '[', '{':
			panic(badInput("the field %q must be a list of texts", what))
		default:
			out = append(out, string(s.skip()))
		}
		if len(out) > maxColumns && what == "columns" {
			panic(badInput("more than %d columns", maxColumns))
		}
		if !s.next(']') {
			return out
		}
	}
}

// rows reads a list of lists; fixed says that the columns are known before.
func (p *parser) rows(s *scanner, fixed bool) {
	if !s.open('[', ']') {
		return
	}
	start := s.i
	for row := 0; ; row++ {
		p.row(s, row, fixed)
		if row == 0 {
			p.reserve(len(s.b)-s.i, s.i-start)
		}
		if !s.next(']') {
			return
		}
	}
}

// row reads one list of cells.
func (p *parser) row(s *scanner, row int, fixed bool) {
	if s.peek() != '[' {
		panic(badInput("row %d is not a list", row+1))
	}
	n := 0
	if s.open('[', ']') {
		for {
			if n == len(p.in.Columns) {
				if row > 0 || fixed {
					panic(badInput("row %d has more than %d values", row+1, n))
				}
				name := "V" + strconv.Itoa(n+1)
				if p.sig != nil && n < len(p.sig.Inputs) && p.sig.Inputs[n].Name != "" {
					name = p.sig.Inputs[n].Name
				}
				p.add(name)
			}
			s.cell(p.in.Columns[n], row)
			n++
			if !s.next(']') {
				break
			}
		}
	}
	if n < len(p.in.Columns) {
		panic(badInput("row %d has %d values for %d columns", row+1, n, len(p.in.Columns)))
	}
	p.in.Rows = row + 1
}

// reserve makes room for the rows that the rest of the body is likely to hold, by the bytes of the first one.
func (p *parser) reserve(rest, first int) {
	rows := rest/max(first, 1) + 1
	for _, c := range p.in.Columns {
		if c.Num != nil {
			c.Num = slices.Grow(c.Num, rows)
		}
		if c.Str != nil {
			c.Str = slices.Grow(c.Str, min(rows, 1<<16))
		}
	}
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

// records reads [{"name": value}].
func (p *parser) records(s *scanner) {
	p.haveNames = true
	s.open('[', ']')
	for row := 0; ; row++ {
		p.record(s, row)
		if !s.next(']') {
			return
		}
	}
}

// record reads one object. Keys mostly come in the same order, so the expected column is tried first.
func (p *parser) record(s *scanner, row int) {
	if s.peek() != '{' {
		panic(badInput("row %d is not an object", row+1))
	}
	if p.index == nil {
		p.index = map[string]int{}
	}
	expected := 0
	if s.open('{', '}') {
		for {
			raw, escaped := s.rawString()
			var c *Column
			if expected < len(p.in.Columns) && !escaped && string(raw) == p.in.Columns[expected].Name {
				c = p.in.Columns[expected]
			} else {
				c, expected = p.column(s.unescape(raw, escaped), row, len(s.b))
			}
			expected++
			s.expect(':')
			if c.n > row {
				panic(badInput("column %q appears twice in row %d", c.Name, row+1))
			}
			s.cell(c, row)
			if !s.next('}') {
				break
			}
		}
	}
	for _, c := range p.in.Columns {
		if c.n <= row {
			p.fill(c, len(s.b))
		}
	}
	p.in.Rows = row + 1
}

// ParseJSONLines decodes a body with a record, or a list of cells, on each line.
func ParseJSONLines(body []byte, sig *Signature) (in *Input, err error) {
	defer recoverFault(&err)
	if !utf8.Valid(body) {
		return nil, badInput("the body is not UTF-8")
	}
	p := &parser{sig: sig}
	s := &scanner{b: bytes.TrimPrefix(body, byteOrderMark)}
	first := s.peek()
	p.haveNames = first == '{'
	for row := 0; s.peek() != 0 || s.i < len(s.b); row++ {
		if p.haveNames {
			p.record(s, row)
		} else {
			p.row(s, row, false)
		}
		if c := s.inLine(); c != 0 && c != '\n' {
			s.fail("%s after the value of a line", s.describe())
		}
	}
	if p.in.Rows == 0 {
		return nil, badInput("the body is empty")
	}
	return p.finish()
}

// inLine skips blanks and gives the byte after them, 0 at the end.
func (s *scanner) inLine() byte {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
	if s.i == len(s.b) {
		return 0
	}
	return s.b[s.i]
}

func (p *parser) column(name string, row, body int) (*Column, int) {
	if i, ok := p.index[name]; ok {
		return p.in.Columns[i], i
	}
	c := p.add(name)
	for range row {
		p.fill(c, body)
	}
	p.index[name] = len(p.in.Columns) - 1
	return c, len(p.in.Columns) - 1
}

// params reads {"name": scalar or list}. With a signature that has params, others are left out, as MLflow does.
func (p *parser) params(s *scanner) {
	switch s.peek() {
	case 'n':
		s.skip()
		return
	case '{':
	default:
		panic(badInput("params must be an object"))
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
		panic(badInput("parameter %q is an object; it must be a value or a list of values", name))
	default:
		s.cell(c, 0)
	}
	s.end()
	return Param{name, c}
}

// ParseParams reads an object of parameters, such as {"type": "response"}.
func ParseParams(text []byte) (params []Param, err error) {
	defer recoverFault(&err)
	if !utf8.Valid(text) {
		return nil, badInput("the params are not UTF-8")
	}
	s := &scanner{b: text}
	if s.peek() != '{' {
		return nil, badInput("the params must be a JSON object")
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
	if !list && c.n != 1 {
		panic(badInput("parameter %q must be a single value, not a list of %d", spec.Name, c.n))
	}
	at := c.firstPresent()
	fault := (&ColSpec{Name: spec.Name, Type: spec.Type}).convert(c)
	if fault != nil {
		panic(badInput("parameter %q: %s is not %s", spec.Name, c.show(at), article(spec.Type)))
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

// finish checks what was read against the signature.
func (p *parser) finish() (*Input, error) {
	in := &p.in
	p.sig.addDefaults(in)
	if in.Shape == Vector && p.sig != nil && len(p.sig.Inputs) == 1 && !p.sig.Tensor {
		in.Shape = Frame
		in.Columns[0].Name = "V1"
	}
	if in.Shape != Frame {
		return in, nil
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
