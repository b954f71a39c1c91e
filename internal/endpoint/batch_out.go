package endpoint

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/model/frame"
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

// render makes the lines or columns of a prediction for rows rows.
func (b *batch) render(v rds.Value, rows int) (answer, error) {
	t, err := newTable(v)
	a := answer{rows: rows, names: t.names}
	if err != nil {
		return a, err
	}
	if b.parquet != nil {
		a.columns, err = t.columns(rows)
		return a, err
	}
	e := encoder{out: make([]byte, 0, rows*20*len(t.names))}
	for row := range rows {
		if b.Format == "csv" {
			err = e.csvRow(&t, row)
		} else {
			err = e.object(t.names, func(i int) error { return e.element(t.column[i], t.offset[i]+row) })
			e.out = append(e.out, '\n')
		}
		if err != nil {
			return a, err
		}
	}
	a.lines = e.out
	return a, nil
}

// write writes the answers of a piece; those that failed become missing predictions.
func (b *batch) write(p *piece) error {
	for _, a := range p.parts {
		if a.err != nil && b.FailFast {
			return b.named(&b.Files[p.file], mlflow.Errorf(mlflow.CodeOf(a.err), "row %d: %s", a.first, why(a.err)))
		}
	}
	b.torn = true
	for _, a := range p.parts {
		var err error
		if a.err != nil {
			b.state.Result.Failed++
			if b.Failed != nil {
				b.Failed(b.Files[p.file].Name, a.first, why(a.err))
			}
			err = b.missing(a.err)
		} else if err = b.begin(a.names, a.columns); err == nil {
			if b.parquet != nil {
				err = b.parquet.Write(a.columns, a.rows)
			} else {
				_, err = b.out.Write(a.lines)
			}
		}
		if err != nil {
			return err
		}
		b.state.Result.Rows += int64(a.rows)
	}
	b.state.File, b.state.At, b.torn = p.file, p.after, false
	if b.Progress != nil {
		b.Progress(b.state.Result.Rows, b.done(p))
	}
	every := checkpointEvery
	if b.parquet != nil {
		every = checkpointEveryParquet
	}
	if time.Since(b.saved) >= every {
		return b.checkpoint()
	}
	return nil
}

// done is what part of the input is written with a piece.
func (b *batch) done(p *piece) float64 {
	if b.total == 0 || p.part < 0 {
		return -1
	}
	var before int64
	for _, size := range b.sizes[:p.file] {
		before += size
	}
	return (float64(before) + p.part*float64(b.sizes[p.file])) / float64(b.total)
}

// checkpoint hands on how far the batch is, once that is in the output.
func (b *batch) checkpoint() error {
	if b.Checkpoint == nil {
		return nil
	}
	if b.parquet != nil {
		if err := b.parquet.Flush(); err != nil {
			return err
		}
		state := b.parquet.State()
		b.state.Parquet = &state
	}
	if err := b.out.Flush(); err != nil {
		return err
	}
	b.state.Like = b.like
	b.saved = time.Now()
	return b.Checkpoint(b.state)
}

// begin writes the header of a CSV once its columns are known, and refuses other columns later.
func (b *batch) begin(names []string, columns []*model.Column) error {
	if b.state.Header != nil {
		if !slices.Equal(b.state.Header, names) {
			return mlflow.Errorf(mlflow.CodeInternal, "the predictions change their columns from %s to %s", strings.Join(b.state.Header, ", "), strings.Join(names, ", "))
		}
		return nil
	}
	b.state.Header = names
	switch b.Format {
	case "csv":
		var head []byte
		for i, name := range names {
			if i > 0 {
				head = append(head, ',')
			}
			head = appendCSV(head, name)
		}
		if _, err := b.out.Write(append(head, '\n')); err != nil {
			return err
		}
	case "parquet":
		if b.state.Early > 0 { // rows with values decide the types
			empty := make([]*model.Column, len(columns))
			for i, c := range columns {
				empty[i] = frame.NewColumn(c.Name, c.Kind, nil, nil, nil, nil)
			}
			if err := b.parquet.Write(empty, 0); err != nil {
				return err
			}
		}
	}
	for ; b.state.Early > 0; b.state.Early-- {
		if err := b.missing(nil); err != nil {
			return err
		}
	}
	return nil
}

// missing writes a row without a prediction.
func (b *batch) missing(fault error) error {
	var line []byte
	switch {
	case b.Format == "jsonl":
		line = append(append(append(line, `{"error":`...), quote(why(fault))...), "}\n"...)
	case b.state.Header == nil:
		b.state.Early++
		return nil
	case b.parquet != nil:
		columns := make([]*model.Column, len(b.state.Header))
		for i, name := range b.state.Header {
			columns[i] = frame.NewColumn(name, model.Empty, []float64{0}, nil, nil, []bool{true})
		}
		return b.parquet.Write(columns, 1)
	default:
		line = append(append(line, "NA"...), strings.Repeat(",NA", len(b.state.Header)-1)...)
		line = append(line, '\n')
	}
	_, err := b.out.Write(line)
	return err
}

// finish writes what is left.
func (b *batch) finish() error {
	if b.state.Header == nil && b.Format != "jsonl" {
		none := frame.NewColumn("prediction", model.Double, nil, nil, nil, nil)
		if err := b.begin([]string{"prediction"}, []*model.Column{none}); err != nil {
			return err
		}
	}
	if b.parquet != nil {
		if err := b.parquet.Close(); err != nil {
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
	if a := math.Abs(x); a >= 1e-4 && a < 1e6 { // written alike but for whole numbers
		return bytes.TrimSuffix(mlflow.Float(x).AppendJSON(dst), []byte(".0"))
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
