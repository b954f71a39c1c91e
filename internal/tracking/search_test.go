package tracking_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// find reads all pages of a search and gives the names of the runs.
func find(s *server, req mlflow.SearchRunsRequest) (names []string) {
	s.t.Helper()
	for {
		resp := ok[mlflow.SearchRunsResponse](s, "POST", "runs/search", req)
		for _, r := range resp.Runs {
			names = append(names, r.Info.RunName)
		}
		if req.MaxResults.Set && resp.NextPageToken != "" && len(resp.Runs) != int(req.MaxResults.Value) {
			s.t.Fatalf("%+v: a page that is not the last has %d runs", req, len(resp.Runs))
		}
		if req.PageToken = resp.NextPageToken; req.PageToken == "" {
			return names
		}
	}
}

func TestRunsAreFoundSortedAndPaged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exp := s.experiment("e")
		for i, spec := range []string{
			"a acc=0.9 loss=1 model=tree env=dev",
			"b acc=0.5 loss=2 model=tree",
			"c acc=NaN model=Tree",
			"d acc=0.9 model=glm env=prod",
			"e model=",
			"f acc=Infinity loss=2 env=Ünï",
		} {
			parts := strings.Fields(spec)
			s.clock.Add(1)
			r := ok[mlflow.RunResponse](s, "POST", "runs/create", mlflow.CreateRunRequest{ExperimentID: exp, RunName: parts[0], UserID: "u" + fmt.Sprint(i%2)})
			id := r.Run.Info.RunID
			for _, p := range parts[1:] {
				key, value, _ := strings.Cut(p, "=")
				switch key {
				case "acc", "loss":
					s.metric(id, key, value, 1, 1)
				case "model":
					s.param(id, key, value)
				default:
					s.tag(id, key, value)
				}
			}
			if i == 1 {
				ok[empty](s, "POST", "runs/update", `{"run_id":"`+id+`","status":"FINISHED","end_time":5}`)
			}
			if i == 3 {
				ok[empty](s, "POST", "runs/delete", `{"run_id":"`+id+`"}`)
			}
		}
		s.run("0", mlflow.KeyValue{Key: "mlflow.runName", Value: "other"})
		for _, tc := range []struct {
			filter string
			order  string
			view   mlflow.ViewType
			want   string
		}{
			{"", "", "", "f e c b a"},
			{"", "", "ALL", "f e d c b a"},
			{"", "", "DELETED_ONLY", "d"},
			{"metrics.acc >= 0.9", "", "", "f a"},
			{"metrics.acc != 0.9", "", "", "f c b"},
			{"metrics.acc = 0.9", "", "ALL", "d a"},
			{"metrics.acc < 5 and params.model = 'tree'", "", "", "b a"},
			{"metrics.nothing > 0", "", "", ""},
			{"metrics.nothing != 0", "", "", ""},
			{"params.model != 'tree'", "", "", "e c"},
			{"params.model = ''", "", "", "e"},
			{"params.model like 'tr%'", "", "", "b a"},
			{"params.model ilike 'TR%'", "", "", "c b a"},
			{"tags.env ilike 'üNÏ'", "", "", "f"},
			{"tags.env IS NULL", "", "", "e c b"},
			{"tags.env IS NOT NULL", "", "", "f a"},
			{"tags.nothing IS NULL", "", "", "f e c b a"},
			{"status = 'FINISHED'", "", "", "b"},
			{"status != 'FINISHED'", "", "", "f e c a"},
			{"end_time > 1", "", "", "b"},
			{"end_time != 1", "", "", "b"},
			{"start_time <= 1700000000002", "", "", "b a"},
			{"run_name like '_' and user_id = 'u0'", "", "", "e c a"},
			{"attributes.`Run name` = 'c'", "", "", "c"},
			{"dataset.name = 'x'", "", "", ""},
			{"metrics.acc > 0.9 OR params.model = 'tree'", "", "", "f b a"},
			{"NOT metrics.acc > 0.5", "", "", "e c b"},
			{"NOT (params.model ILIKE 'tree' OR end_time > 1)", "", "", "f e"},
			{"max(metrics.acc) >= 0.9", "", "", "f a"},
			{"", "metrics.acc", "", "b a f c e"},
			{"", "metrics.acc DESC", "", "f a b c e"},
			{"", "metrics.acc ASC", "ALL", "b d a f c e"},
			{"", "params.model", "", "e c b a f"},
			{"", "params.model DESC", "", "b a c e f"},
			{"", "tags.env", "", "a f e c b"},
			{"", "metrics.loss|metrics.acc DESC", "", "a f b c e"},
			{"", "metrics.loss DESC|metrics.acc", "", "b f a c e"},
			{"", "start_time", "", "a b c e f"},
			{"", "end_time DESC", "", "b f e c a"},
			{"", "run_name desc", "", "f e c b a"},
			{"", "metrics.nothing", "", "f e c b a"},
			{"", "status|run_name", "", "b a c e f"},
			{"params.model = 'tree'", "metrics.acc", "", "b a"},
			{"metrics.acc > 0", "tags.env DESC", "", "f a b"},
		} {
			req := mlflow.SearchRunsRequest{ExperimentIDs: []string{exp, "77", "nonsense"}, Filter: tc.filter, RunViewType: tc.view}
			if tc.order != "" {
				req.OrderBy = strings.Split(tc.order, "|")
			}
			for _, size := range []int64{0, 1, 2, 3} {
				if req.MaxResults = (mlflow.Opt[int64]{}); size > 0 {
					req.MaxResults = mlflow.Some(size)
				}
				if diff := cmp.Diff(tc.want, strings.Join(find(s, req), " ")); diff != "" {
					t.Errorf("filter %q, order %q, view %q, page %d: %s", tc.filter, tc.order, tc.view, size, diff)
				}
			}
		}
		if _, body := s.send("POST", "runs/search", `{}`); body != "{}" {
			t.Errorf("a search of no experiment is %s", body)
		}
	})
}

// model is what a property test knows of a run.
type model struct {
	info    mlflow.RunInfo
	metrics map[string]float64
	params  map[string]string
	exp     int
}

func (m *model) Texts(e search.Entity, key string) []string {
	switch {
	case e == search.Param:
		if v, ok := m.params[key]; ok {
			return []string{v}
		}
	case e == search.Attribute && key == "run_name":
		return []string{m.info.RunName}
	}
	return nil
}

func (m *model) Numbers(e search.Entity, key string, _ search.Fold) []float64 {
	switch {
	case e == search.Metric:
		if v, ok := m.metrics[key]; ok {
			return []float64{v}
		}
	case e == search.Attribute && key == "start_time":
		return []float64{float64(m.info.StartTime)}
	}
	return nil
}

// compare sorts by one key: values, then NaN, then missing.
func (m *model) compare(o *model, k search.OrderKey) int {
	class := func(m *model) (int, float64, string) {
		if k.Entity == search.Param {
			v, ok := m.params[k.Key]
			if !ok {
				return 2, 0, ""
			}
			return 0, 0, v
		}
		v := m.Numbers(k.Entity, k.Key, search.Latest)
		switch {
		case len(v) == 0:
			return 2, 0, ""
		case math.IsNaN(v[0]):
			return 1, 0, ""
		}
		return 0, v[0], ""
	}
	ca, na, ta := class(m)
	cb, nb, tb := class(o)
	if ca != cb {
		return ca - cb
	}
	order := strings.Compare(ta, tb)
	if na < nb {
		order = -1
	} else if na > nb {
		order = 1
	}
	if k.Desc {
		return -order
	}
	return order
}

// TestSearchAgreesWithAModel compares every plan of the search, over all pages, with a plain sort in memory.
func TestSearchAgreesWithAModel(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		var runs []*model
		var exps []string
		for e := range 3 {
			exps = append(exps, s.experiment(fmt.Sprint("e", e)))
		}
		long := strings.Repeat("x", 130)
		texts := []string{"a", "A", "ab", "ä", "", long + "1", long + "2"}
		numbers := []float64{math.NaN(), math.Inf(1), 0, 1, 1, -3, 0.25}
		for i := range 90 {
			m := &model{exp: i * 7 % 3, metrics: map[string]float64{}, params: map[string]string{}}
			r := ok[mlflow.RunResponse](s, "POST", "runs/create", mlflow.CreateRunRequest{
				ExperimentID: exps[m.exp], RunName: fmt.Sprintf("%02d", i), StartTime: mlflow.Some(int64(i * 5 % 4)),
			})
			m.info = r.Run.Info
			req := mlflow.LogBatchRequest{RunID: m.info.RunID}
			for j, key := range []string{"m", "n"} {
				if k := (i*13 + j*5) % 10; k < len(numbers) && !(key == "n" && m.exp == 2) {
					m.metrics[key] = numbers[k]
					req.Metrics = append(req.Metrics, mlflow.Metric{Key: key, Value: mlflow.Float(numbers[k]), Timestamp: 1})
				}
			}
			for j, key := range []string{"p", "q"} {
				if k := (i*17 + j*3) % 9; k < len(texts) {
					m.params[key] = texts[k]
					req.Params = append(req.Params, mlflow.KeyValue{Key: key, Value: texts[k]})
				}
			}
			ok[empty](s, "POST", "runs/log-batch", req)
			runs = append(runs, m)
		}
		term := rapid.OneOf(
			rapid.Custom(func(r *rapid.T) string {
				return rapid.SampledFrom([]string{"metrics.m", "metrics.n", "metrics.zzz", "start_time"}).Draw(r, "number") +
					rapid.SampledFrom([]string{" = ", " != ", " < ", " <= ", " > ", " >= "}).Draw(r, "op") +
					rapid.SampledFrom([]string{"0", "1", "2.5", "-3", "0.25"}).Draw(r, "value")
			}),
			rapid.Custom(func(r *rapid.T) string {
				return rapid.SampledFrom([]string{"params.p", "params.q", "params.zzz"}).Draw(r, "text") +
					rapid.SampledFrom([]string{" = ", " != ", " LIKE ", " ILIKE ", " NOT LIKE ", " NOT ILIKE "}).Draw(r, "op") +
					rapid.SampledFrom([]string{"'a'", "'a%'", "'_'", "'Ä'", "''", "'" + long + "1'"}).Draw(r, "value")
			}),
			rapid.SampledFrom([]string{"params.p IS NULL", "params.q IS NOT NULL", "params.p IN ('a', 'ab')", "params.p NOT IN ('a')"}),
		)
		filters := rapid.Custom(func(r *rapid.T) string {
			if rapid.IntRange(0, 3).Draw(r, "usual") == 0 { // what plans are made for
				return rapid.SampledFrom([]string{
					"metrics.m > 0 AND params.p = 'a'", "params.p = 'a' AND params.q = 'a'", "params.p = 'a'", "params.p = '" + long + "1' AND metrics.m <= 2.5",
					"metrics.m >= -3 AND metrics.m < 2.5 AND params.q = 'a' AND metrics.n != 1", "params.p = 'a' AND params.p != 'b'", "params.p = 'a' AND params.zzz = 'a'",
				}).Draw(r, "filter")
			}
			terms := rapid.SliceOfN(term, 0, 3).Draw(r, "terms")
			for i := range terms {
				if rapid.IntRange(0, 4).Draw(r, "not") == 0 {
					terms[i] = "NOT " + terms[i]
				}
			}
			return strings.Join(terms, rapid.SampledFrom([]string{" AND ", " AND ", " OR "}).Draw(r, "join"))
		})
		order := rapid.Custom(func(r *rapid.T) string {
			return rapid.SampledFrom([]string{"metrics.m", "metrics.n", "params.p", "params.q", "start_time", "metrics.zzz"}).Draw(r, "key") +
				rapid.SampledFrom([]string{"", " DESC"}).Draw(r, "direction")
		})
		rapid.Check(t, func(r *rapid.T) {
			req := mlflow.SearchRunsRequest{
				Filter: filters.Draw(r, "filter"), OrderBy: rapid.SliceOfN(order, 0, 3).Draw(r, "order"),
				MaxResults: mlflow.Some(rapid.Int64Range(1, 40).Draw(r, "page")),
			}
			s.store.SetProbe(rapid.SampledFrom([]int{1, 2000}).Draw(r, "probe"))
			s.store.SetNarrow(rapid.SampledFrom([]int{0, 4}).Draw(r, "narrow"))
			in := rapid.SampledFrom([][]int{{0}, {1, 2}, {0, 1, 2}}).Draw(r, "experiments")
			for _, e := range in {
				req.ExperimentIDs = append(req.ExperimentIDs, exps[e])
			}
			filter, err := search.Runs.Parse(req.Filter, search.Options{})
			if err != nil {
				r.Fatal(err)
			}
			keys, err := search.Runs.ParseOrderBy(req.OrderBy, search.Options{})
			if err != nil {
				r.Fatal(err)
			}
			var matched []*model
			for _, m := range runs {
				if slices.Contains(in, m.exp) && search.Match(filter, m) {
					matched = append(matched, m)
				}
			}
			slices.SortFunc(matched, func(a, b *model) int {
				byStart := false
				for _, k := range keys {
					if c := a.compare(b, k); c != 0 {
						return c
					}
					byStart = byStart || k.Key == "start_time"
				}
				if !byStart && a.info.StartTime != b.info.StartTime {
					return int(b.info.StartTime - a.info.StartTime)
				}
				return strings.Compare(a.info.RunID, b.info.RunID)
			})
			var want []string
			for _, m := range matched {
				want = append(want, m.info.RunName)
			}
			if diff := cmp.Diff(want, find(s, req)); diff != "" {
				r.Fatalf("%+v: %s", req, diff)
			}
		})
	})
}

// scoped is a policy that lets everybody read some experiments only.
type scoped []string

func (p scoped) Allow(context.Context, api.Actor, api.Permission, string) error { return nil }
func (p scoped) Scope(context.Context, api.Actor, string) api.Scope             { return api.Scope{IDs: p} }

func TestListsAreFilteredByScopeInsideTheirQueries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		for i := range 6 {
			id := s.experiment(fmt.Sprint("e", i))
			run := s.run(id, mlflow.KeyValue{Key: "mlflow.runName", Value: fmt.Sprint("r", i)})
			s.metric(run, "m", i, 1, 1)
		}
		s.router.Policy = scoped{"2", "5"}
		page := ok[mlflow.SearchExperimentsResponse](s, "POST", "experiments/search", `{"max_results":2,"order_by":["name"]}`)
		var names []string
		for _, e := range page.Experiments {
			names = append(names, e.Name)
		}
		if diff := cmp.Diff([]string{"e1", "e4"}, names); diff != "" || page.NextPageToken != "" {
			t.Errorf("experiments: %s, token %q", diff, page.NextPageToken)
		}
		got := find(s, mlflow.SearchRunsRequest{ExperimentIDs: []string{"0", "1", "2", "3", "4", "5"}, OrderBy: []string{"metrics.m"}})
		if diff := cmp.Diff([]string{"r1", "r4"}, got); diff != "" {
			t.Errorf("runs: %s", diff)
		}
		s.fails("GET", "experiments/get-by-name", "experiment_name=e0", mlflow.CodeResourceDoesNotExist, "Could not find experiment with name 'e0'")
		s.router.Policy = scoped{}
		if _, body := s.send("POST", "experiments/search", `{"max_results":2}`); body != "{}" {
			t.Errorf("nothing in scope is %s", body)
		}
	})
}

// TestLongTextsAreComparedWhole: an index holds the first 128 characters only, whichever way a search goes through it.
func TestLongTextsAreComparedWhole(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		for _, prefix := range []int{126, 127, 128, 129, 300} {
			exp := s.experiment(fmt.Sprint(prefix))
			want := strings.Repeat("ü", prefix) + "a"
			for i, value := range []string{want, want + "b", want[:len(want)-1], strings.Repeat("ü", prefix) + "c", want} {
				run := s.run(exp)
				s.param(run, "p", value)
				s.tag(run, "t", value)
				s.metric(run, "m", i, 1, 1)
			}
			for _, probe := range []int{2000, 1} { // from the few that match, or along the metric
				s.store.SetProbe(probe)
				for _, filter := range []string{"params.p = '%s'", "tags.t = '%s' and metrics.m >= 0"} {
					got := ok[mlflow.SearchRunsResponse](s, "POST", "runs/search", mlflow.SearchRunsRequest{
						ExperimentIDs: []string{exp}, Filter: fmt.Sprintf(filter, want), OrderBy: []string{"metrics.m DESC"},
					})
					if len(got.Runs) != 2 || metricOf(got.Runs[0], "m") != "4@1/1" || metricOf(got.Runs[1], "m") != "0@1/1" {
						t.Errorf("%d characters, %s, probe %d: %d runs", prefix+1, filter, probe, len(got.Runs))
					}
				}
			}
		}
	})
}
