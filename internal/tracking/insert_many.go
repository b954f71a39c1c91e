package tracking

import (
	"fmt"
	"strings"
)

// insertMany is an insert that writes many rows with few statements, for SQLite: to begin and end a statement costs more
// there than to write a row. $1 is the same in all rows.
type insertMany struct {
	columns int // besides the first
	texts   [len(manyRows)]string
}

// manyRows are the numbers of rows that there is a statement for, so that few are prepared whatever comes.
var manyRows = [...]int{64, 8, 1}

// newInsertMany makes an insert into table of the columns, the first of which is the same in all rows. after is what
// follows the rows, such as "on conflict do nothing".
func newInsertMany(table string, columns []string, after string) *insertMany {
	m := &insertMany{columns: len(columns) - 1}
	for i, rows := range manyRows {
		var b strings.Builder
		fmt.Fprintf(&b, "insert into %s (%s) values ", table, strings.Join(columns, ", "))
		param := 1
		for row := range rows {
			if row > 0 {
				b.WriteString(", ")
			}
			b.WriteString("($1")
			for range m.columns {
				param++
				fmt.Fprintf(&b, ", $%d", param)
			}
			b.WriteByte(')')
		}
		m.texts[i] = b.String() + " " + after
	}
	return m
}

// each calls do with statements and arguments that together insert n rows, in their order. row appends the arguments of
// one row.
func (m *insertMany) each(first any, n int, row func(args []any, i int) []any, do func(sql string, args []any) error) error {
	args := make([]any, 0, 1+m.columns*min(n, manyRows[0]))
	for at := 0; at < n; {
		size := 0
		for n-at < manyRows[size] {
			size++
		}
		args = append(args[:0], first)
		for end := at + manyRows[size]; at < end; at++ {
			args = row(args, at)
		}
		if err := do(m.texts[size], args); err != nil {
			return err
		}
	}
	return nil
}
