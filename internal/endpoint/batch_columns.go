package endpoint

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/model/arrow"
	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/parquet"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// columnsAccepted gives the media type of columns that a client asks for before JSON; "" when it takes JSON.
func columnsAccepted(accept []string) string {
	best, quality := "", 0.0
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, given := params["q"]; given {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		if !model.HoldsColumns(media) && media != "application/json" && media != "application/*" && media != "*/*" {
			continue
		}
		if q > quality || q == quality && q > 0 && !model.HoldsColumns(best) && strings.HasSuffix(best, "*") {
			best, quality = media, q
		}
	}
	if model.HoldsColumns(best) {
		return best
	}
	return ""
}

// answerColumns answers a prediction as Arrow or Parquet: a column for each of a data frame or matrix, and one that is
// called "predictions" for a vector. What has not one row for each of the input's cannot be answered so.
func (e *Endpoint) answerColumns(w http.ResponseWriter, r *http.Request, in *model.Input, media string, began time.Time) {
	v, err := e.predict(r.Context(), in)
	if err != nil {
		e.fail(w, r, e.explain(err, in))
		return
	}
	rows, ok := rowsOf(v)
	if !ok {
		e.fail(w, r, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the predictions are no table: ask for application/json"))
		return
	}
	body, err := encodeColumns(v, rows, media)
	if err != nil {
		e.fail(w, r, err)
		return
	}
	e.stats.request.Add(time.Since(began))
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func encodeColumns(v rds.Value, rows int, media string) ([]byte, error) {
	t, err := newTable(v)
	if err != nil {
		return nil, err
	}
	if !rds.Inherits(v, "data.frame") && attribute(v, "dim") == nil {
		t.names = []string{"predictions"}
	}
	columns, err := t.columns(rows)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if media == model.MediaParquet {
		p := parquet.NewWriter(&out, parquet.State{})
		if err = p.Write(columns, rows); err == nil {
			err = p.Close()
		}
	} else {
		err = arrow.Write(&out, columns, rows, media == model.MediaArrowFile)
	}
	return out.Bytes(), err
}

// columns gives a prediction's columns with the types that they have in R.
func (t *table) columns(rows int) ([]*model.Column, error) {
	out := make([]*model.Column, len(t.column))
	for i, v := range t.column {
		c, err := typedColumn(t.names[i], v, t.offset[i], rows)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

func typedColumn(name string, v rds.Value, from, rows int) (*model.Column, error) {
	numbers, null, missing := make([]float64, rows), make([]bool, rows), false
	mark := func(i int) { null[i], missing = true, true }
	kind := model.Double
	switch {
	case rds.Inherits(v, "Date"):
		kind = model.Day
	case rds.Inherits(v, "POSIXct"):
		kind = model.Time
	}
	var texts, levels []string
	switch x := v.(type) {
	case *rds.Double:
		for i, n := range x.V[from : from+rows] {
			// A date that is not a number has no other form than a missing one.
			if rds.IsNAReal(n) || kind != model.Double && n != n {
				mark(i)
			} else {
				numbers[i] = n
			}
		}
	case *rds.Integer, *rds.Logical:
		var whole []int32
		if l, ok := v.(*rds.Logical); ok {
			kind, whole = model.Logical, l.V
		} else if n := v.(*rds.Integer); rds.Inherits(v, "factor") {
			kind, whole, levels = model.Factor, n.V, n.Strings("levels")
		} else if whole = n.V; kind == model.Double {
			kind = model.Integer
		}
		for i, n := range whole[from : from+rows] {
			switch {
			case n == rds.NAInt:
				mark(i)
			case kind == model.Factor && (n < 1 || int(n) > len(levels)):
				return nil, mlflow.Errorf(mlflow.CodeInternal, "the prediction is a factor with code %d of %d levels", n, len(levels))
			case kind == model.Factor:
				numbers[i] = float64(n - 1)
			default:
				numbers[i] = float64(n)
			}
		}
	case *rds.String:
		kind, numbers, texts = model.Text, nil, make([]string, rows)
		for i, s := range x.V[from : from+rows] {
			if texts[i] = s.S; s.NA {
				mark(i)
			}
		}
	case *rds.Raw:
		kind = model.Integer
		for i, b := range x.V[from : from+rows] {
			numbers[i] = float64(b)
		}
	default:
		return nil, mlflow.Errorf(mlflow.CodeInternal, "a column of the predictions is a %s, which Arrow and Parquet have no column for", rds.Class(v)[0])
	}
	if !missing {
		null = nil
	}
	return frame.NewColumn(name, kind, numbers, texts, levels, null), nil
}
