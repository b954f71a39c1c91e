package registry

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// The page sizes of MLflow.
const (
	defaultModels = 100
	maxModels     = 1000
	maxVersions   = 200_000
)

// SearchRegisteredModels finds models; prompts only when the filter asks for them.
func (s *Store) SearchRegisteredModels(
	ctx context.Context, req *mlflow.SearchRegisteredModelsRequest,
) (*mlflow.SearchRegisteredModelsResponse, error) {
	size := int64(defaultModels)
	if req.MaxResults.Set {
		size = req.MaxResults.Value
	}
	if size < 1 {
		return nil, invalid("Invalid value %d for parameter 'max_results' supplied. It must be a positive integer", size)
	}
	if size > maxModels {
		return nil, tooMany(size, maxModels)
	}
	q, err := models.query(ctx, s, req.Filter, req.OrderBy, req.PageToken)
	if err != nil {
		return nil, err
	}
	resp := &mlflow.SearchRegisteredModelsResponse{}
	err = s.db.Search(ctx, func(tx *sqldb.Tx) error {
		ids, token, err := q.run(tx, int(size))
		if err != nil {
			return err
		}
		resp.NextPageToken = token
		resp.RegisteredModels, err = readModels(tx, ids)
		return err
	})
	return resp, err
}

// SearchModelVersions finds versions of all models; those of prompts only when the filter asks for them.
func (s *Store) SearchModelVersions(ctx context.Context, req *mlflow.SearchModelVersionsRequest) (*mlflow.ModelVersionsResponse, error) {
	size := int64(maxVersions)
	if req.MaxResults.Set {
		size = req.MaxResults.Value
	}
	if size < 1 {
		return nil, invalid("Invalid value for max_results. It must be a positive integer, but got %d", size)
	}
	if size > maxVersions {
		return nil, tooMany(size, maxVersions)
	}
	q, err := versions.query(ctx, s, req.Filter, req.OrderBy, req.PageToken)
	if err != nil {
		return nil, err
	}
	resp := &mlflow.ModelVersionsResponse{}
	err = s.db.Search(ctx, func(tx *sqldb.Tx) error {
		ids, token, err := q.run(tx, int(size))
		if err != nil {
			return err
		}
		resp.NextPageToken = token
		resp.ModelVersions, err = readVersions(tx, ids)
		return err
	})
	return resp, err
}

func tooMany(got, most int64) error {
	return invalid("Invalid value %d for parameter 'max_results' supplied:  Hint: it must be at most %d. "+
		"See the API docs for more information about request parameters.", got, most)
}

// searched is a kind of object that can be searched: its grammar and where its values are.
type searched struct {
	grammar *search.Grammar
	from    string            // tables and what holds of all their rows
	id      string            // the column that names a row inside
	columns map[string]column // of the grammar's attributes
	tags    string            // the table of tags and its column that names the row
	// order ends every order, so that no two rows are equal in it; when nothing is asked for, first begins it.
	first, order []search.OrderKey
}

// column is where an attribute is. Only text columns may be null.
type column struct {
	sql  string
	text bool
}

func attribute(name string, desc bool) search.OrderKey {
	return search.OrderKey{Entity: search.Attribute, Key: name, Desc: desc}
}

var models = &searched{
	grammar: search.RegisteredModels,
	from:    "registered_model m where 1 = 1",
	id:      "m.id",
	columns: map[string]column{"name": {"m.name", true}, "last_updated_timestamp": {"m.updated_at", false}},
	tags:    "registered_model_tag t where t.model_id = m.id",
	order:   []search.OrderKey{attribute("name", false)},
}

var versions = &searched{
	grammar: search.ModelVersions,
	from:    "model_version v join registered_model m on m.id = v.model_id where v.deleted = 0",
	id:      "v.id",
	columns: map[string]column{
		"name": {"m.name", true}, "source_path": {"v.source", true}, "run_id": {"v.run_id", true}, "version_number": {"v.version", false},
		"creation_timestamp": {"v.created_at", false}, "last_updated_timestamp": {"v.updated_at", false},
	},
	tags:  "model_version_tag t where t.version_id = v.id",
	first: []search.OrderKey{attribute("last_updated_timestamp", true)},
	order: []search.OrderKey{attribute("name", false), attribute("version_number", true)},
}

// query is a search that is ready to run.
type query struct {
	of     *searched
	filter search.Expr
	keys   []search.OrderKey
	scope  api.Scope
	digest string
	after  []any // the last row of the page before, in the order's values
	args   []any
}

// query reads a request; what is wrong with it is found before the database is asked.
func (of *searched) query(ctx context.Context, s *Store, filter string, orderBy []string, token string) (*query, error) {
	o := search.Options{Now: s.o.Now()}
	expr, err := of.grammar.Parse(filter, o)
	if err != nil {
		return nil, err
	}
	keys, err := of.grammar.ParseOrderBy(orderBy, o)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		keys = slices.Clone(of.first)
	}
	for _, k := range of.order {
		if !slices.ContainsFunc(keys, func(have search.OrderKey) bool { return have.Key == k.Key }) {
			keys = append(keys, k)
		}
	}
	q := &query{of: of, filter: expr, keys: keys, scope: api.ScopeOf(ctx, kind), digest: digest(filter, orderBy)}
	q.after, err = q.readToken(token)
	return q, err
}

// run gives the ids of one page and the token of the next.
func (q *query) run(tx *sqldb.Tx, size int) (ids []int64, token string, err error) {
	q.args = nil
	selected := []string{q.of.id}
	var order []string
	for _, k := range q.keys {
		c := q.of.columns[k.Key].sql
		selected = append(selected, c)
		if k.Desc {
			c += " desc"
		}
		order = append(order, c)
	}
	where := q.of.from
	if !q.scope.All {
		where += " and " + q.in("m.name", q.scope.IDs)
	}
	if q.filter != nil {
		where += " and " + q.condition(tx, q.filter)
	}
	if !q.asksForPrompts() {
		where += " and not " + q.prompts()
	}
	if q.after != nil {
		where += " and " + q.behind()
	}
	rows, err := tx.Query("select "+strings.Join(selected, ", ")+" from "+where+
		" order by "+strings.Join(order, ", ")+" limit "+strconv.Itoa(size+1), q.args...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	var last []any
	for rows.Next() {
		if len(ids) == size {
			token = q.token(last)
			break
		}
		var id int64
		values := make([]any, len(q.keys))
		dst := []any{&id}
		for i, k := range q.keys {
			if q.of.columns[k.Key].text {
				values[i] = new(string)
			} else {
				values[i] = new(int64)
			}
			dst = append(dst, values[i])
		}
		if err := rows.Scan(dst...); err != nil {
			return nil, "", err
		}
		ids, last = append(ids, id), values
	}
	return ids, token, rows.Close()
}

// arg adds an argument and gives its parameter.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// in writes a comparison with a list, which may be empty.
func (q *query) in(column string, list []string) string {
	if len(list) == 0 {
		return "1 = 0"
	}
	params := make([]string, len(list))
	for i, v := range list {
		params[i] = q.arg(v)
	}
	return column + " in (" + strings.Join(params, ", ") + ")"
}

// behind is the condition of rows that come after the last one of the page before.
func (q *query) behind() string {
	var ways []string
	equal := ""
	for i, k := range q.keys {
		c, compare := q.of.columns[k.Key].sql, " > "
		if k.Desc {
			compare = " < "
		}
		value := q.arg(q.after[i])
		ways = append(ways, equal+c+compare+value)
		equal += c + " = " + value + " and "
	}
	return "(" + strings.Join(ways, " or ") + ")"
}

// condition turns a filter into SQL that is true or false and never null, so that NOT means what search.Not says.
func (q *query) condition(tx *sqldb.Tx, e search.Expr) string {
	switch e := e.(type) {
	case search.And:
		return q.join(tx, e, " and ")
	case search.Or:
		return q.join(tx, e, " or ")
	case search.Not:
		return "not " + q.condition(tx, e.X)
	}
	t := e.(*search.Term)
	if want, ok := promptTerm(t); ok {
		if want {
			return q.prompts()
		}
		return "not " + q.prompts()
	}
	if t.Entity == search.Tag {
		found := "exists (select 1 from " + q.of.tags + " and t.key = " + q.arg(t.Key)
		switch t.Op {
		case search.IsNull:
			return "not " + found + ")"
		case search.IsNotNull:
			return found + ")"
		}
		return found + " and " + q.compare(tx, "t.value", t) + ")"
	}
	c := q.of.columns[t.Key]
	switch {
	case t.Op == search.IsNull:
		return "(" + c.sql + " is null)"
	case t.Op == search.IsNotNull:
		return "(" + c.sql + " is not null)"
	case c.text:
		return "(" + c.sql + " is not null and " + q.compare(tx, c.sql, t) + ")"
	}
	return "(cast(" + c.sql + " as double precision) " + string(t.Op) + " " + q.arg(t.Number) + ")"
}

func (q *query) join(tx *sqldb.Tx, list []search.Expr, word string) string {
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = q.condition(tx, x)
	}
	return "(" + strings.Join(parts, word) + ")"
}

// compare compares a text that is not null.
func (q *query) compare(tx *sqldb.Tx, column string, t *search.Term) string {
	switch t.Op {
	case search.Like, search.ILike:
		return tx.Like(column, q.arg(t.Text), t.Op == search.ILike)
	case search.NotLike, search.NotILike:
		return "not " + tx.Like(column, q.arg(t.Text), t.Op == search.NotILike)
	case search.In:
		return q.in(column, t.List)
	case search.NotIn:
		return "not " + q.in(column, t.List)
	}
	return column + " " + string(t.Op) + " " + q.arg(t.Text)
}

// prompts is the condition of rows that are prompts.
func (q *query) prompts() string {
	return "exists (select 1 from " + q.of.tags + " and t.key = " + q.arg(promptTag) + " and lower(t.value) = 'true')"
}

// promptTerm says what a term about the prompt tag asks for: prompts, or what is none. A model lacks the tag, and yet
// MLflow's clients expect != 'true' to find it.
func promptTerm(t *search.Term) (want, ok bool) {
	if t.Entity != search.Tag || t.Key != promptTag || t.Op != search.Eq && t.Op != search.Ne {
		return false, false
	}
	return strings.EqualFold(t.Text, "true") == (t.Op == search.Eq), true
}

// asksForPrompts says whether the filter decides itself about prompts.
func (q *query) asksForPrompts() bool {
	asks := false
	search.Walk(q.filter, func(t *search.Term) {
		_, ok := promptTerm(t)
		asks = asks || ok
	})
	return asks
}
