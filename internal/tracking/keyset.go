package tracking

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
)

// The classes of an order key's value. Values come first, then NaN, then missing ones, in both directions.
const (
	classValue = iota
	classNaN
	classMissing
)

// column is one column that a list is sorted by.
type column struct {
	class string // an SQL expression that gives the class; "" when each row has a value
	fixed int    // the class of all rows when class is "" (a metric that this experiment does not have)
	expr  string // an SQL expression of the value
	hint  string // an SQL expression that an index is sorted by and that orders no finer than expr; or ""
	kind  byte   // 'i' integer, 'f' float, 's' text
	desc  bool
}

// place is a row's value in one column, for tokens and for merging lists.
type place struct {
	Class int    `json:"c,omitempty"`
	Int   int64  `json:"i,omitempty"`
	Float string `json:"f,omitempty"` // as text: JSON has no infinities
	Text  string `json:"s,omitempty"`
	float float64
}

// query collects the arguments of a statement that is put together.
type query struct {
	tx   *sqldb.Tx
	args []any
}

// arg adds an argument and gives its parameter.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// selectList gives what a statement selects for the columns, two expressions each.
func selectList(columns []column) string {
	var b strings.Builder
	for _, c := range columns {
		b.WriteString(", ")
		switch {
		case c.class != "":
			b.WriteString(c.class + ", " + c.expr)
		case c.fixed == classMissing:
			b.WriteString("2, null")
		default:
			b.WriteString("0, " + c.expr)
		}
	}
	return b.String()
}

// orderBy gives the clause that sorts by the columns.
func orderBy(columns []column) string {
	var parts []string
	for _, c := range columns {
		if c.class == "" && c.fixed == classMissing {
			continue
		}
		direction := ""
		if c.desc {
			direction = " desc"
		}
		if c.class != "" {
			parts = append(parts, c.class)
		}
		if c.hint != "" {
			parts = append(parts, c.hint+direction)
		}
		parts = append(parts, c.expr+direction)
	}
	return strings.Join(parts, ", ")
}

// behind gives a condition for the rows that come after a place in all columns.
func (q *query) behind(columns []column, at []place) string {
	if len(columns) == 0 {
		return "1 = 0"
	}
	c, p := columns[0], at[0]
	absent := c.class == "" && c.fixed == classMissing
	if absent && p.Class < classMissing {
		return "1 = 1"
	}
	if absent {
		return q.behind(columns[1:], at[1:])
	}
	var inClass string
	if p.Class == classValue {
		param, op := q.arg(p.value(c.kind)), " > "
		if c.kind == 'f' {
			param = "cast(" + param + " as double precision)"
		}
		if c.desc {
			op = " < "
		}
		inClass = "(" + c.expr + op + param + " or (" + c.expr + " = " + param + " and " + q.behind(columns[1:], at[1:]) + "))"
		if c.hint != "" {
			// An index can be entered at this condition, which the one above implies.
			bound := param
			if c.kind == 's' {
				bound = q.arg(head(p.Text))
			}
			inClass = "(" + c.hint + strings.TrimRight(op, " ") + "= " + bound + " and " + inClass + ")"
		}
	} else {
		inClass = q.behind(columns[1:], at[1:])
	}
	if c.class == "" {
		return inClass
	}
	class := strconv.Itoa(p.Class)
	return "(" + c.class + " > " + class + " or (" + c.class + " = " + class + " and " + inClass + "))"
}

func (p *place) value(kind byte) any {
	switch kind {
	case 'i':
		return p.Int
	case 'f':
		return p.float
	}
	return p.Text
}

// placeScan receives the two expressions of a column.
type placeScan struct {
	class int64
	i     *int64
	f     *float64
	s     *string
}

func (v *placeScan) targets(kind byte) []any {
	switch kind {
	case 'i':
		return []any{&v.class, &v.i}
	case 'f':
		return []any{&v.class, &v.f}
	}
	return []any{&v.class, &v.s}
}

func (v *placeScan) place() place {
	p := place{Class: int(v.class)}
	switch {
	case v.i != nil:
		p.Int = *v.i
	case v.f != nil:
		p.float = *v.f
		p.Float = strconv.FormatFloat(*v.f, 'g', -1, 64)
	case v.s != nil:
		p.Text = *v.s
	}
	return p
}

// comparePlaces tells which of two rows comes first.
func comparePlaces(columns []column, a, b []place) int {
	for i, c := range columns {
		if a[i].Class != b[i].Class {
			return cmp.Compare(a[i].Class, b[i].Class)
		}
		order := 0
		if a[i].Class == classValue {
			switch c.kind {
			case 'i':
				order = cmp.Compare(a[i].Int, b[i].Int)
			case 'f':
				order = cmp.Compare(a[i].float, b[i].float)
			default:
				order = strings.Compare(a[i].Text, b[i].Text)
			}
		}
		if c.desc {
			order = -order
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

// encodeToken names a place, behind which the next page begins.
func encodeToken(at []place) string { return writeToken(at) }

func writeToken(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers and texts only
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeToken reads a token of a list with such columns; "" is the first page.
func decodeToken(token string, kinds []byte) ([]place, error) {
	if token == "" {
		return nil, nil
	}
	var at []place
	if err := readToken(token, &at); err != nil {
		return nil, err
	}
	return at, checkPlaces(at, kinds)
}

func readToken(token string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return invalid("Invalid page token, could not base64-decode")
	}
	if err := json.Unmarshal(b, v); err != nil {
		return invalid("Invalid page token, decoded value=%s", api.Quote(string(b)))
	}
	return nil
}

// checkPlaces checks what a token says, and completes it.
func checkPlaces(at []place, kinds []byte) error {
	bad := len(at) != len(kinds)
	for i := range at {
		if bad {
			break
		}
		bad = at[i].Class < classValue || at[i].Class > classMissing || strings.IndexByte(at[i].Text, 0) >= 0
		if kinds[i] == 'f' && at[i].Class == classValue {
			var err error
			if at[i].float, err = strconv.ParseFloat(at[i].Float, 64); err != nil || at[i].float != at[i].float {
				bad = true
			}
		}
	}
	if bad {
		b, _ := json.Marshal(at) // it came from JSON
		return invalid("Invalid page token, parsed value=%s", api.Quote(string(b)))
	}
	return nil
}

func kindsOf(columns []column) []byte {
	kinds := make([]byte, len(columns))
	for i, c := range columns {
		kinds[i] = c.kind
	}
	return kinds
}

// pageSize checks max_results. tooBig is the message about a number above the limit.
func pageSize(given int64, set bool, byDefault int, tooBig string) (int, error) {
	if !set {
		return byDefault, nil
	}
	if given < 1 {
		return 0, invalid("Invalid value %d for parameter 'max_results' supplied. It must be a positive integer", given)
	}
	if given > maxSearchResults {
		return 0, invalid(tooBig, given)
	}
	return int(given), nil
}
