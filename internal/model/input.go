package model

import "github.com/weir-ml/weir/internal/model/frame"

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

// maxName bounds the bytes of a column's name, as R does.
const maxName = 10_000

func checkName(name string) error {
	if len(name) > maxName {
		return frame.Refuse("a column has a name of %d bytes; R takes at most %d", len(name), maxName)
	}
	return nil
}

// byteOrderMark is what some programs put before UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")
