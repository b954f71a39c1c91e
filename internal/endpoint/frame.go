package endpoint

import (
	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
)

// encodeRequest makes the payload of a predict frame: list(data = , params = ). It starts after headerSize bytes, which
// the worker's frame header takes.
func encodeRequest(in *model.Input) ([]byte, error) {
	size := headerSize + 512
	for _, c := range in.Columns {
		size += len(c.Name) + 64
		switch c.Kind {
		case model.Double, model.Time, model.Day:
			size += 8 * c.Len()
		case model.Text:
			for _, s := range c.Str {
				size += 8 + len(s)
			}
		default:
			size += 4 * c.Len()
		}
	}
	params := &rds.List{}
	if len(in.Params) > 0 {
		names := make([]string, len(in.Params))
		for i, p := range in.Params {
			names[i] = p.Name
			params.V = append(params.V, vector(p.Value))
		}
		params.Attrs = rds.Attrs{{Name: "names", Value: rds.Strings(names...)}}
	}
	request := rds.NamedList([]string{"data", "params"}, []rds.Value{data(in), params})
	return rds.AppendNative(make([]byte, headerSize, size), request)
}

func data(in *model.Input) rds.Value {
	if in.Shape == model.Vector {
		return vector(in.Columns[0])
	}
	names := make([]string, len(in.Columns))
	columns := make([]rds.Value, len(in.Columns))
	for i, c := range in.Columns {
		names[i], columns[i] = c.Name, vector(c)
	}
	if in.Shape == model.Named {
		return rds.NamedList(names, columns)
	}
	return rds.DataFrame(names, columns, in.Rows, in.RowNames)
}

// vector gives a column as R's vector of its type; a column without any value is logical, as R's NA is.
func vector(c *model.Column) rds.Value {
	switch c.Kind {
	case model.Integer:
		return &rds.Integer{V: whole(c, 0)}
	case model.Factor:
		f := rds.Factor(whole(c, 1), c.Levels)
		if c.Ordered {
			f.Attrs[1].Value = rds.Strings("ordered", "factor")
		}
		return f
	case model.Double:
		return &rds.Double{V: doubles(c)}
	case model.Time:
		zone := c.TZone
		if zone == "" {
			zone = "UTC"
		}
		return &rds.Double{V: doubles(c), Attrs: rds.Attrs{
			{Name: "class", Value: rds.Strings("POSIXct", "POSIXt")}, {Name: "tzone", Value: rds.Strings(zone)}}}
	case model.Day:
		return &rds.Double{V: doubles(c), Attrs: rds.Attrs{{Name: "class", Value: rds.Strings("Date")}}}
	case model.Text:
		v := make([]rds.Str, c.Len())
		for i, s := range c.Str {
			v[i].S, v[i].NA = s, c.IsNull(i)
		}
		return &rds.String{V: v}
	}
	return &rds.Logical{V: whole(c, 0)}
}

func whole(c *model.Column, offset int32) []int32 {
	v := make([]int32, c.Len())
	for i := range v {
		if c.Kind == model.Empty || c.IsNull(i) {
			v[i] = rds.NAInt
		} else {
			v[i] = int32(c.Num[i]) + offset
		}
	}
	return v
}

// doubles marks the missing values in place: the column is not used afterwards.
func doubles(c *model.Column) []float64 {
	if c.Null != nil {
		for i, null := range c.Null {
			if null {
				c.Num[i] = rds.NAReal()
			}
		}
	}
	return c.Num
}
