package tracking

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

const maxResultsTooBig = "Invalid value %d for parameter 'max_results' supplied:  Hint: Value was of type 'int'. It must be at most 50000. See the API docs for more information about request parameters."

// SearchRuns finds runs of the given experiments. Values sort before NaN, NaN before missing; ties go to the later start
// and then the lesser id.
func (s *Store) SearchRuns(ctx context.Context, req *mlflow.SearchRunsRequest) (*mlflow.SearchRunsResponse, error) {
	limit, err := pageSize(req.MaxResults.Value, req.MaxResults.Set, 1000, maxResultsTooBig)
	if err != nil {
		return nil, err
	}
	o := search.Options{Now: s.o.Now()}
	filter, err := search.Runs.Parse(req.Filter, o)
	if err != nil {
		return nil, err
	}
	order, err := search.Runs.ParseOrderBy(req.OrderBy, o)
	if err != nil {
		return nil, err
	}
	after, err := decodeToken(req.PageToken, runKinds(order))
	if err != nil {
		return nil, err
	}
	scope := api.ScopeOf(ctx, "experiment")
	resp := &mlflow.SearchRunsResponse{}
	return resp, s.db.Search(ctx, func(tx *sqldb.Tx) error {
		merged, err := s.runLists(tx, req, scope, filter, order, after, limit)
		if err != nil {
			return err
		}
		var runs []run
		for len(runs) < limit {
			hit, err := merged.next()
			if err != nil {
				return err
			}
			if hit == nil {
				break
			}
			runs = append(runs, hit.run)
			after = hit.places
		}
		if len(runs) == limit {
			more, err := merged.peek()
			if err != nil {
				return err
			}
			if more {
				resp.NextPageToken = encodeToken(after)
			}
		}
		resp.Runs, err = s.fullRuns(tx, runs)
		return err
	})
}

// runLists plans the search in each experiment; unknown experiments and those out of scope have no runs.
func (s *Store) runLists(tx *sqldb.Tx, req *mlflow.SearchRunsRequest, scope api.Scope, filter search.Expr, order []search.OrderKey,
	after []place, limit int,
) (*mergedRuns, error) {
	m := &mergedRuns{}
	seen := make(map[string]bool)
	var exps []experiment
	for _, id := range req.ExperimentIDs {
		e, err := findExperiment(tx, id, false)
		if isUser(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !seen[e.ExperimentID] && visible(scope, e.ExperimentID) {
			seen[e.ExperimentID] = true
			exps = append(exps, e)
		}
	}
	for _, e := range exps {
		l := &runList{
			s: s, tx: tx, exp: e, view: req.RunViewType, order: order, after: after,
			size: max(4, (limit+1+len(exps)-1)/len(exps)), most: limit + 1,
		}
		l.inSQL, l.inGo = split(filter)
		if err := l.plan(); err != nil {
			return nil, err
		}
		m.lists = append(m.lists, l)
		m.columns = l.columns
	}
	return m, nil
}

// runHit is a run that was found, with its place in the order.
type runHit struct {
	run    run
	places []place
}

// mergedRuns joins the lists of several experiments. Once it is read it is a heap of the lists that have a run, by their
// first ones: a search over hundreds of experiments looks at few of them for each run.
type mergedRuns struct {
	lists   []*runList
	columns []column
	heaped  bool
}

func (m *mergedRuns) Len() int      { return len(m.lists) }
func (m *mergedRuns) Swap(i, j int) { m.lists[i], m.lists[j] = m.lists[j], m.lists[i] }
func (m *mergedRuns) Push(x any)    { m.lists = append(m.lists, x.(*runList)) }
func (m *mergedRuns) Less(i, j int) bool {
	return comparePlaces(m.columns, m.lists[i].buf[0].places, m.lists[j].buf[0].places) < 0
}

func (m *mergedRuns) Pop() any {
	end := len(m.lists) - 1
	l := m.lists[end]
	m.lists = m.lists[:end]
	return l
}

// first gives the list whose first run is next, nil at the end.
func (m *mergedRuns) first() (*runList, error) {
	if !m.heaped {
		m.heaped = true
		var some []*runList
		for _, l := range m.lists {
			hit, err := l.head()
			if err != nil {
				return nil, err
			}
			if hit != nil {
				some = append(some, l)
			}
		}
		m.lists = some
		heap.Init(m)
	}
	if len(m.lists) == 0 {
		return nil, nil
	}
	return m.lists[0], nil
}

func (m *mergedRuns) next() (*runHit, error) {
	l, err := m.first()
	if err != nil || l == nil {
		return nil, err
	}
	hit := l.buf[0]
	l.buf = l.buf[1:]
	switch more, err := l.head(); {
	case err != nil:
		return nil, err
	case more == nil:
		heap.Pop(m)
	default:
		heap.Fix(m, 0)
	}
	return &hit, nil
}

func (m *mergedRuns) peek() (bool, error) {
	l, err := m.first()
	return l != nil, err
}

// runList finds the runs of one experiment in order, some at a time.
type runList struct {
	s     *Store
	tx    *sqldb.Tx
	exp   experiment
	view  mlflow.ViewType
	inSQL search.Expr // decided by the database
	inGo  search.Expr // decided here
	order []search.OrderKey
	after []place
	size  int // rows of the next query
	most  int // rows of any query

	columns []column
	joins   []orderJoin // for each order key
	drive   *search.Term
	driveID int64
	phases  []int // the classes of the first key that are still to be walked; nil: all in one query
	empty   bool
	buf     []runHit
	walked  string // in a query that walks along an index, its expression of the run's id
}

// orderJoin is the table that holds an order key's values.
type orderJoin struct {
	table, alias string
	key          int64
}

var runAttributes = map[string]string{
	"run_id": "r.uuid", "run_name": "r.name", "status": "r.status", "user_id": "r.user_id", "artifact_uri": "r.artifact_uri",
	"start_time": "r.start_time", "end_time": "r.end_time",
}

var keyTables = map[search.Entity]struct {
	table string
	kind  int
}{
	search.Metric: {"latest", kindMetric}, search.Param: {"param", kindParam}, search.Tag: {"tag", kindTag},
}

// foldColumn gives the column of latest that holds a metric's value, or its least one and so on.
func foldColumn(f search.Fold) string {
	switch f {
	case search.Min:
		return "vmin"
	case search.Max:
		return "vmax"
	case search.First:
		return "vfirst"
	}
	return "value"
}

// runKinds gives the kinds of the columns by which runs are sorted.
func runKinds(order []search.OrderKey) []byte {
	var kinds []byte
	byStart := false
	for _, k := range order {
		switch {
		case k.Entity == search.Metric:
			kinds = append(kinds, 'f')
		case k.Entity == search.Attribute && (k.Key == "start_time" || k.Key == "end_time"):
			kinds = append(kinds, 'i')
			byStart = byStart || k.Key == "start_time"
		default:
			kinds = append(kinds, 's')
		}
	}
	if !byStart {
		kinds = append(kinds, 'i')
	}
	return append(kinds, 's')
}

// head gives the first run that was found and not taken yet, nil when there is none.
func (l *runList) head() (*runHit, error) {
	for len(l.buf) == 0 && !l.empty {
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
	if len(l.buf) == 0 {
		return nil, nil
	}
	return &l.buf[0], nil
}

// fill runs the next query.
func (l *runList) fill() error {
	phase := -1
	if l.phases != nil {
		for len(l.phases) > 0 && l.after != nil && l.after[0].Class > l.phases[0] {
			l.phases = l.phases[1:]
		}
		if len(l.phases) == 0 {
			l.empty = true
			return nil
		}
		phase = l.phases[0]
	}
	hits, err := l.query(phase)
	if err != nil {
		return err
	}
	if len(hits) > 0 {
		l.after = hits[len(hits)-1].places
	}
	if len(hits) < l.size {
		if phase >= 0 && len(l.phases) > 1 {
			l.phases = l.phases[1:]
			if l.after != nil && l.after[0].Class <= phase {
				l.after = nil // the next class begins at its first run
			}
		} else {
			l.empty = true
		}
	}
	l.size = max(l.size, min(4*l.size, l.most)) // one of many experiments may have all that is wanted
	if l.inGo != nil {
		if hits, err = l.recheck(hits); err != nil {
			return err
		}
	}
	l.buf = hits
	return nil
}

// query finds runs behind l.after; with a phase only those whose first key has that class.
func (l *runList) query(phase int) ([]runHit, error) {
	q := &query{tx: l.tx}
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
		from.WriteString(keyTables[l.drive.Entity].table + " d" + join + "run r on r.id = d.run_id")
		where = append(where, "d.key_id = "+q.arg(l.driveID)+l.driveCondition(&c, l.drive))
	case phase == classValue || phase == classNaN:
		j := l.joins[0]
		first = 1
		l.walked = j.alias + ".run_id" // so that runs are looked up only when the filter is true of their values
		from.WriteString(j.table + " " + j.alias + join + "run r on r.id = " + j.alias + ".run_id")
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
	sql := `select r.id, r.uuid, r.name, r.user_id, r.status, r.start_time, r.end_time, r.artifact_uri, r.deleted` + selectList(columns) +
		` from ` + from.String() + ` where ` + strings.Join(where, " and ") + ` order by ` + orderBy(columns) + ` limit ` + q.arg(int64(l.size))
	return l.read(sql, q.args, columns, phase)
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
