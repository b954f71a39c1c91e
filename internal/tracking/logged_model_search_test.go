package tracking_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

// modelNames searches and gives the names that were found, in order, fetching pages of a size.
func (s *server) modelNames(req mlflow.SearchLoggedModelsRequest, page int64) string {
	s.t.Helper()
	var names []string
	for {
		req.MaxResults = mlflow.Some(page)
		got := ok[mlflow.SearchLoggedModelsResponse](s, "POST", "logged-models/search", req)
		for _, m := range got.Models {
			names = append(names, m.Info.Name)
		}
		if got.NextPageToken == "" {
			return strings.Join(names, " ")
		}
		if int64(len(got.Models)) != page {
			s.t.Fatalf("a page of %d has %d models and a token", page, len(got.Models))
		}
		req.PageToken = got.NextPageToken
	}
}

// manyModels makes models in two experiments, one each millisecond, the last of them deleted.
func manyModels(s *server) (exps []string) {
	s.t.Helper()
	one, two := s.experiment("one"), s.experiment("two")
	run := s.run(one)
	for _, m := range []struct {
		exp, body string
		points    []string // key, value, time, step, dataset
	}{
		{one, `"name":"a","params":[{"key":"depth","value":"1"}],"tags":[{"key":"k","value":"x"}],"source_run_id":"r1","model_type":"forest"`,
			[]string{`acc 0.5 1 1 d`, `acc 0.9 2 1 e`, `loss 3 1 1 d`}},
		{one, `"name":"b","params":[{"key":"depth","value":"2"}],"tags":[{"key":"k","value":"X"}],"source_run_id":"r2"`,
			[]string{`acc 0.7 5 1 d`, `acc 0.1 5 2 d`}},
		{two, `"name":"c","params":[{"key":"depth","value":"1"}],"tags":[{"key":"other","value":"x"}],"source_run_id":"r1"`,
			[]string{`acc "NaN" 1 1 d`, `val/loss 1 1 1 d`}},
		{two, `"name":"d"`, nil},
		{one, `"name":"deleted","tags":[{"key":"k","value":"x"}]`, []string{`acc 1 1 1 d`}},
	} {
		s.clock.Add(1)
		id := s.model(`{"experiment_id":"` + m.exp + `",` + m.body + `}`).Info.ModelID
		for _, p := range m.points {
			f := strings.Fields(p)
			ok[empty](s, "POST", "runs/log-metric", fmt.Sprintf(
				`{"run_id":"%s","key":"%s","value":%s,"timestamp":%s,"step":%s,"model_id":"%s","dataset_name":"%s","dataset_digest":"1"}`,
				run, f[0], f[1], f[2], f[3], id, f[4]))
		}
		switch {
		case strings.Contains(m.body, `"deleted"`):
			ok[empty](s, "DELETE", "logged-models/"+id, `{}`)
		case strings.Contains(m.body, `"name":"b"`):
			ok[mlflow.LoggedModelResponse](s, "PATCH", "logged-models/"+id, `{"status":"LOGGED_MODEL_READY"}`)
		}
	}
	return []string{one, two}
}

func TestSearchesOfLoggedModels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exps := manyModels(s)
		for _, c := range []struct{ filter, want string }{
			{"", "d c b a"},
			{"name = 'a'", "a"},
			{"attributes.name = a", "a"},
			{"name != 'a'", "d c b"},
			{"name IN ('a','d')", "d a"},
			{"name NOT IN ('a','d')", "c b"},
			{"name LIKE '%'", "d c b a"},
			{"name LIKE 'A'", ""},
			{"name ILIKE 'A'", "a"},
			{"model_type = 'forest'", "a"},
			{"model_type != 'forest'", "d c b"},
			{"source_run_id = 'r1'", "c a"},
			{"name = 'a' AND source_run_id = 'r1'", "a"},
			{"name = 'a' AND source_run_id = 'r2'", ""},
			{"experiment_id = '" + exps[1] + "'", "d c"},
			{"lifecycle_stage = 'active'", "d c b a"},
			{"status = 'READY'", "b"},
			{"status = 'LOGGED_MODEL_READY'", "b"},
			{"status IN ('PENDING', 'FAILED')", "d c a"},
			{"status != 'PENDING'", "b"},
			{"artifact_location LIKE '%/" + exps[0] + "/models/%'", "b a"},
			{"creation_timestamp > 1700000000002", "d c"},
			{"creation_time <= 1700000000001", "a"},
			{"last_updated_timestamp_ms >= 1700000000004", "d"},
			{"params.depth = '1'", "c a"},
			{"params.depth = 1 AND experiment_id = '" + exps[0] + "'", "a"},
			{"params.depth != '1'", "b"},
			{"params.depth IN ('1', '2')", "c b a"},
			{"params.depth LIKE '_'", "c b a"},
			{"params.none = '1'", ""},
			{"tags.k = 'x'", "a"},
			{"tags.k ILIKE 'x'", "b a"},
			{"tags.k ILIKE 'x' AND params.depth = '2'", "b"},
			{"tags.k IS NULL", "d c"},
			{"tags.k IS NOT NULL", "b a"},
			{"NOT (tags.k = 'x')", "d c b"},
			{"tags.k = 'x' OR name = 'd'", "d a"},
			{"metrics.acc > 0.8", "a"},
			{"metrics.acc = 0.5", "a"}, // any point
			{"metrics.acc < 0.2", "b"},
			{"metrics.acc != 0.5", "c b a"}, // NaN is
			{"metrics.acc > 0.4 AND metrics.loss = 3", "a"},
			{"metrics.none > 0", ""},
			{"metrics.acc IS NULL", "d"},
			{"max(metrics.acc) < 0.8", "b"},
			{"min(metrics.acc) >= 0.5", "a"},
			{"first(metrics.acc) = 0.7", "b"},
			{"last(metrics.acc) = 0.9", "a"},
			{"max(metrics.acc) < 0.8 AND name ILIKE 'B'", "b"},
			{"metrics.acc > 0.8 OR name ILIKE 'D'", "d a"},
		} {
			for _, page := range []int64{1, 2, 50} {
				if got := s.modelNames(mlflow.SearchLoggedModelsRequest{ExperimentIDs: exps, Filter: c.filter}, page); got != c.want {
					t.Errorf("%q by %d: %q, want %q", c.filter, page, got, c.want)
				}
			}
		}
		if got := s.modelNames(mlflow.SearchLoggedModelsRequest{ExperimentIDs: []string{exps[0], "77", exps[0]}}, 50); got != "b a" {
			t.Errorf("one experiment: %q", got)
		}
		_, body := s.send("POST", "logged-models/search", `{"experiment_ids":["`+exps[0]+`"],"max_results":0}`)
		var resp mlflow.SearchLoggedModelsResponse
		if err := json.Unmarshal([]byte(body), &resp); err != nil || len(resp.Models) != 2 || len(resp.Models[1].Data.Metrics) != 3 || len(resp.Models[1].Data.Params) != 1 {
			t.Errorf("max_results 0: %v %s", err, body)
		}
	})
}

func TestSearchesOfLoggedModelsByDataset(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exps := manyModels(s)
		for _, c := range []struct {
			filter, datasets, want string
		}{
			{"", "d/1", "c b a"},
			{"", "e/1", "a"},
			{"", "e/1 d/2", "a"},
			{"", "e/2", ""},
			{"", "e/", ""},
			{"metrics.acc > 0.8", "d/1", ""},
			{"metrics.acc > 0.8", "d/1 e/1", "a"},
			{"metrics.acc > 0.6", "d/1", "b"},
			{"max(metrics.acc) = 0.5", "d/1", "a"},
			{"name ILIKE 'A' OR metrics.acc > 0.6", "d/1", "b a"},
			{"name = 'c'", "e/1", ""}, // without a metric in the filter, models without the dataset are left out
			{"name = 'c'", "d/1", "c"},
		} {
			req := mlflow.SearchLoggedModelsRequest{ExperimentIDs: exps, Filter: c.filter}
			for d := range strings.FieldsSeq(c.datasets) {
				name, digest, _ := strings.Cut(d, "/")
				req.Datasets = append(req.Datasets, mlflow.LoggedModelDataset{DatasetName: name, DatasetDigest: digest})
			}
			if got := s.modelNames(req, 2); got != c.want {
				t.Errorf("%q on %s: %q, want %q", c.filter, c.datasets, got, c.want)
			}
		}
	})
}

func TestLoggedModelsAreSorted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exps := manyModels(s)
		up, down := mlflow.Some(true), mlflow.Some(false)
		type key = mlflow.LoggedModelOrder
		for _, c := range []struct {
			want  string
			order []key
		}{
			{"a b c d", []key{{FieldName: "name"}}},
			{"d c b a", []key{{FieldName: "attributes.name", Ascending: down}}},
			{"a b c d", []key{{FieldName: "creation_time", Ascending: up}}},
			{"b a d c", []key{{FieldName: "experiment_id"}}},
			{"d c a b", []key{{FieldName: "status"}}},
			{"b c a d", []key{{FieldName: "source_run_id", Ascending: down}, {FieldName: "last_updated_timestamp", Ascending: down}}},
			// The newest point counts: 0.9 of a, 0.1 of b. NaN comes before what is missing, in both directions.
			{"b a c d", []key{{FieldName: "metrics.acc"}}},
			{"a b c d", []key{{FieldName: "metrics.acc", Ascending: down}}},
			{"a b c d", []key{{FieldName: "metrics.acc", Ascending: down, DatasetName: "d"}}},
			{"b a c d", []key{{FieldName: "metrics.acc", DatasetName: "d", DatasetDigest: "1"}}},
			{"a d c b", []key{{FieldName: "metrics.acc", DatasetName: "e"}}},
			{"d c b a", []key{{FieldName: "metrics.acc", DatasetName: "none"}}},
			{"d c b a", []key{{FieldName: "metrics.none"}}},
			{"a d c b", []key{{FieldName: "metrics.loss"}, {FieldName: "metrics.none", Ascending: down}}},
			{"c d b a", []key{{FieldName: "metrics.val/loss"}}}, // the name as it is
			{"c d b a", []key{{FieldName: "metrics.`val/loss`"}}},
			{"a d c b", []key{{FieldName: "metrics.loss"}, {FieldName: "creation_timestamp", Ascending: down}}},
			{"a b c d", []key{{FieldName: "metrics.loss"}, {FieldName: "metrics.acc", Ascending: up}, {FieldName: "name"}}},
		} {
			for _, page := range []int64{1, 2, 3, 50} {
				if got := s.modelNames(mlflow.SearchLoggedModelsRequest{ExperimentIDs: exps, OrderBy: c.order}, page); got != c.want {
					t.Errorf("%+v by %d: %q, want %q", c.order, page, got, c.want)
				}
			}
		}
	})
}

func TestSearchesOfLoggedModelsStayInScope(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exps := manyModels(s)
		s.router.Policy = scoped{exps[1]}
		if got := s.modelNames(mlflow.SearchLoggedModelsRequest{ExperimentIDs: exps}, 1); got != "d c" {
			t.Errorf("in scope: %q", got)
		}
		s.router.Policy = scoped{}
		if got := s.modelNames(mlflow.SearchLoggedModelsRequest{ExperimentIDs: exps}, 1); got != "" {
			t.Errorf("nothing in scope: %q", got)
		}
	})
}

// A place in one list means nothing in another: a token goes with the search that gave it.
func TestTokensOfLoggedModelsGoWithTheirSearch(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exps := manyModels(s)
		req := mlflow.SearchLoggedModelsRequest{ExperimentIDs: exps, MaxResults: mlflow.Some[int64](1)}
		req.PageToken = ok[mlflow.SearchLoggedModelsResponse](s, "POST", "logged-models/search", req).NextPageToken
		for _, c := range []struct {
			message string
			change  func(*mlflow.SearchLoggedModelsRequest)
		}{
			{"Experiment IDs in the page token do not match", func(r *mlflow.SearchLoggedModelsRequest) { r.ExperimentIDs = exps[:1] }},
			{"Filter string in the page token does not match", func(r *mlflow.SearchLoggedModelsRequest) { r.Filter = "name = 'a'" }},
			{"Order by in the page token does not match", func(r *mlflow.SearchLoggedModelsRequest) {
				r.OrderBy = []mlflow.LoggedModelOrder{{FieldName: "creation_time"}}
			}},
			{"Invalid page token, could not base64-decode", func(r *mlflow.SearchLoggedModelsRequest) { r.PageToken = "!" }},
			{"Invalid page token, decoded value=", func(r *mlflow.SearchLoggedModelsRequest) { r.PageToken = "YWJj" }},
		} {
			other := req
			c.change(&other)
			body, err := json.Marshal(other)
			if err != nil {
				t.Fatal(err)
			}
			s.fails("POST", "logged-models/search", string(body), mlflow.CodeInvalidParameterValue, c.message)
		}
		req.MaxResults = mlflow.Some[int64](50) // may change
		if got := len(ok[mlflow.SearchLoggedModelsResponse](s, "POST", "logged-models/search", req).Models); got != 3 {
			t.Errorf("the page behind the token has %d models", got)
		}
	})
}

// Models of the same millisecond come in the order of their ids, each once.
func TestPagesOfLoggedModelsOfOneMoment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		want := map[string]bool{}
		for range 7 {
			want[s.model(`{"experiment_id":"0"}`).Info.ModelID] = true
		}
		got := map[string]bool{}
		req := mlflow.SearchLoggedModelsRequest{ExperimentIDs: []string{"0"}, MaxResults: mlflow.Some[int64](2)}
		for last := ""; ; {
			page := ok[mlflow.SearchLoggedModelsResponse](s, "POST", "logged-models/search", req)
			for _, m := range page.Models {
				if m.Info.ModelID <= last {
					t.Errorf("%s after %s", m.Info.ModelID, last)
				}
				last = m.Info.ModelID
				got[last] = true
			}
			if req.PageToken = page.NextPageToken; req.PageToken == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
