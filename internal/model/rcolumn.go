package model

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/weir-ml/weir/mlflow"
)

// What R knows of a column beyond MLflow's type stands in the field r_columns of the MLmodel file and not in the
// signature, whose readers in Python refuse keys that they do not know.

// The classes that a column can have had in R.
const (
	rOrdered = "ordered"
	rDate    = "Date"
)

// rColumn is an entry of r_columns.
type rColumn struct {
	Name   string   `json:"name"`
	Class  string   `json:"class"` // factor, ordered, Date or POSIXct
	Levels []string `json:"levels"`
	TZone  string   `json:"tzone"` // of a POSIXct
}

// addRColumns completes the inputs of a signature by the JSON text of r_columns.
func (s *Signature) addRColumns(text string) error {
	if text == "" {
		return nil
	}
	var columns []rColumn
	if err := json.Unmarshal([]byte(text), &columns); err != nil {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the MLmodel file's r_columns are not JSON: %v", err)
	}
	for _, c := range columns {
		i := slices.IndexFunc(s.Inputs, func(spec ColSpec) bool { return spec.Name == c.Name })
		if i < 0 {
			continue
		}
		spec := &s.Inputs[i]
		spec.RClass, spec.TZone = c.Class, c.TZone
		if c.Levels != nil {
			spec.Levels = c.Levels
		}
	}
	return nil
}

// toText renders a column of numbers or logicals as R names levels: a factor whose levels are numbers is often sent as
// numbers. It reports false when the levels do not look like that.
func (spec *ColSpec) toText(c *Column) bool {
	if c.Kind != Integer && c.Kind != Double && c.Kind != Logical {
		return false
	}
	for _, l := range spec.Levels {
		_, number := parseDouble(l)
		_, logical := parseLogical(l)
		if c.Kind == Logical && !logical || c.Kind != Logical && !number {
			return false
		}
	}
	texts := make([]string, c.N)
	for i, x := range c.Num {
		switch {
		case c.IsNull(i):
		case c.Kind == Logical:
			texts[i] = map[bool]string{true: "TRUE", false: "FALSE"}[x == 1]
		default:
			texts[i] = strconv.FormatFloat(x, 'g', 15, 64)
		}
	}
	c.Kind, c.Num, c.Str = Text, nil, texts
	return true
}

// absent gives the column of an input that lacks an optional one: R's models want it, its values are missing.
func (spec *ColSpec) absent(rows int) (*Column, error) {
	c := &Column{Name: spec.Name}
	for range rows {
		c.AddNull()
	}
	return c, spec.convertEmpty(c)
}

// Empty reports whether the model says nothing of its inputs.
func (s *Signature) Empty() bool { return s == nil || len(s.Inputs) == 0 }
