package tracking

import (
	"slices"

	"github.com/weir-ml/weir/internal/search"
)

// probeLimit is how many matches of one condition are few enough to start from them and sort.
const probeLimit = 2000

// narrowFrom is how many times a page must match for only what sorts the runs to be read of those that match.
const narrowFrom = 4

// plan fixes the columns and chooses where the search starts.
func (l *runList) plan() error {
	byStart := false
	for i, k := range l.order {
		c := column{kind: runKinds(l.order)[i], desc: k.Desc}
		j := orderJoin{}
		if k.Entity == search.Attribute {
			c.expr = runAttributes[k.Key]
			if k.Key == "end_time" {
				c.class = "case when r.end_time is null then 2 else 0 end"
			}
			byStart = byStart || k.Key == "start_time"
		} else {
			t := keyTables[k.Entity]
			key, ok, err := l.s.lookupKey(l.tx, keyRef{l.exp.id, t.kind, k.Key})
			if err != nil {
				return err
			}
			if !ok {
				c.fixed = classMissing
			} else {
				j = orderJoin{table: t.table, alias: "k" + string(rune('a'+i/26)) + string(rune('a'+i%26)), key: key}
				value := "value"
				if k.Entity == search.Metric {
					value = foldColumn(k.Fold)
				}
				c.expr = j.alias + "." + value
				c.class = "case when " + j.alias + ".run_id is null then 2 when " + c.expr + " is null then 1 else 0 end"
			}
		}
		l.columns = append(l.columns, c)
		l.joins = append(l.joins, j)
	}
	if !byStart {
		l.columns = append(l.columns, column{expr: "r.start_time", kind: 'i', desc: true})
		l.joins = append(l.joins, orderJoin{})
	}
	l.columns = append(l.columns, column{expr: "r.uuid", kind: 's'})
	l.joins = append(l.joins, orderJoin{})
	if err := l.chooseDrive(); err != nil || l.empty || l.drive != nil {
		return err
	}
	if len(l.order) > 0 && l.joins[0].table != "" && (l.order[0].Fold == search.Latest || l.order[0].Fold == search.Last) {
		l.phases = []int{classValue, classNaN, classMissing}
		if l.order[0].Entity != search.Metric {
			l.phases = []int{classValue, classMissing}
		}
		if len(l.bounds()) > 0 {
			l.phases = []int{classValue} // no comparison holds for NaN, or for what is missing
		}
	}
	return nil
}

// chooseDrive looks for the condition that fewest runs fulfil, counting no further than the limit, and finds out that
// there is nothing when one of the conditions has no match at all.
func (l *runList) chooseDrive() error {
	best := l.s.probe
	bounds := l.bounds()
	for _, t := range conjuncts(l.inSQL) {
		if !drives(t) {
			continue
		}
		table := keyTables[t.Entity]
		key, ok, err := l.s.lookupKey(l.tx, keyRef{l.exp.id, table.kind, t.Key})
		if err != nil {
			return err
		}
		if !ok {
			l.empty = true
			return nil
		}
		if slices.Contains(bounds, t) {
			continue // a walk in order reads no other runs than those
		}
		q := &query{tx: l.tx}
		c := conditions{query: q}
		sql := `select count(*) from (select 1 from ` + table.table + ` d where d.key_id = ` + q.arg(key) + l.driveCondition(&c, t) +
			` limit ` + q.arg(int64(l.s.probe)) + `) as probe`
		var n int
		if err := l.tx.QueryRow(sql, q.args...).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			l.empty = true
			return nil
		}
		if n < best {
			best, l.drive, l.driveID, l.driven = n, t, key, n
		}
	}
	return nil
}

// conjuncts gives the terms that must hold for the whole filter to hold.
func conjuncts(e search.Expr) (terms []*search.Term) {
	list := []search.Expr{e}
	if and, ok := e.(search.And); ok {
		list = and
	}
	for _, e := range list {
		if t, ok := e.(*search.Term); ok {
			terms = append(terms, t)
		}
	}
	return terms
}

// without gives what is left of a filter when some of its conjuncts are seen to elsewhere.
func without(e search.Expr, terms []*search.Term) search.Expr {
	list := search.And{e}
	if and, ok := e.(search.And); ok {
		list = and
	}
	var rest search.And
	for _, e := range list {
		if t, ok := e.(*search.Term); e != nil && (!ok || !slices.Contains(terms, t)) {
			rest = append(rest, e)
		}
	}
	return joined(rest)
}

// bounds gives the conditions on the metric by which the runs are sorted: the walk along the index begins and ends there.
func (l *runList) bounds() (terms []*search.Term) {
	if len(l.order) == 0 || l.order[0].Entity != search.Metric {
		return nil
	}
	first := l.order[0]
	for _, t := range conjuncts(l.inSQL) {
		if drives(t) && t.Entity == first.Entity && t.Key == first.Key && foldColumn(t.Fold) == foldColumn(first.Fold) {
			terms = append(terms, t)
		}
	}
	return terms
}

// drives tells whether an index leads from a condition to its runs.
func drives(t *search.Term) bool {
	switch t.Entity {
	case search.Param, search.Tag:
		return t.Op == search.Eq
	case search.Metric:
		return t.Fold == search.Latest && slices.Contains([]search.Op{search.Eq, search.Lt, search.Le, search.Gt, search.Ge}, t.Op)
	}
	return false
}

func (l *runList) driveCondition(c *conditions, t *search.Term) string {
	if t.Type == search.Text {
		return " and " + textIs(c.query, "d.value", t.Text)
	}
	return " and " + c.compare(t, "d.value")
}

// textIs is the condition that a value is a text, by what the index has of it. Of a short text it has all, so that nothing
// else is read.
func textIs(q *query, value, text string) string {
	sql := "substr(" + value + ", 1, 128) = " + q.arg(head(text))
	if len(text) >= 128 {
		sql += " and " + value + " = " + q.arg(text)
	}
	return sql
}
