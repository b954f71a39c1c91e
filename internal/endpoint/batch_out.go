package endpoint

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// table is a prediction as columns of one element for each row.
type table struct {
	names  []string
	column []rds.Value
	offset []int // where a column begins in its vector, for a matrix
}

// newTable takes a vector (one column, "prediction"), a matrix or a data frame.
func newTable(v rds.Value) (table, error) {
	if df, ok := v.(*rds.List); ok {
		t := table{names: df.Strings("names"), column: df.V, offset: make([]int, len(df.V))}
		rows, _ := rds.Rows(v)
		for i, c := range df.V {
			if !isAtomic(c) || rds.Len(c) != rows || i >= len(t.names) {
				return t, mlflow.Errorf(mlflow.CodeInternal, "a column of the predictions is a %s, which a row cannot hold", rds.Class(c)[0])
			}
		}
		return t, nil
	}
	dim, ok := attribute(v, "dim").(*rds.Integer)
	if !ok {
		return table{[]string{"prediction"}, []rds.Value{v}, []int{0}}, nil
	}
	var t table
	var names []string
	if l, ok := attribute(v, "dimnames").(*rds.List); ok && len(l.V) == 2 {
		if s, ok := l.V[1].(*rds.String); ok {
			for _, n := range s.V {
				names = append(names, n.Text())
			}
		}
	}
	for k := range int(dim.V[1]) {
		name := "V" + strconv.Itoa(k+1)
		if len(names) == int(dim.V[1]) {
			name = names[k]
		}
		t.names, t.column, t.offset = append(t.names, name), append(t.column, v), append(t.offset, k*int(dim.V[0]))
	}
	return t, nil
}

// write writes the answers of a piece; those that failed become missing predictions.
func (b *batch) write(parts []answer) error {
	e := encoder{}
	for _, a := range parts {
		b.result.Rows += int64(a.rows)
		if a.err != nil {
			b.result.Failed++
			if b.FailFast {
				return mlflow.Errorf(mlflow.CodeOf(a.err), "row %d: %s", a.first, why(a.err))
			}
			if b.Failed != nil {
				b.Failed(a.first, why(a.err))
			}
			e.out = b.missing(e.out, a.err)
			continue
		}
		t, err := newTable(a.value)
		if err != nil {
			return err
		}
		if e.out, err = b.begin(e.out, &t); err != nil {
			return err
		}
		for row := range a.rows {
			if b.OutCSV {
				err = e.csvRow(&t, row)
			} else {
				err = e.object(t.names, func(i int) error { return e.element(t.column[i], t.offset[i]+row) })
				e.out = append(e.out, '\n')
			}
			if err != nil {
				return err
			}
		}
	}
	if _, err := b.out.Write(e.out); err != nil {
		return err
	}
	if b.Progress != nil {
		b.Progress(b.result.Rows)
	}
	return nil
}

// begin writes the header of a CSV once its columns are known, and refuses other columns later.
func (b *batch) begin(dst []byte, t *table) ([]byte, error) {
	if b.header != nil {
		if !slices.Equal(b.header, t.names) {
			return dst, mlflow.Errorf(mlflow.CodeInternal, "the predictions change their columns from %s to %s", strings.Join(b.header, ", "), strings.Join(t.names, ", "))
		}
		return dst, nil
	}
	b.header = t.names
	if !b.OutCSV {
		return dst, nil
	}
	var head []byte
	for i, name := range t.names {
		if i > 0 {
			head = append(head, ',')
		}
		head = appendCSV(head, name)
	}
	head = append(head, '\n')
	for ; b.early > 0; b.early-- {
		head = b.missing(head, nil)
	}
	return append(dst, head...), nil
}

// missing appends the line of a row without a prediction.
func (b *batch) missing(dst []byte, err error) []byte {
	switch {
	case !b.OutCSV:
		dst = append(append(dst, `{"error":`...), quote(why(err))...)
		return append(dst, "}\n"...)
	case b.header == nil:
		b.early++
		return dst
	}
	dst = append(dst, "NA"...)
	for range len(b.header) - 1 {
		dst = append(dst, ",NA"...)
	}
	return append(dst, '\n')
}

// finish writes what is left.
func (b *batch) finish() error {
	if b.header == nil && b.OutCSV {
		head, err := b.begin(nil, &table{names: []string{"prediction"}})
		if err != nil {
			return err
		}
		if _, err := b.out.Write(head); err != nil {
			return err
		}
	}
	return b.out.Flush()
}

// csvRow appends a line as R's write.csv(quote = FALSE) would, with quotes where a text needs them.
func (e *encoder) csvRow(t *table, row int) error {
	for i, c := range t.column {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		at := t.offset[i] + row
		start := len(e.out)
		if d, ok := c.(*rds.Double); ok && (len(d.Attrs) == 0 || d.Get("class") == nil) {
			e.out = appendNumber(e.out, d.V[at])
			continue
		}
		if s, ok := c.(*rds.String); ok {
			if s.V[at].NA {
				e.out = append(e.out, "NA"...)
			} else {
				e.out = appendCSV(e.out, s.V[at].S)
			}
			continue
		}
		if err := e.element(c, at); err != nil {
			return err
		}
		switch written := e.out[start:]; {
		case string(written) == "null":
			e.out = append(e.out[:start], "NA"...)
		case string(written) == "true":
			e.out = append(e.out[:start], "TRUE"...)
		case string(written) == "false":
			e.out = append(e.out[:start], "FALSE"...)
		case written[0] == '"': // a level or a date
			text, err := strconv.Unquote(string(written))
			if err != nil {
				return err
			}
			e.out = appendCSV(e.out[:start], text)
		}
	}
	e.out = append(e.out, '\n')
	return nil
}

func appendNumber(dst []byte, x float64) []byte {
	switch {
	case rds.IsNAReal(x):
		return append(dst, "NA"...)
	case math.IsNaN(x):
		return append(dst, "NaN"...)
	case math.IsInf(x, 0):
		if x < 0 {
			dst = append(dst, '-')
		}
		return append(dst, "Inf"...)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, 64)
}

// appendCSV appends a text, in quotes when it holds what CSV gives a meaning; "NA" as a text is in quotes too.
func appendCSV(dst []byte, s string) []byte {
	if s != "" && s != "NA" && !strings.ContainsAny(s, ",\"\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' {
		return append(dst, s...)
	}
	return append(append(append(dst, '"'), strings.ReplaceAll(s, `"`, `""`)...), '"')
}
