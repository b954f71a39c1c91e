package tracking

import (
	"context"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

const (
	modelsPage    = 50
	recheckAtOnce = 500 // models that are read together when the database alone does not decide which are found
)

// SearchLoggedModels finds logged models that are not deleted in the experiments that the caller may read, the newest
// first unless asked otherwise. A condition on a metric is true when it is for one of its points.
func (s *Store) SearchLoggedModels(ctx context.Context, req *mlflow.SearchLoggedModelsRequest) (*mlflow.SearchLoggedModelsResponse, error) {
	limit := modelsPage
	if n := req.MaxResults.Value; n < 0 {
		return nil, invalid("Invalid value %d for parameter 'max_results' supplied. It must be a positive integer", n)
	} else if n > 0 {
		limit = int(min(n, maxSearchResults)) // MLflow has no limit; a client that gets less goes on with the token
	}
	o := search.Options{Now: s.o.Now()}
	filter, err := search.LoggedModels.Parse(req.Filter, o)
	if err != nil {
		return nil, err
	}
	search.Walk(filter, nameStatus)
	order, err := modelOrders(req.OrderBy, o)
	if err != nil {
		return nil, err
	}
	l := &modelList{s: s, datasets: req.Datasets, order: order, size: limit + 1, onlyDatasets: len(req.Datasets) > 0}
	search.Walk(filter, func(t *search.Term) { l.onlyDatasets = l.onlyDatasets && t.Entity != search.Metric })
	page := pageOf(req)
	if l.after, err = page.after(req.PageToken, l.kinds()); err != nil {
		return nil, err
	}
	l.inSQL, l.inGo = split(filter)
	if l.inGo != nil {
		l.size = max(l.size, recheckAtOnce)
	}
	scope := api.ScopeOf(ctx, "experiment")
	resp := &mlflow.SearchLoggedModelsResponse{}
	return resp, s.db.Search(ctx, func(tx *sqldb.Tx) error {
		l.tx = tx
		if err := l.addExperiments(req.ExperimentIDs, scope); err != nil || len(l.exps) == 0 {
			return err
		}
		var found []modelHit
		for end := false; !end && len(found) <= limit; {
			var hits []modelHit
			var err error
			if hits, end, err = l.fill(); err != nil {
				return err
			}
			found = append(found, hits...)
		}
		if len(found) > limit {
			found = found[:limit]
			resp.NextPageToken = page.token(found[limit-1].places)
		}
		models := make([]model, len(found))
		for i, f := range found {
			models[i] = f.model
		}
		return s.readModels(tx, models, func(full mlflow.LoggedModel) { resp.Models = append(resp.Models, full) })
	})
}

// nameStatus lets filters call a status by its short name, READY, PENDING or FAILED.
func nameStatus(t *search.Term) {
	if t.Entity != search.Attribute || t.Key != "status" {
		return
	}
	long := func(text string) string {
		switch text {
		case "PENDING":
			return string(mlflow.LoggedModelPending)
		case "READY":
			return string(mlflow.LoggedModelReady)
		case "FAILED", "UPLOAD_FAILED":
			return string(mlflow.LoggedModelUploadFailed)
		}
		return text
	}
	switch t.Op {
	case search.Eq, search.Ne:
		t.Text = long(t.Text)
	case search.In, search.NotIn:
		for i, text := range t.List {
			t.List[i] = long(text)
		}
	}
}

var modelAttributes = map[string]column{
	"name":                   {expr: "l.name", kind: 's'},
	"model_id":               {expr: "l.public_id", kind: 's'},
	"model_type":             {expr: "l.model_type", kind: 's'},
	"status":                 {expr: "l.status", kind: 's'},
	"status_message":         {expr: "l.status_message", kind: 's'},
	"source_run_id":          {expr: "l.source_run_id", kind: 's'},
	"experiment_id":          {expr: "l.exp_public", kind: 's'},
	"artifact_location":      {expr: "l.artifact_uri", kind: 's'},
	"lifecycle_stage":        {expr: "case when l.deleted = 0 then 'active' else 'deleted' end", kind: 's'},
	"creation_timestamp":     {expr: "l.created_at", kind: 'i'},
	"last_updated_timestamp": {expr: "l.updated_at", kind: 'i'},
}

// modelList finds logged models of some experiments in order, some at a time.
type modelList struct {
	s            *Store
	tx           *sqldb.Tx
	exps         []experiment
	datasets     []mlflow.LoggedModelDataset
	onlyDatasets bool // models without a metric on one of the datasets are left out
	inSQL        search.Expr
	inGo         search.Expr
	order        []modelOrder
	after        []place
	size         int
}

type modelHit struct {
	model
	places []place
}

// addExperiments takes the experiments that exist and that the caller may read.
func (l *modelList) addExperiments(ids []string, scope api.Scope) error {
	seen := make(map[int64]bool)
	for _, id := range ids {
		e, err := findExperiment(l.tx, id, false)
		if isUser(err) {
			continue
		}
		if err != nil {
			return err
		}
		if !seen[e.id] && visible(scope, e.ExperimentID) {
			seen[e.id] = true
			l.exps = append(l.exps, e)
		}
	}
	return nil
}

func (l *modelList) expIDs() []int64 {
	ids := make([]int64, len(l.exps))
	for i, e := range l.exps {
		ids[i] = e.id
	}
	return ids
}

// kinds gives the kinds of the columns by which models are sorted.
func (l *modelList) kinds() []byte {
	var kinds []byte
	for _, k := range l.order {
		kind := byte('f')
		if k.Entity == search.Attribute {
			kind = modelAttributes[k.Key].kind
		}
		kinds = append(kinds, kind)
	}
	return append(kinds, 'i', 's')
}

// columns gives the columns of the order, and what the inner query has to select for them.
func (l *modelList) columns(q *query) (columns []column, inner string, err error) {
	for i, k := range l.order {
		if k.Entity == search.Attribute {
			c := modelAttributes[k.Key]
			c.desc = k.Desc
			columns = append(columns, c)
			continue
		}
		keys, err := l.keys(kindMetric, k.Key)
		if err != nil {
			return nil, "", err
		}
		c := column{kind: 'f', desc: k.Desc, fixed: classMissing}
		if len(keys) > 0 {
			where := " from model_metric m where m.model_id = l.id and m.key_id" + q.in(keys)
			if k.name != "" {
				where += " and m.dataset_name = " + q.arg(k.name)
			}
			if k.digest != "" {
				where += " and m.dataset_digest = " + q.arg(k.digest)
			}
			n := string(rune('a'+i/26)) + string(rune('a'+i%26))
			value := "(" + foldedValue(k.Fold, where) + ")"
			inner += ", case when " + value + " is not null then 0 when exists (select 1" + where + ") then 1 else 2 end as c" + n + ", " + value + " as v" + n
			c.class, c.expr = "l.c"+n, "l.v"+n
		}
		columns = append(columns, c)
	}
	return append(columns, column{expr: "l.created_at", kind: 'i', desc: true}, column{expr: "l.public_id", kind: 's'}), inner, nil
}

// foldedValue selects one value of a metric: the newest by time and then step, or another one that was asked for.
func foldedValue(f search.Fold, from string) string {
	switch f {
	case search.Min:
		return "select min(m.value) as value" + from
	case search.Max:
		return "select max(m.value) as value" + from
	case search.First:
		return "select m.value" + from + " order by m.ts, m.step, m.run_id limit 1"
	}
	return "select m.value" + from + " order by m.ts desc, m.step desc, m.run_id desc limit 1"
}

// keys gives the ids that a name has in the experiments.
func (l *modelList) keys(kind int, name string) (ids []int64, err error) {
	for _, e := range l.exps {
		id, ok, err := l.s.lookupKey(l.tx, keyRef{e.id, kind, name})
		if err != nil {
			return nil, err
		}
		if ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// in gives the condition that an integer is one of a list.
func (q *query) in(ids []int64) string {
	if len(ids) == 1 {
		return " = " + q.arg(ids[0])
	}
	params := make([]string, len(ids))
	for i, id := range ids {
		params[i] = q.arg(id)
	}
	return " in (" + strings.Join(params, ", ") + ")"
}

// fill gives the next models; end says that there are no more behind them.
func (l *modelList) fill() (hits []modelHit, end bool, err error) {
	q := &query{tx: l.tx}
	columns, inner, err := l.columns(q)
	if err != nil {
		return nil, false, err
	}
	where := []string{"l.exp_id" + q.in(l.expIDs()), "l.deleted = 0"}
	if l.onlyDatasets {
		where = append(where, "exists (select 1 from model_metric m where m.model_id = l.id"+l.onDatasets(q)+")")
	}
	if l.inSQL != nil {
		attributes := make(map[string]string)
		for key, c := range modelAttributes {
			attributes[key] = c.expr
		}
		c := conditions{query: q, attribute: attributes}
		c.keyed = func(t *search.Term, condition func(string) string) (string, error) { return l.keyed(q, t, condition) }
		condition, err := c.of(l.inSQL)
		if err != nil {
			return nil, false, err
		}
		where = append(where, condition)
	}
	if l.after != nil {
		where = append(where, q.behind(columns, l.after))
	}
	hits, err = l.read(`
		select `+modelColumns+`, l.exp_public`+selectList(columns)+`
		from (select l.*, e.public_id as exp_public`+inner+` from logged_model l join experiment e on e.id = l.exp_id) l
		where `+strings.Join(where, " and ")+` order by `+orderBy(columns)+` limit `+q.arg(int64(l.size)), q.args, columns)
	if err != nil {
		return nil, false, err
	}
	end = len(hits) < l.size
	if len(hits) > 0 {
		l.after = hits[len(hits)-1].places
	}
	hits, err = l.recheck(hits)
	return hits, end, err
}

func (l *modelList) read(sql string, args []any, columns []column) (hits []modelHit, err error) {
	rows, err := l.tx.Query(sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		values := make([]placeScan, len(columns))
		var more []any
		for i, c := range columns {
			more = append(more, values[i].targets(c.kind)...)
		}
		m, err := scanModel(func(dst ...any) error { return rows.Scan(append(dst, more...)...) })
		if err != nil {
			return nil, err
		}
		hit := modelHit{model: m}
		for i := range values {
			hit.places = append(hit.places, values[i].place())
		}
		hits = append(hits, hit)
	}
	return hits, rows.Close()
}

// onDatasets limits points of metrics to the datasets of the search.
func (l *modelList) onDatasets(q *query) string {
	if len(l.datasets) == 0 {
		return ""
	}
	parts := make([]string, len(l.datasets))
	for i, d := range l.datasets {
		parts[i] = "(m.dataset_name = " + q.arg(d.DatasetName) + " and m.dataset_digest = " + q.arg(d.DatasetDigest) + ")"
	}
	return " and (" + strings.Join(parts, " or ") + ")"
}

// keyed gives the condition of a term on a metric, param or tag.
func (l *modelList) keyed(q *query, t *search.Term, condition func(string) string) (string, error) {
	table, kind := "model_metric", kindMetric
	switch t.Entity {
	case search.Param:
		table, kind = "model_param", kindParam
	case search.Tag:
		table, kind = "model_tag", kindTag
	}
	keys, err := l.keys(kind, t.Key)
	if err != nil {
		return "", err
	}
	if len(keys) == 0 {
		return missing(t), nil
	}
	if t.Entity != search.Metric && t.Op == search.Eq {
		// An index leads from the value to its models.
		return "l.id in (select m.model_id from " + table + " m where m.key_id" + q.in(keys) +
			" and substr(m.value, 1, 128) = " + q.arg(head(t.Text)) + " and m.value = " + q.arg(t.Text) + ")", nil
	}
	from := " from " + table + " m where m.model_id = l.id and m.key_id" + q.in(keys)
	if t.Entity == search.Metric {
		from += l.onDatasets(q)
	}
	if t.Fold != search.Latest && t.Op != search.IsNull && t.Op != search.IsNotNull {
		return "exists (select 1 from (" + foldedValue(t.Fold, from) + ") f where exists (select 1" + from + ") and " + condition("f.value") + ")", nil
	}
	return exists(t, "select 1"+from, condition, "m.value"), nil
}
