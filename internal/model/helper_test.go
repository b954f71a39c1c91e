package model

import (
	"fmt"
	"strings"
	"testing"
)

// dump renders an input in one line: shape, row names, then name:kind=values.
func dump(in *Input) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d", [...]string{"frame", "vector", "named"}[in.Shape], in.Rows)
	if in.RowNames != nil {
		fmt.Fprintf(&b, " %v", in.RowNames)
	}
	column := func(c *Column) {
		fmt.Fprintf(&b, " %s:%s=", c.Name, c.Kind)
		for i := range c.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			switch {
			case c.IsNull(i):
				b.WriteString("NA")
			case c.Kind == Text:
				b.WriteString(c.Str[i])
			case c.Kind == Factor:
				b.WriteString(c.Levels[int(c.Num[i])])
			default:
				fmt.Fprint(&b, c.Num[i])
			}
		}
	}
	for _, c := range in.Columns {
		column(c)
	}
	for _, p := range in.Params {
		b.WriteString(" |")
		column(p.Value)
	}
	return b.String()
}

func signature(t *testing.T, inputs, params string) *Signature {
	t.Helper()
	s, err := ParseSignature(inputs, "", params)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
