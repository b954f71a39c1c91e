package tracking

import (
	"container/heap"
	"context"

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
	driven  int   // how many runs fulfil the condition of drive
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
