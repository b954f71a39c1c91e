package endpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// encoder renders predictions as JSON. Vectors are arrays, matrices arrays of rows, data frames arrays of objects, named
// lists objects. Factors and dates are texts (ISO 8601); NA and NaN are null, and so are infinities, which it notes.
type encoder struct {
	out      []byte
	infinite bool // an infinity became null
}

// encodePredictions renders what predict gave for rows rows of input.
func encodePredictions(dst []byte, v rds.Value, rows int) (out []byte, infinite bool, err error) {
	e := encoder{out: dst}
	err = e.top(v, rows)
	return e.out, e.infinite, err
}

// top renders a value at the root, where a vector is an array even with a single element. Names that only repeat which
// row an element belongs to are dropped; names of something else make an object.
func (e *encoder) top(v rds.Value, rows int) error {
	if isVector(v) {
		if names := v.Attributes().Strings("names"); names != nil && rds.Len(v) != rows {
			return e.object(names, func(i int) error { return e.element(v, i) })
		}
		return e.vector(v)
	}
	return e.value(v)
}

// vector renders the elements of a vector as an array.
func (e *encoder) vector(v rds.Value) error {
	if d, ok := v.(*rds.Double); ok && len(d.Attrs) == 0 {
		e.numbers(d.V)
		return nil
	}
	return e.array(rds.Len(v), func(i int) error { return e.element(v, i) })
}

// perProcessor is how many numbers another processor is worth starting for.
const perProcessor = 4096

// numbers renders plain numbers as an array; many are divided among the processors, which wait for it meanwhile.
func (e *encoder) numbers(v []float64) {
	e.out = append(e.out, '[')
	n := min(len(v)/perProcessor, runtime.GOMAXPROCS(0))
	if n < 2 {
		e.list(v)
		e.out = append(e.out, ']')
		return
	}
	parts := make([]encoder, n-1)
	var done sync.WaitGroup
	for k := range parts {
		of := v[(k+1)*len(v)/n : (k+2)*len(v)/n]
		done.Go(func() {
			parts[k].out = append(make([]byte, 0, 20*len(of)), ',')
			parts[k].list(of)
		})
	}
	e.list(v[:len(v)/n])
	done.Wait()
	for k := range parts {
		e.out = append(e.out, parts[k].out...)
		e.infinite = e.infinite || parts[k].infinite
	}
	e.out = append(e.out, ']')
}

// list renders numbers with commas between them.
func (e *encoder) list(v []float64) {
	for i, x := range v {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.number(x)
	}
}

// number renders a number that is no date; what JSON has none for is null.
func (e *encoder) number(x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		e.infinite = e.infinite || !math.IsNaN(x)
		e.out = append(e.out, "null"...)
		return
	}
	e.out = mlflow.Float(x).AppendJSON(e.out)
}

// isVector says whether v is an atomic vector, and no matrix.
func isVector(v rds.Value) bool { return isAtomic(v) && v.Attributes().Get("dim") == nil }

func isAtomic(v rds.Value) bool {
	switch v.(type) {
	case *rds.Logical, *rds.Integer, *rds.Double, *rds.String, *rds.Raw:
		return true
	}
	return false
}

func (e *encoder) array(n int, element func(i int) error) error {
	e.out = append(e.out, '[')
	for i := range n {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		if err := element(i); err != nil {
			return err
		}
	}
	e.out = append(e.out, ']')
	return nil
}

func (e *encoder) object(names []string, element func(i int) error) error {
	e.out = append(e.out, '{')
	for i, name := range names {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.text(name)
		e.out = append(e.out, ':')
		if err := element(i); err != nil {
			return err
		}
	}
	e.out = append(e.out, '}')
	return nil
}

func (e *encoder) text(s string) {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		e.out = append(append(append(e.out, '"'), s...), '"')
		return
	}
	quoted, _ := json.Marshal(s) // a string always marshals
	e.out = append(e.out, quoted...)
}

// value renders anything below the root; there an unnamed vector of length one is a scalar.
func (e *encoder) value(v rds.Value) error {
	if dim, ok := attribute(v, "dim").(*rds.Integer); ok && isAtomic(v) {
		return e.matrix(v, dim.V)
	}
	if n, ok := rds.Rows(v); ok {
		return e.frame(v.(*rds.List), n)
	}
	switch x := v.(type) {
	case nil, *rds.Null:
		e.out = append(e.out, "null"...)
		return nil
	case *rds.List:
		if names := x.Strings("names"); len(names) == len(x.V) && len(names) > 0 {
			return e.object(names, func(i int) error { return e.value(x.V[i]) })
		}
		return e.array(len(x.V), func(i int) error { return e.value(x.V[i]) })
	}
	if !isAtomic(v) {
		return mlflow.Errorf(mlflow.CodeInternal, "the prediction holds a value of class %q, which JSON cannot hold", rds.Class(v)[0])
	}
	if names := v.Attributes().Strings("names"); len(names) == rds.Len(v) && len(names) > 0 {
		return e.object(names, func(i int) error { return e.element(v, i) })
	}
	if rds.Len(v) == 1 {
		return e.element(v, 0)
	}
	return e.vector(v)
}

func attribute(v rds.Value, name string) rds.Value {
	if v == nil {
		return nil
	}
	return v.Attributes().Get(name)
}

// matrix renders an array of any rank by rows; R stores the first index fastest.
func (e *encoder) matrix(v rds.Value, dim []int32) error {
	size := 1
	for _, d := range dim {
		if d < 0 || (d > 0 && size > math.MaxInt32/int(d)) {
			return mlflow.Errorf(mlflow.CodeInternal, "the prediction is an array of the impossible dimension %d", d)
		}
		size *= int(d)
	}
	if size != rds.Len(v) || len(dim) == 0 || len(dim) > 32 {
		return mlflow.Errorf(mlflow.CodeInternal, "the prediction is an array whose dimensions do not fit its %d values", rds.Len(v))
	}
	var nest func(axis, offset, stride int) error
	nest = func(axis, offset, stride int) error {
		if axis == len(dim) {
			return e.element(v, offset)
		}
		return e.array(int(dim[axis]), func(i int) error { return nest(axis+1, offset+i*stride, stride*int(dim[axis])) })
	}
	return nest(0, 0, 1)
}

// frame renders a data frame as records; a matrix in a column gives each record its row.
func (e *encoder) frame(df *rds.List, rows int) error {
	names := df.Strings("names")
	if len(names) != len(df.V) {
		return mlflow.Errorf(mlflow.CodeInternal, "the prediction is a data frame without column names")
	}
	for i, c := range df.V {
		if !isAtomic(c) || rds.Len(c) != rows {
			return mlflow.Errorf(mlflow.CodeInternal, "column %q of the predictions is a %s, which a record cannot hold", names[i], rds.Class(c)[0])
		}
	}
	return e.array(rows, func(row int) error {
		return e.object(names, func(i int) error { return e.element(df.V[i], row) })
	})
}

func (e *encoder) element(v rds.Value, i int) error {
	switch v := v.(type) {
	case *rds.Logical:
		switch v.V[i] {
		case rds.NAInt:
			e.out = append(e.out, "null"...)
		case 0:
			e.out = append(e.out, "false"...)
		default:
			e.out = append(e.out, "true"...)
		}
	case *rds.Integer:
		return e.integer(v, i)
	case *rds.Double:
		e.double(v, v.V[i])
	case *rds.String:
		if v.V[i].NA {
			e.out = append(e.out, "null"...)
		} else {
			e.text(v.V[i].S)
		}
	case *rds.Raw:
		e.out = strconv.AppendInt(e.out, int64(v.V[i]), 10)
	default:
		return fmt.Errorf("an element of a %T", v)
	}
	return nil
}

func (e *encoder) integer(v *rds.Integer, i int) error {
	x := v.V[i]
	if x == rds.NAInt {
		e.out = append(e.out, "null"...)
		return nil
	}
	if levels, ok := v.Get("levels").(*rds.String); ok && rds.Inherits(v, "factor") {
		if x < 1 || int(x) > len(levels.V) {
			return mlflow.Errorf(mlflow.CodeInternal, "the prediction is a factor with code %d of %d levels", x, len(levels.V))
		}
		e.text(levels.V[x-1].Text())
		return nil
	}
	if rds.Inherits(v, "Date") || rds.Inherits(v, "POSIXct") {
		e.double(&rds.Double{Attrs: v.Attrs}, float64(x))
		return nil
	}
	e.out = strconv.AppendInt(e.out, int64(x), 10)
	return nil
}

// maxSeconds bounds the times that are rendered: the year 9999 is the last that ISO 8601 has without agreement.
const maxSeconds = 253402300800

func (e *encoder) double(v *rds.Double, x float64) {
	if len(v.Attrs) > 0 && !math.IsNaN(x) && !math.IsInf(x, 0) {
		seconds, layout := x, "2006-01-02T15:04:05.999999Z"
		if rds.Inherits(v, "Date") {
			seconds, layout = math.Floor(x)*86400, "2006-01-02"
		} else if !rds.Inherits(v, "POSIXct") {
			layout = ""
		}
		if layout != "" && math.Abs(seconds) < maxSeconds {
			whole := math.Floor(seconds)
			micros := math.Round((seconds - whole) * 1e6)
			e.text(time.Unix(int64(whole), int64(micros)*1000).UTC().Format(layout))
			return
		}
	}
	e.number(x)
}
