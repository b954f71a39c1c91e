package tracking

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// query finds runs behind l.after; with a phase only those whose first key has that class.
func (l *runList) query(phase int) ([]runHit, error) {
	q := &query{tx: l.tx}
	var err error
	columns := slices.Clone(l.columns)
	join := " join "
	if l.tx.Dialect() == sqldb.SQLite {
		join = " cross join " // SQLite then keeps the order of the tables
	}
	var from strings.Builder
	var where []string
	c := conditions{query: q, attribute: runAttributes, keyed: func(t *search.Term, cond func(string) string) (string, error) { return l.keyed(q, t, cond) }}
	first := 0
	filter := l.inSQL
	defer func() { l.walked = "" }()
	switch {
	case l.drive != nil:
		from.WriteString(keyTables[l.drive.Entity].table + " d")
		where = append(where, "d.key_id = "+q.arg(l.driveID)+l.driveCondition(&c, l.drive))
		filter = without(filter, []*search.Term{l.drive})
		if bounds := l.bounds(); len(bounds) > 0 && l.joins[0].table != "" {
			// The value that sorts is asked for first: where it is out of bounds, the run's row need not be read.
			j := l.joins[0]
			first = 1
			from.WriteString(join + j.table + " " + j.alias + " on " + j.alias + ".run_id = d.run_id and " + j.alias + ".key_id = " + q.arg(j.key))
			columns[0].class = "" // what is in bounds is a number
			for _, t := range bounds {
				where = append(where, c.compare(t, columns[0].expr))
			}
			filter = without(filter, bounds)
		}
		from.WriteString(join + "run r on r.id = d.run_id")
	case phase == classValue || phase == classNaN:
		j := l.joins[0]
		first = 1
		l.walked = j.alias + ".run_id" // so that runs are looked up only when the filter is true of their values
		from.WriteString(j.table + " " + j.alias)
		var joined string
		if joined, filter, err = l.joinEqual(q, filter); err != nil {
			return nil, err
		}
		from.WriteString(joined + join + "run r on r.id = " + j.alias + ".run_id")
		where = append(where, j.alias+".key_id = "+q.arg(j.key))
		columns[0].class = ""
		if phase == classNaN {
			columns[0] = column{fixed: classMissing, kind: 'f'} // all alike
			where = append(where, j.alias+".value is null")
		} else {
			where = append(where, j.alias+".value is not null")
			bounds := l.bounds()
			for _, t := range bounds {
				where = append(where, c.compare(t, j.alias+".value"))
			}
			filter = without(filter, bounds)
			columns[0].hint = j.alias + ".value"
			if columns[0].kind == 's' {
				columns[0].hint = "substr(" + j.alias + ".value, 1, 128)"
			}
		}
	case phase == classMissing:
		j := l.joins[0]
		first = 1
		from.WriteString("run r")
		columns[0] = column{fixed: classMissing, kind: columns[0].kind}
		where = append(where, "not exists (select 1 from "+j.table+" x where x.run_id = r.id and x.key_id = "+q.arg(j.key)+")")
	default:
		from.WriteString("run r")
	}
	for _, j := range l.joins[first:] {
		if j.table != "" {
			from.WriteString(" left join " + j.table + " " + j.alias + " on " + j.alias + ".run_id = r.id and " + j.alias + ".key_id = " + q.arg(j.key))
		}
	}
	where = append(where, "r.exp_id = "+q.arg(l.exp.id))
	switch l.view {
	case mlflow.DeletedOnly:
		where = append(where, "r.deleted = 1")
	case mlflow.All:
	default:
		where = append(where, "r.deleted = 0")
	}
	if filter != nil {
		condition, err := c.of(filter)
		if err != nil {
			return nil, err
		}
		where = append(where, condition)
	}
	if l.after != nil {
		after := slices.Clone(l.after)
		if phase >= classNaN {
			after[0] = place{Class: classMissing} // equal in all rows of this phase
		}
		where = append(where, q.behind(columns, after))
	}
	tail := ` from ` + from.String() + ` where ` + strings.Join(where, " and ") + ` order by ` + orderBy(columns) + ` limit ` + q.arg(int64(l.size))
	sql := `select ` + hitColumns + selectList(columns) + tail
	if l.drive != nil && l.s.narrow*l.size <= l.driven {
		named, outer := nameColumns(columns)
		sql = `select ` + hitColumns + selectList(outer) + ` from (select r.id as id` + named + tail + `) p` + join + `run r on r.id = p.id order by ` + orderBy(outer)
	}
	return l.read(sql, q.args, columns, phase)
}

// hitColumns are what is read of a run that was found.
const hitColumns = `r.id, r.uuid, r.name, r.user_id, r.status, r.start_time, r.end_time, r.artifact_uri, r.deleted`

// nameColumns gives what an inner query selects for the columns, and the columns of the query around it, whose name is p.
func nameColumns(columns []column) (named string, outer []column) {
	var b strings.Builder
	for i, c := range columns {
		n := strconv.Itoa(i)
		o := column{fixed: c.fixed, kind: c.kind, desc: c.desc, expr: "p.v" + n}
		if c.class != "" {
			o.class = "p.c" + n
			b.WriteString(", " + c.class + " as c" + n)
		}
		if c.class != "" || c.fixed != classMissing {
			b.WriteString(", " + c.expr + " as v" + n)
		}
		outer = append(outer, o)
	}
	return b.String(), outer
}

// joinEqual has SQLite look up params and tags that must have one value right behind the index that it walks along, before
// the run's own row: the runs with one value lie together in the index by value, whereas the values of a run lie beside its
// others, which for many runs are all over the table. It gives what is left of the filter.
func (l *runList) joinEqual(q *query, filter search.Expr) (from string, rest search.Expr, err error) {
	if l.tx.Dialect() != sqldb.SQLite {
		return "", filter, nil
	}
	var joined []*search.Term
	for _, t := range conjuncts(filter) {
		if (t.Entity != search.Param && t.Entity != search.Tag) || t.Op != search.Eq {
			continue
		}
		table := keyTables[t.Entity]
		key, ok, err := l.s.lookupKey(l.tx, keyRef{l.exp.id, table.kind, t.Key})
		if err != nil {
			return "", nil, err
		}
		if !ok {
			continue // keyed knows what that means
		}
		x := "x" + strconv.Itoa(len(joined))
		from += " cross join " + table.table + " " + x + " indexed by " + table.table + "_value on " + x + ".key_id = " + q.arg(key) +
			" and " + textIs(q, x+".value", t.Text) + " and " + x + ".run_id = " + l.walked
		joined = append(joined, t)
	}
	return from, without(filter, joined), nil
}

func (l *runList) read(sql string, args []any, columns []column, phase int) ([]runHit, error) {
	rows, err := l.tx.Query(sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var hits []runHit
	for rows.Next() {
		r := run{exp: l.exp.id}
		var end *int64
		var status string
		dst := []any{&r.id, &r.RunID, &r.RunName, &r.UserID, &status, &r.StartTime, &end, &r.ArtifactURI, &r.deleted}
		values := make([]placeScan, len(columns))
		for i, c := range columns {
			dst = append(dst, values[i].targets(c.kind)...)
		}
		if err := rows.Scan(dst...); err != nil {
			return nil, err
		}
		r.RunUUID, r.ExperimentID, r.Status, r.LifecycleStage = r.RunID, l.exp.ExperimentID, mlflow.RunStatus(status), stage(r.deleted)
		if end != nil {
			r.EndTime = *end
		}
		places := make([]place, len(values))
		for i := range values {
			places[i] = values[i].place()
		}
		if phase >= 0 {
			places[0].Class = phase
		}
		hits = append(hits, runHit{r, places})
	}
	return hits, rows.Close()
}

// keyed gives the condition of a term on a metric, param, tag or dataset.
func (l *runList) keyed(q *query, t *search.Term, condition func(string) string) (string, error) {
	if t.Entity == search.Dataset {
		return l.ofDataset(q, t, condition), nil
	}
	table := keyTables[t.Entity]
	key, ok, err := l.s.lookupKey(l.tx, keyRef{l.exp.id, table.kind, t.Key})
	if err != nil {
		return "", err
	}
	if !ok {
		return missing(t), nil
	}
	value := "x.value"
	if t.Entity == search.Metric {
		value = "x." + foldColumn(t.Fold)
	}
	run := cmp.Or(l.walked, "r.id")
	if l.tx.Dialect() == sqldb.SQLite && t.Entity != search.Metric && t.Op == search.Eq {
		// The runs with one value lie together in the index by value, whereas the values of a run lie beside its others: looked
		// up for many runs, those are all over the table.
		return l.early("exists (select 1 from " + table.table + " x indexed by " + table.table + "_value where x.key_id = " + q.arg(key) +
			" and " + textIs(q, "x.value", t.Text) + " and x.run_id = " + run + ")"), nil
	}
	if l.tx.Dialect() == sqldb.SQLite {
		// The sign keeps SQLite from the index by value, in which it would look at all runs that match, for each run.
		value = "+" + value
	}
	return l.early(exists(t, "select 1 from "+table.table+" x where x.run_id = "+run+" and x.key_id = "+q.arg(key), condition, value)), nil
}

// early has SQLite decide a condition as soon as a walk along an index comes to a run. Of a plain exists it would make a join,
// which comes after the run's own row, and that row is what costs.
func (l *runList) early(exists string) string {
	inner, ok := strings.CutPrefix(exists, "exists (")
	if !ok || l.walked == "" || l.tx.Dialect() != sqldb.SQLite {
		return exists
	}
	return "((" + strings.TrimSuffix(inner, ")") + " limit 1) is not null)"
}
