package model

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/mlflow"
)

// Signature says which columns a model takes and gives.
type Signature struct {
	Inputs  []ColSpec
	Outputs []ColSpec
	Params  []ParamSpec
	Tensor  bool // the inputs are tensors: their columns are not checked
}

// ColSpec is one column. Type is one of MLflow's: boolean, integer, long, float, double, string, binary, datetime;
// anything else (array, object, map, any) is not checked.
type ColSpec struct {
	Name     string
	Type     string
	Required bool
	Levels   []string // of a factor
	RClass   string   // the class that the column had in R, where its type does not tell
	TZone    string   // of times, where R has one recorded
}

// Date reports whether the column is of days, without a time.
func (spec *ColSpec) Date() bool { return spec.Type == "datetime" && spec.RClass == rDate }

// ParamSpec is a parameter of predict beside the data.
type ParamSpec struct {
	Name    string          `json:"name"`
	Type    string          `json:"type"`
	Default json.RawMessage `json:"default"`
	Shape   json.RawMessage `json:"shape"` // null for a single value
}

// ParseSignature reads the three JSON texts of an MLmodel file's signature; an empty one is absent.
func ParseSignature(inputs, outputs, params string) (*Signature, error) {
	s := &Signature{}
	var err error
	if s.Inputs, s.Tensor, err = parseSpecs("inputs", inputs); err != nil {
		return nil, err
	}
	if s.Outputs, _, err = parseSpecs("outputs", outputs); err != nil {
		return nil, err
	}
	if params != "" {
		if err := json.Unmarshal([]byte(params), &s.Params); err != nil {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the signature's params are not JSON: %v", err)
		}
	}
	return s, nil
}

func parseSpecs(which, text string) (specs []ColSpec, tensor bool, err error) {
	if text == "" {
		return nil, false, nil
	}
	var raw []struct {
		Name     string          `json:"name"`
		Type     json.RawMessage `json:"type"`
		Required *bool           `json:"required"`
		Optional bool            `json:"optional"` // MLflow 2.0 to 2.5 wrote it the other way round
		Levels   []string        `json:"levels"`   // here and not in r_columns: an early R package wrote it so
		RClass   string          `json:"r_class"`  // the same
	}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, false, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the signature's %s are not JSON: %v", which, err)
	}
	for _, r := range raw {
		var typ string
		if json.Unmarshal(r.Type, &typ) != nil {
			typ = "any" // a type that is an object of its own
		}
		if typ == "tensor" {
			return nil, true, nil
		}
		required := !r.Optional
		if r.Required != nil {
			required = *r.Required
		}
		specs = append(specs, ColSpec{Name: r.Name, Type: typ, Required: required, Levels: r.Levels, RClass: r.RClass})
	}
	return specs, false, nil
}

func (s *Signature) named() bool { return len(s.Inputs) > 0 && s.Inputs[0].Name != "" }

// takes refuses what is no data frame where the signature has columns: nothing else of it would be checked.
func (s *Signature) takes(shape Shape) error {
	switch {
	case s == nil || s.Tensor || len(s.Inputs) == 0:
		return nil
	case shape == Named:
		return frame.Refuse("the columns are not equally long; the model takes rows of %d columns", len(s.Inputs))
	}
	return frame.Refuse("the input is a list of values; the model takes rows of %d columns", len(s.Inputs))
}

// apply checks a data frame against the signature: it gives the columns in the signature's order with its types, drops
// columns that it does not know, and says what is wrong with which column in which row (counted from 1).
func (s *Signature) apply(columns []*Column, haveNames bool) ([]*Column, error) {
	if s == nil || s.Tensor || len(s.Inputs) == 0 {
		return columns, nil
	}
	if !haveNames || !s.named() {
		if len(columns) != len(s.Inputs) {
			return nil, frame.Refuse("the model takes %d columns, the input has %d", len(s.Inputs), len(columns))
		}
		for i, c := range columns {
			if s.Inputs[i].Name != "" {
				c.Name = s.Inputs[i].Name
			}
			if err := s.Inputs[i].convert(c); err != nil {
				return nil, err
			}
		}
		return columns, nil
	}
	byName := make(map[string]*Column, len(columns))
	for _, c := range columns {
		byName[c.Name] = c
	}
	out := make([]*Column, 0, len(s.Inputs))
	var missing []string
	for i := range s.Inputs {
		spec := &s.Inputs[i]
		c := byName[spec.Name]
		if c == nil {
			if spec.Required {
				missing = append(missing, strconv.Quote(spec.Name))
			} else if len(columns) > 0 {
				c, err := spec.absent(columns[0].N)
				if err != nil {
					return nil, err
				}
				out = append(out, c)
			}
			continue
		}
		if err := spec.convert(c); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if missing != nil {
		have := make([]string, len(columns))
		for i, c := range columns {
			have[i] = strconv.Quote(c.Name)
		}
		return nil, frame.Refuse("the input lacks the column%s %s; it has %s", plural(len(missing)), strings.Join(missing, ", "), listOrNone(have))
	}
	return out, nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func listOrNone(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

// refuse names the column, the row and the value that does not fit.
func (spec *ColSpec) refuse(c *Column, row int, value string) error {
	return frame.Refuse("column %q, row %d: %s is not %s", c.Name, row+1, value, article(spec.Type))
}

func article(typ string) string {
	if typ == "integer" {
		return "an integer"
	}
	return "a " + typ
}

// convert gives the column the type of the signature, or says why it cannot.
func (spec *ColSpec) convert(c *Column) error {
	if c.Kind != Empty && c.AllMissing() { // of which a CSV file says no type
		c.Kind, c.Num, c.Str = Empty, nil, nil
	}
	if c.Kind == Empty {
		return spec.convertEmpty(c)
	}
	switch spec.Type {
	case "boolean":
		if c.Kind != Logical {
			return spec.refuse(c, c.FirstPresent(), c.Show(c.FirstPresent()))
		}
	case "integer", "long":
		return spec.convertWhole(c)
	case "float", "double":
		if c.Kind == Integer {
			c.Kind = Double
		}
		if c.Kind == Text && c.SpecialsToNumbers() {
			return nil
		}
		if c.Kind != Double {
			return spec.refuse(c, c.FirstPresent(), c.Show(c.FirstPresent()))
		}
	case "string", "binary":
		if c.Kind != Text && !(spec.Levels != nil && spec.toText(c)) {
			return spec.refuse(c, c.FirstPresent(), c.Show(c.FirstPresent()))
		}
		if spec.Levels != nil {
			return spec.convertFactor(c)
		}
	case "datetime":
		return spec.convertTime(c)
	}
	return nil
}

// convertEmpty types a column of missing values only.
func (spec *ColSpec) convertEmpty(c *Column) error {
	switch spec.Type {
	case "boolean":
		c.Become(Logical)
	case "integer":
		c.Become(Integer)
	case "long", "float", "double":
		c.Become(Double)
	case "datetime":
		c.Become(spec.timeKind())
		c.TZone = spec.TZone
	case "string", "binary":
		c.Become(Text)
		if spec.Levels != nil {
			return spec.convertFactor(c)
		}
	}
	return nil
}

// convertWhole takes 3 and 3.0 and refuses 3.5; a long that no R integer can hold stays a double.
func (spec *ColSpec) convertWhole(c *Column) error {
	if c.Kind == Text {
		c.SpecialsToNumbers()
	}
	if c.Kind != Integer && c.Kind != Double {
		return spec.refuse(c, c.FirstPresent(), c.Show(c.FirstPresent()))
	}
	small := true
	for i, x := range c.Num {
		if c.IsNull(i) {
			continue
		}
		fits := x > math.MinInt32 && x <= math.MaxInt32
		if x != math.Trunc(x) || math.IsInf(x, 0) || (!fits && spec.Type == "integer") {
			return spec.refuse(c, i, c.Show(i))
		}
		small = small && fits
	}
	c.Kind = Integer
	if !small {
		c.Kind = Double
	}
	return nil
}

func (spec *ColSpec) convertFactor(c *Column) error {
	num := make([]float64, c.N)
	for i, s := range c.Str {
		if c.IsNull(i) {
			continue
		}
		level := slices.Index(spec.Levels, s)
		if level < 0 {
			return frame.Refuse("column %q, row %d: %q is not one of the levels %s", c.Name, i+1, s, showLevels(spec.Levels))
		}
		num[i] = float64(level)
	}
	c.Kind, c.Num, c.Str, c.Levels, c.Ordered = Factor, num, nil, spec.Levels, spec.RClass == rOrdered
	return nil
}

func showLevels(levels []string) string {
	const most = 20
	quoted := make([]string, 0, most)
	for _, l := range levels[:min(most, len(levels))] {
		quoted = append(quoted, strconv.Quote(l))
	}
	text := strings.Join(quoted, ", ")
	if len(levels) > most {
		text += fmt.Sprintf(" and %d more", len(levels)-most)
	}
	return text
}

func (spec *ColSpec) timeKind() Kind {
	if spec.Date() {
		return Day
	}
	return Time
}

// convertTime reads texts of ISO 8601. A column of days takes a time only at midnight, UTC: what an hour is dropped from
// is rarely meant.
func (spec *ColSpec) convertTime(c *Column) error {
	c.TZone = spec.TZone
	if c.Kind == Time || c.Kind == Day {
		return spec.retime(c)
	}
	if c.Kind != Text {
		return spec.refuse(c, c.FirstPresent(), c.Show(c.FirstPresent()))
	}
	kind := spec.timeKind()
	num := make([]float64, c.N)
	for i, s := range c.Str {
		if c.IsNull(i) {
			continue
		}
		x, ok := parseTime(s)
		if !ok {
			return frame.Refuse("column %q, row %d: %q is not a date or time of ISO 8601", c.Name, i+1, s)
		}
		if kind == Day {
			if x /= 86400; x != math.Trunc(x) {
				return frame.Refuse("column %q, row %d: %q is a time, where the model takes a date such as 2026-01-31", c.Name, i+1, s)
			}
		}
		num[i] = x
	}
	c.Kind, c.Num, c.Str = kind, num, nil
	return nil
}
