package registry

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/mlflow"
)

func tag(key, value string) mlflow.KeyValue { return mlflow.KeyValue{Key: key, Value: value} }

// names collects a whole model search, page by page.
func (s *Store) names(t *testing.T, size int64, filter string, orderBy ...string) (names []string) {
	t.Helper()
	req := &mlflow.SearchRegisteredModelsRequest{Filter: filter, OrderBy: orderBy, MaxResults: mlflow.Some(size)}
	for {
		resp := must[mlflow.SearchRegisteredModelsResponse](t)(s.SearchRegisteredModels(t.Context(), req))
		if int64(len(resp.RegisteredModels)) > size {
			t.Fatalf("a page of %d holds %d", size, len(resp.RegisteredModels))
		}
		for _, m := range resp.RegisteredModels {
			names = append(names, m.Name)
		}
		if req.PageToken = resp.NextPageToken; req.PageToken == "" {
			return names
		}
	}
}

// found collects a whole version search as "name version".
func (s *Store) found(t *testing.T, size int64, filter string, orderBy ...string) (list []string) {
	t.Helper()
	req := &mlflow.SearchModelVersionsRequest{Filter: filter, OrderBy: orderBy, MaxResults: mlflow.Some(size)}
	for {
		resp := must[mlflow.ModelVersionsResponse](t)(s.SearchModelVersions(t.Context(), req))
		if int64(len(resp.ModelVersions)) > size {
			t.Fatalf("a page of %d holds %d", size, len(resp.ModelVersions))
		}
		for _, v := range resp.ModelVersions {
			list = append(list, v.Name+" "+v.Version)
		}
		if req.PageToken = resp.NextPageToken; req.PageToken == "" {
			return list
		}
	}
}

func TestSearchModels(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		s.addModel(t, "b", tag("k", "v"), tag("stage", "gold"))
		s.addModel(t, "a_1")
		s.addModel(t, "A%2", tag("k", "V"))
		s.addModel(t, "axe", tag("k", ""))
		s.addModel(t, "prompt", tag(promptTag, "true"), tag("k", "v"))
		s.addModel(t, "no prompt", tag(promptTag, "false"))
		s.addVersion(t, "b") // touches it
		for _, c := range []struct {
			filter string
			order  []string
			want   string
		}{
			{"", nil, "A%2 a_1 axe b no_prompt"},
			{"", []string{"name DESC"}, "no_prompt b axe a_1 A%2"},
			{"", []string{"timestamp DESC"}, "b no_prompt axe A%2 a_1"},
			{"", []string{"last_updated_timestamp ASC", "name"}, "a_1 A%2 axe no_prompt b"},
			{"name = 'b'", nil, "b"},
			{"name != 'b'", nil, "A%2 a_1 axe no_prompt"},
			{"name LIKE 'a%'", nil, "a_1 axe"},
			{"name LIKE 'a__'", nil, "a_1 axe"},
			{"name ILIKE 'A%'", nil, "A%2 a_1 axe"},
			{"name IN ('b', 'axe', 'x')", nil, "axe b"},
			{"name NOT IN ('b', 'axe')", nil, "A%2 a_1 no_prompt"},
			{"tags.k = 'v'", nil, "b"},
			{"tags.k != 'v'", nil, "A%2 axe"},
			{"tags.k ILIKE 'v'", nil, "A%2 b"},
			{"tags.k = 'v' AND tag.stage LIKE '%old'", nil, "b"},
			{"tags.k = 'v' AND tags.k = 'V'", nil, ""},
			{"tags.k IS NULL", nil, "a_1 no_prompt"},
			{"tags.k IS NOT NULL AND tags.k NOT LIKE 'v'", nil, "A%2 axe"},
			{"NOT tags.k = 'v'", nil, "A%2 a_1 axe no_prompt"},
			{"name = 'b' OR (tags.k = '' AND name != 'x')", nil, "axe b"},
			{"tags.`mlflow.prompt.is_prompt` = 'true'", nil, "prompt"},
			{"tags.`mlflow.prompt.is_prompt` != 'false' AND tags.k = 'v'", nil, "prompt"},
			{"tags.`mlflow.prompt.is_prompt` != 'true'", nil, "A%2 a_1 axe b no_prompt"},
			{"tag.`mlflow.prompt.is_prompt` = 'false'", nil, "A%2 a_1 axe b no_prompt"},
		} {
			for _, size := range []int64{1, 2, 3, 100} {
				got := strings.ReplaceAll(strings.Join(s.names(t, size, c.filter, c.order...), "|"), " ", "_")
				if want := strings.ReplaceAll(c.want, " ", "|"); got != want {
					t.Errorf("%s %v by %d: got %s, want %s", c.filter, c.order, size, got, want)
				}
			}
		}
		ctx := t.Context()
		for _, req := range []*mlflow.SearchRegisteredModelsRequest{
			{MaxResults: mlflow.Some(int64(1001))}, {MaxResults: mlflow.Some(int64(0))}, {Filter: "model_name = 'x'"}, {OrderBy: []string{"version"}},
			{OrderBy: []string{"name", "name DESC"}}, {PageToken: "@"}, {PageToken: "e30="}, {PageToken: "bm9uc2Vuc2U="}, {Filter: "name = 'a\x00'"},
		} {
			_, err := s.SearchRegisteredModels(ctx, req)
			refused(t, err, mlflow.CodeInvalidParameterValue, "")
		}
	})
}

func TestPromptsAndModelsShareNames(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		s.addModel(t, "m")
		s.addModel(t, "p", tag(promptTag, "true"))
		for _, c := range []struct {
			name   string
			prompt bool
			want   string
		}{
			{"p", true, "Prompt (name=p) already exists."}, {"m", false, "Registered Model (name=m) already exists."},
			{"p", false, "Tried to create a registered model with name 'p', but the name is already taken by a prompt."},
			{"m", true, "Tried to create a prompt with name 'm', but the name is already taken by a registered model."},
		} {
			req := &mlflow.CreateRegisteredModelRequest{Name: c.name}
			if c.prompt {
				req.Tags = []mlflow.KeyValue{tag(promptTag, "true")}
			}
			_, err := s.CreateRegisteredModel(ctx, req)
			refused(t, err, mlflow.CodeResourceAlreadyExists, c.want)
		}
	})
}

func TestSearchVersions(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		for _, name := range []string{"b", "a", "p"} {
			s.addModel(t, name)
		}
		for _, v := range []*mlflow.CreateModelVersionRequest{
			{Name: "a", Source: "s3://x/1", RunID: "r1"}, {Name: "b", Source: "s3://y/1", RunID: "r2"}, {Name: "a", Source: "s3://x/2", Tags: []mlflow.KeyValue{tag("k", "v")}},
			{Name: "p", Source: "prompt-template", Tags: []mlflow.KeyValue{tag(promptTag, "true")}}, {Name: "b", Source: "s3://y/2", RunID: "r1"},
		} {
			must[mlflow.ModelVersionResponse](t)(s.CreateModelVersion(ctx, v))
		}
		must[mlflow.ModelVersionResponse](t)(s.UpdateModelVersion(ctx, &mlflow.UpdateModelVersionRequest{Name: "a", Version: "1"}))
		for _, c := range []struct {
			filter string
			order  []string
			want   string
		}{
			{"", nil, "a1 b2 a2 b1"},
			{"", []string{"name"}, "a2 a1 b2 b1"},
			{"", []string{"name DESC", "version_number ASC"}, "b1 b2 a1 a2"},
			{"", []string{"version_number"}, "a1 b1 a2 b2"},
			{"", []string{"creation_timestamp"}, "a1 b1 a2 b2"},
			{"", []string{"last_updated_timestamp"}, "b1 a2 b2 a1"},
			{"name = 'a'", nil, "a1 a2"},
			{"name LIKE '%'", nil, "a1 b2 a2 b1"},
			{"name='a' AND version_number=1", nil, "a1"},
			{"version_number > 1.5", nil, "b2 a2"},
			{"version_number != '1'", nil, "b2 a2"},
			{"version_number BETWEEN 1 AND 1", nil, "a1 b1"},
			{"run_id = 'r1'", nil, "a1 b2"},
			{"run_id != 'r1'", nil, "a2 b1"},
			{"run_id IN ('r1', 'r2')", nil, "a1 b2 b1"},
			{"run_id NOT IN ('r1')", nil, "a2 b1"},
			{"source_path LIKE 's3://x/%'", nil, "a1 a2"},
			{"tags.k = 'v'", nil, "a2"},
			{"tags.k = 'v' OR source_path = 's3://y/1'", nil, "a2 b1"},
			{"NOT (name = 'a' OR version_number < 2)", nil, "b2"},
			{"tags.`mlflow.prompt.is_prompt` = 'true'", nil, "p1"},
			{"tags.`mlflow.prompt.is_prompt` != 'true' AND name = 'p'", nil, ""},
		} {
			for _, size := range []int64{1, 3, 1000} {
				got := strings.ReplaceAll(strings.Join(s.found(t, size, c.filter, c.order...), "|"), " ", "")
				if want := strings.ReplaceAll(c.want, " ", "|"); got != want {
					t.Errorf("%s %v by %d: got %s, want %s", c.filter, c.order, size, got, want)
				}
			}
		}
		all := must[mlflow.ModelVersionsResponse](t)(s.SearchModelVersions(ctx, &mlflow.SearchModelVersionsRequest{}))
		if len(all.ModelVersions) != 4 || all.NextPageToken != "" {
			t.Errorf("without a limit: %d versions, token %q", len(all.ModelVersions), all.NextPageToken)
		}
		_, err := s.SearchModelVersions(ctx, &mlflow.SearchModelVersionsRequest{MaxResults: mlflow.Some(int64(-1))})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Invalid value for max_results. It must be a positive integer, but got -1")
		_, err = s.SearchModelVersions(ctx, &mlflow.SearchModelVersionsRequest{MaxResults: mlflow.Some(int64(200_001))})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Invalid value 200001 for parameter 'max_results' supplied")
	})
}

func TestPagesSurviveChanges(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		for i := range 9 {
			s.addModel(t, fmt.Sprintf("m%d", i))
		}
		req := &mlflow.SearchRegisteredModelsRequest{MaxResults: mlflow.Some(int64(4))}
		first := must[mlflow.SearchRegisteredModelsResponse](t)(s.SearchRegisteredModels(ctx, req))
		// Rows before and at the place go, one comes: the next page goes on behind the last row that was seen.
		for _, name := range []string{"m0", "m3"} {
			must[mlflow.Empty](t)(s.DeleteRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: name}))
		}
		s.addModel(t, "m11")
		req.PageToken = first.NextPageToken
		second := must[mlflow.SearchRegisteredModelsResponse](t)(s.SearchRegisteredModels(ctx, req))
		var got []string
		for _, m := range second.RegisteredModels {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff([]string{"m4", "m5", "m6", "m7"}, got); diff != "" {
			t.Error(diff)
		}
		req.Filter = "name != 'm5'"
		_, err := s.SearchRegisteredModels(ctx, req)
		refused(t, err, mlflow.CodeInvalidParameterValue, "Invalid page token: it belongs to another filter or order")
	})
}

// only lets an actor see some models.
type only []string

func (o only) Allow(context.Context, api.Actor, api.Permission, string) error { return nil }
func (o only) Scope(context.Context, api.Actor, string) api.Scope             { return api.Scope{IDs: o} }

func TestSearchesStayInTheScope(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		for _, name := range []string{"a", "b", "c", "d"} {
			s.addModel(t, name)
			s.addVersion(t, name)
		}
		for _, c := range []struct {
			scope only
			want  string
		}{{only{"d", "b"}, "b d"}, {only{}, ""}, {only{"x' or '1'='1"}, ""}} {
			status, body := call(t, s, c.scope, "GET", "registered-models/search?max_results=2", "")
			if got := strings.Join(namesIn(body), " "); status != 200 || got != c.want {
				t.Errorf("models in %q: %d %s", c.scope, status, body)
			}
			status, body = call(t, s, c.scope, "GET", "model-versions/search?order_by=name&max_results=2", "")
			if got := strings.Join(namesIn(body), " "); status != 200 || got != c.want {
				t.Errorf("versions in %q: %d %s", c.scope, status, body)
			}
		}
	})
}

// TestSearchesAgreeWithMatch is the law that SQL finds what search.Match finds.
func TestSearchesAgreeWithMatch(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		values := []string{"", "a", "A", "ab", "a_b", "a%b", "b", `a\b`}
		rows := map[string]row{}
		for i, name := range []string{"a", "A", "ab", "a_b", "a%b", "b", `a\b`, "ba"} {
			var tags []mlflow.KeyValue
			r := row{"name": name}
			if i%3 > 0 {
				tags, r["k"] = append(tags, tag("k", values[i])), values[i]
			}
			if i%2 > 0 {
				tags, r["l"] = append(tags, tag("l", "a")), "a"
			}
			s.addModel(t, name, tags...)
			rows[name] = r
		}
		rapid.Check(t, func(rt *rapid.T) {
			filter := drawFilter(rt, 3)
			e, err := search.RegisteredModels.Parse(filter, search.Options{})
			if err != nil {
				rt.Fatalf("%s: %v", filter, err)
			}
			var want []string
			for name, r := range rows {
				if search.Match(e, r) {
					want = append(want, name)
				}
			}
			slices.Sort(want)
			if got := s.names(t, 3, filter); !slices.Equal(got, want) {
				rt.Fatalf("%s\n got  %q\n want %q", filter, got, want)
			}
		})
	})
}

type row map[string]string

func (r row) Texts(_ search.Entity, key string) []string {
	if v, ok := r[key]; ok {
		return []string{v}
	}
	return nil
}

func (r row) Numbers(search.Entity, string, search.Fold) []float64 { return nil }

func drawFilter(t *rapid.T, depth int) string {
	if depth > 0 {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return "NOT (" + drawFilter(t, depth-1) + ")"
		case 1:
			return "(" + drawFilter(t, depth-1) + ") AND (" + drawFilter(t, depth-1) + ")"
		case 2:
			return "(" + drawFilter(t, depth-1) + ") OR (" + drawFilter(t, depth-1) + ")"
		}
	}
	target := rapid.SampledFrom([]string{"name", "tags.k", "tags.l"}).Draw(t, "target")
	value := "'" + rapid.SampledFrom([]string{"", "a", "A", "a_", "a%", "%b", "_", "%", `a\b`, `a\%`, "a_b"}).Draw(t, "value") + "'"
	switch op := rapid.SampledFrom([]string{"=", "!=", "LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"}).Draw(t, "op"); op {
	case "IN", "NOT IN":
		return target + " " + op + " (" + value + ", 'ab')"
	case "IS NULL", "IS NOT NULL":
		return target + " " + op
	default:
		return target + " " + op + " " + value
	}
}

func FuzzPageToken(f *testing.F) {
	f.Add("")
	f.Add(base64.StdEncoding.EncodeToString([]byte(`{"q":"","a":["x",1]}`)))
	f.Add(base64.StdEncoding.EncodeToString([]byte(`{"q":null,"a":[null,{}]}`)))
	f.Fuzz(func(t *testing.T, token string) {
		for _, of := range []*searched{models, versions} {
			q := &query{of: of, keys: slices.Concat(of.first, of.order)}
			after, err := q.readToken(token)
			if err != nil && mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
				t.Fatal(err)
			}
			if err == nil && token != "" && len(after) != len(q.keys) {
				t.Fatalf("%q gives %v", token, after)
			}
		}
	})
}
