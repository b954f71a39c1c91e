package tracking

import (
	"context"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

const experimentsTooBig = "Invalid value %d for parameter 'max_results' supplied. It must be at most 50000"

var experimentAttributes = map[string]column{
	"name":             {expr: "e.name", kind: 's'},
	"experiment_id":    {expr: "e.id", kind: 'i'}, // ids are numbers that grow
	"creation_time":    {expr: "e.created_at", kind: 'i'},
	"last_update_time": {expr: "e.updated_at", kind: 'i'},
}

// SearchExperiments finds the experiments that the caller may read, the newest first unless asked otherwise.
func (s *Store) SearchExperiments(ctx context.Context, req *mlflow.SearchExperimentsRequest) (*mlflow.SearchExperimentsResponse, error) {
	limit, err := pageSize(req.MaxResults.Value, req.MaxResults.Set, 1000, experimentsTooBig)
	if err != nil {
		return nil, err
	}
	o := search.Options{Now: s.o.Now()}
	filter, err := search.Experiments.Parse(req.Filter, o)
	if err != nil {
		return nil, err
	}
	order, err := search.Experiments.ParseOrderBy(req.OrderBy, o)
	if err != nil {
		return nil, err
	}
	columns := experimentColumnsOf(order)
	after, err := decodeToken(req.PageToken, kindsOf(columns))
	if err != nil {
		return nil, err
	}
	l := experimentList{view: req.ViewType, scope: api.ScopeOf(ctx, "experiment"), columns: columns, after: after, size: limit + 1}
	l.inSQL, l.inGo = split(filter)
	resp := &mlflow.SearchExperimentsResponse{}
	return resp, s.db.Search(ctx, func(tx *sqldb.Tx) error {
		var found []experimentHit
		for len(found) <= limit {
			hits, end, err := l.fill(tx)
			if err != nil {
				return err
			}
			found = append(found, hits...)
			if end {
				break
			}
		}
		if len(found) > limit {
			found = found[:limit]
			resp.NextPageToken = encodeToken(found[limit-1].places)
		}
		ids := make([]int64, len(found))
		for i, f := range found {
			ids[i] = f.id
		}
		tags, err := experimentTags(tx, ids)
		if err != nil {
			return err
		}
		for _, f := range found {
			f.Tags = tags[f.id]
			resp.Experiments = append(resp.Experiments, f.Experiment)
		}
		return nil
	})
}

func experimentColumnsOf(order []search.OrderKey) (columns []column) {
	for _, k := range order {
		c := experimentAttributes[k.Key]
		c.desc = k.Desc
		columns = append(columns, c)
	}
	if len(order) == 0 {
		return []column{{expr: "e.created_at", kind: 'i', desc: true}, {expr: "e.id", kind: 'i'}}
	}
	return append(columns, column{expr: "e.id", kind: 'i', desc: true})
}

type experimentHit struct {
	experiment
	places []place
}

// experimentList finds experiments in order, some at a time.
type experimentList struct {
	view    mlflow.ViewType
	scope   api.Scope
	inSQL   search.Expr
	inGo    search.Expr
	columns []column
	after   []place
	size    int
}

// fill gives the next experiments; end says that there are no more behind them.
func (l *experimentList) fill(tx *sqldb.Tx) (hits []experimentHit, end bool, err error) {
	q := &query{tx: tx}
	c := conditions{query: q, attribute: map[string]string{
		"name": "e.name", "experiment_id": "e.public_id", "creation_time": "e.created_at", "last_update_time": "e.updated_at",
	}, keyed: func(t *search.Term, condition func(string) string) (string, error) {
		from := "select 1 from experiment_tag x where x.exp_id = e.id and x.name = " + q.arg(t.Key)
		return exists(t, from, condition, "x.value"), nil
	}}
	where := []string{"1 = 1"}
	switch l.view {
	case mlflow.DeletedOnly:
		where = append(where, "e.deleted = 1")
	case mlflow.All:
	default:
		where = append(where, "e.deleted = 0")
	}
	if !l.scope.All {
		where = append(where, l.inScope(q))
	}
	if l.inSQL != nil {
		condition, err := c.of(l.inSQL)
		if err != nil {
			return nil, false, err
		}
		where = append(where, condition)
	}
	if l.after != nil {
		where = append(where, q.behind(l.columns, l.after))
	}
	rows, err := tx.Query(`select `+experimentColumns+selectList(l.columns)+` from experiment e where `+strings.Join(where, " and ")+
		` order by `+orderBy(l.columns)+` limit `+q.arg(int64(l.size)), q.args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		values := make([]placeScan, len(l.columns))
		var more []any
		for i, c := range l.columns {
			more = append(more, values[i].targets(c.kind)...)
		}
		e, err := scanExperiment(func(dst ...any) error { return rows.Scan(append(dst, more...)...) })
		if err != nil {
			return nil, false, err
		}
		hit := experimentHit{experiment: e}
		for i := range values {
			hit.places = append(hit.places, values[i].place())
		}
		hits = append(hits, hit)
	}
	if err := rows.Close(); err != nil {
		return nil, false, err
	}
	end = len(hits) < l.size
	if len(hits) > 0 {
		l.after = hits[len(hits)-1].places
	}
	hits, err = l.recheck(tx, hits)
	return hits, end, err
}

func (l *experimentList) inScope(q *query) string {
	if len(l.scope.IDs) == 0 {
		return "1 = 0"
	}
	params := make([]string, len(l.scope.IDs))
	for i, id := range l.scope.IDs {
		params[i] = q.arg(id)
	}
	return "e.public_id in (" + strings.Join(params, ", ") + ")"
}

// recheck leaves the experiments for which the part of the filter is true that the database could not decide.
func (l *experimentList) recheck(tx *sqldb.Tx, hits []experimentHit) ([]experimentHit, error) {
	if l.inGo == nil {
		return hits, nil
	}
	ids := make([]int64, len(hits))
	for i, h := range hits {
		ids[i] = h.id
	}
	tags, err := experimentTags(tx, ids)
	if err != nil {
		return nil, err
	}
	kept := hits[:0]
	for _, h := range hits {
		if err := tx.Err(); err != nil {
			return nil, err
		}
		row := newTexts()
		row.texts[entityKey{search.Attribute, "name"}] = []string{h.Name}
		row.texts[entityKey{search.Attribute, "experiment_id"}] = []string{h.ExperimentID}
		row.setNumber(search.Attribute, "creation_time", search.Latest, float64(h.CreationTime))
		row.setNumber(search.Attribute, "last_update_time", search.Latest, float64(h.LastUpdateTime))
		for _, tag := range tags[h.id] {
			row.texts[entityKey{search.Tag, tag.Key}] = []string{tag.Value}
		}
		if search.Match(l.inGo, row) {
			kept = append(kept, h)
		}
	}
	return kept, nil
}
