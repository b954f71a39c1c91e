package tracking_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

func dataset(name, digest string) mlflow.Dataset {
	return mlflow.Dataset{Name: name, Digest: digest, SourceType: "local", Source: `{"uri":"` + name + `"}`}
}

func (s *server) logInputs(run string, datasets ...mlflow.DatasetInput) {
	s.t.Helper()
	ok[empty](s, "POST", "runs/log-inputs", mlflow.LogInputsRequest{RunID: run, Datasets: datasets})
}

// uses names the datasets of a run with the contexts of their use.
func uses(run mlflow.Run) string {
	var list []string
	for _, in := range run.Inputs.DatasetInputs {
		text := in.Dataset.Name + "/" + in.Dataset.Digest
		for _, t := range in.Tags {
			text += "," + t.Key + "=" + t.Value
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func purpose(value string) []mlflow.KeyValue {
	return []mlflow.KeyValue{{Key: "mlflow.data.context", Value: value}}
}

func TestInputsOfRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exp := s.experiment("e")
		run, other := s.run(exp), s.run(exp)
		full := dataset("z", "1")
		full.Schema, full.Profile = `{"a":"ü <b>"}`, `{"n":1}`
		s.logInputs(run,
			mlflow.DatasetInput{Dataset: full, Tags: []mlflow.KeyValue{{Key: "k", Value: "1"}, {Key: "mlflow.data.context", Value: "train & <test>"}, {Key: "k", Value: "2"}}},
			mlflow.DatasetInput{Dataset: dataset("a", "2")},
			mlflow.DatasetInput{Dataset: mlflow.Dataset{Name: "z", Digest: "1", SourceType: "x", Source: "x"}, Tags: purpose("again")})
		want := "z/1,k=2,mlflow.data.context=train & <test> a/2"
		if got := uses(s.get(run)); got != want {
			t.Errorf("inputs: %s, want %s", got, want)
		}
		if diff := cmp.Diff(full, s.get(run).Inputs.DatasetInputs[0].Dataset); diff != "" {
			t.Errorf("dataset: %s", diff)
		}

		// A dataset keeps its first description, a use its first tags; datasets of other experiments are others.
		changed := full
		changed.Source, changed.Profile = "new", "new"
		s.logInputs(run, mlflow.DatasetInput{Dataset: changed, Tags: purpose("new")}, mlflow.DatasetInput{Dataset: dataset("z", "2")})
		if got := uses(s.get(run)); got != want+" z/2" {
			t.Errorf("after a second call: %s", got)
		}
		s.logInputs(other, mlflow.DatasetInput{Dataset: changed, Tags: purpose("new")})
		if got := s.get(other).Inputs.DatasetInputs[0]; got.Dataset != full || got.Tags[0].Value != "new" {
			t.Errorf("the other run reads %+v", got)
		}
		elsewhere := s.run("0")
		s.logInputs(elsewhere, mlflow.DatasetInput{Dataset: changed})
		if got := s.get(elsewhere).Inputs.DatasetInputs[0].Dataset; got != changed {
			t.Errorf("the other experiment has %+v", got)
		}
		status, body := s.send("GET", "runs/get", "run_id="+elsewhere)
		if status != 200 || !strings.HasSuffix(body, `"inputs":{"dataset_inputs":[{"dataset":{"name":"z","digest":"1","source_type":"local","source":"new","schema":"{\"a\":\"ü <b>\"}","profile":"new"}}]},"outputs":{}}}`) {
			t.Errorf("%d %s", status, body)
		}

		found := ok[mlflow.SearchRunsResponse](s, "POST", "runs/search", mlflow.SearchRunsRequest{ExperimentIDs: []string{exp}}).Runs
		if len(found) != 2 {
			t.Fatalf("%d runs", len(found))
		}
		for _, r := range found {
			if diff := cmp.Diff(s.get(r.Info.RunID), r); diff != "" {
				t.Errorf("a found run differs: %s", diff)
			}
		}
	})
}

func TestModelsOfRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		ok[empty](s, "POST", "runs/log-inputs", `{"run_id":"`+run+`","models":[{"model_id":"m-2"},{"model_id":"m-1"},{"model_id":"m-2"}]}`)
		ok[empty](s, "POST", "runs/outputs", `{"run_id":"`+run+`","models":[{"model_id":"m-2","step":4},{"model_id":"m-3"}]}`)
		ok[empty](s, "POST", "runs/outputs", `{"run_uuid":"`+run+`","run_id":"`+run+`","models":[{"model_id":"m-2","step":"5"}]}`)
		ok[empty](s, "POST", "runs/outputs", `{"run_id":"`+run+`","models":[]}`)
		r := s.get(run)
		if diff := cmp.Diff([]mlflow.ModelInput{{ModelID: "m-2"}, {ModelID: "m-1"}}, r.Inputs.ModelInputs); diff != "" {
			t.Errorf("inputs: %s", diff)
		}
		if diff := cmp.Diff([]mlflow.ModelOutput{{ModelID: "m-2", Step: 5}, {ModelID: "m-3"}}, r.Outputs.ModelOutputs); diff != "" {
			t.Errorf("outputs: %s", diff)
		}
		if _, body := s.send("GET", "runs/get", "run_id="+run); !strings.Contains(body, `"model_outputs":[{"model_id":"m-2","step":5},{"model_id":"m-3","step":0}]`) {
			t.Errorf("%s", body)
		}
	})
}

func TestFaultsOfInputs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run, gone := s.run("0"), s.run("0")
		ok[empty](s, "POST", "runs/delete", `{"run_id":"`+gone+`"}`)
		input := func(dataset, tags string) string {
			return `{"run_id":"` + run + `","datasets":[{"dataset":` + dataset + `,"tags":[` + tags + `]}]}`
		}
		const good = `{"name":"n","digest":"d","source_type":"t","source":"s"}`
		for _, c := range []struct {
			path, body string
			code       mlflow.ErrorCode
			text       string
		}{
			{"runs/log-inputs", `{"run_id":"no such!"}`, mlflow.CodeInvalidParameterValue, "Invalid value \"no such!\" for parameter 'run_id' supplied."},
			{"runs/log-inputs", `{"run_id":"` + strings.Repeat("0", 32) + `"}`, mlflow.CodeResourceDoesNotExist, "not found"},
			{"runs/log-inputs", `{"run_id":"` + gone + `"}`, mlflow.CodeInvalidParameterValue, "The run " + gone + " must be in the 'active' state. Current state is deleted."},
			{"runs/outputs", `{"run_id":"` + gone + `","models":[]}`, mlflow.CodeInvalidParameterValue, "must be in the 'active' state"},
			{"runs/outputs", `{"run_id":"` + run + `"}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'models'"},
			{"runs/outputs", `{"run_id":"` + run + `","models":[{"step":1}]}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'models[0].model_id'"},
			{"runs/outputs", `{"run_id":"` + run + `","models":[{"model_id":"` + strings.Repeat("m", 257) + `"}]}`, mlflow.CodeInvalidParameterValue, "exceeds"},
			{"runs/log-inputs", input(`{"digest":"d","source_type":"t","source":"s"}`, ``), mlflow.CodeInvalidParameterValue, "'datasets[0].dataset.name'"},
			{"runs/log-inputs", input(`{"name":"n","digest":"d","source_type":"t"}`, ``), mlflow.CodeInvalidParameterValue, "'datasets[0].dataset.source'"},
			{"runs/log-inputs", input(good, `{"value":"v"}`), mlflow.CodeInvalidParameterValue, "'datasets[0].tags[0].key'"},
			{"runs/log-inputs", input(good, `{"key":"`+strings.Repeat("k", 256)+`","value":"v"}`), mlflow.CodeInvalidParameterValue, "exceeds the maximum length of 255 characters"},
			{"runs/log-inputs", input(good, `{"key":"k","value":"`+strings.Repeat("ü", 501)+`"}`), mlflow.CodeInvalidParameterValue, "exceeds the maximum length of 500 characters"},
			{"runs/log-inputs", input(strings.Replace(good, `"n"`, `"`+strings.Repeat("n", 501)+`"`, 1), ``), mlflow.CodeInvalidParameterValue, "exceeds the maximum length of 500 characters"},
			{"runs/log-inputs", input(strings.Replace(good, `"d"`, `"`+strings.Repeat("d", 37)+`"`, 1), ``), mlflow.CodeInvalidParameterValue, "exceeds the maximum length of 36 characters"},
			{"runs/log-inputs", input(strings.Replace(good, `"s"}`, `"`+strings.Repeat("s", 65536)+`"}`, 1), ``), mlflow.CodeInvalidParameterValue, "exceeds the maximum length of 65535 characters"},
			{"experiments/search-datasets", `{}`, mlflow.CodeInvalidParameterValue, "SearchDatasets request must specify at least one experiment_id."},
			{"experiments/search-datasets", `{"experiment_ids":["` + strings.Repeat(`1","`, 20) + `2"]}`, mlflow.CodeInvalidParameterValue, "more than 20 experiment_ids. Received 21"},
		} {
			s.fails("POST", c.path, c.body, c.code, c.text)
		}
		if r := s.get(run); len(r.Inputs.DatasetInputs) != 0 || len(r.Outputs.ModelOutputs) != 0 {
			t.Errorf("refused calls store %+v %+v", r.Inputs, r.Outputs)
		}
		// As long as may be.
		ok[empty](s, "POST", "runs/log-inputs", input(`{"name":"`+strings.Repeat("ü", 500)+`","digest":"`+strings.Repeat("ü", 36)+`","source_type":"t","source":"`+
			strings.Repeat("s", 65535)+`"}`, `{"key":"mlflow.data.context","value":"`+strings.Repeat("ü", 500)+`"}`))
	})
}

func TestRunsAreFoundByTheirDatasets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		one, two := s.experiment("one"), s.experiment("two")
		names := map[string]string{}
		add := func(exp, name string, in ...mlflow.DatasetInput) {
			s.clock.Add(1)
			run := s.run(exp)
			names[run] = name
			s.param(run, "n", name)
			if len(in) > 0 {
				s.logInputs(run, in...)
			}
		}
		iris, wine := dataset("Iris", "1"), dataset("wine", "2")
		add(one, "a", mlflow.DatasetInput{Dataset: iris, Tags: purpose("train")}, mlflow.DatasetInput{Dataset: wine, Tags: purpose("eval")})
		add(one, "b", mlflow.DatasetInput{Dataset: iris})
		add(one, "c")
		add(two, "d", mlflow.DatasetInput{Dataset: dataset("Iris", "9"), Tags: purpose("train")})
		for _, c := range []struct{ filter, want string }{
			{"dataset.name = 'Iris'", "d b a"},
			{"dataset.name = 'iris'", ""},
			{"datasets.name ILIKE 'iris'", "d b a"},
			{"dataset.name LIKE 'w%'", "a"},
			{"dataset.name IN ('Iris', 'none')", "d b a"},
			{"dataset.name NOT IN ('Iris')", "a"},
			{"dataset.name != 'Iris'", "a"}, // some dataset of the run has another name
			{"dataset.digest = '1'", "b a"},
			{"dataset.context = 'train'", "d a"},
			{"dataset.context != 'train'", "a"},
			{"dataset.context ILIKE 'TRAIN' AND dataset.name ILIKE 'WINE'", "a"},
			{"dataset.name = 'wine' AND dataset.context = 'train'", "a"}, // each for some dataset
			{"dataset.name = 'Iris' AND params.n = 'b'", "b"},
			{"dataset.name = 'Iris' AND dataset.digest = '9'", "d"},
			{"NOT (dataset.name = 'Iris')", "c"},
			{"dataset.name = 'wine' OR params.n = 'c'", "c a"},
			{"dataset.name = 'none'", ""},
		} {
			for _, page := range []int64{1, 50} {
				var got []string
				req := mlflow.SearchRunsRequest{ExperimentIDs: []string{one, two}, Filter: c.filter, MaxResults: mlflow.Some(page)}
				for {
					answer := ok[mlflow.SearchRunsResponse](s, "POST", "runs/search", req)
					for _, r := range answer.Runs {
						got = append(got, names[r.Info.RunID])
					}
					if req.PageToken = answer.NextPageToken; req.PageToken == "" {
						break
					}
				}
				if list := strings.Join(got, " "); list != c.want {
					t.Errorf("%q by %d: %q, want %q", c.filter, page, list, c.want)
				}
			}
		}
		s.fails("POST", "runs/search", `{"experiment_ids":["`+one+`"],"filter":"dataset.foo = 'x'"}`, mlflow.CodeInvalidParameterValue, "Invalid dataset key 'foo'")
		s.fails("POST", "runs/search", `{"experiment_ids":["`+one+`"],"order_by":["dataset.name"]}`, mlflow.CodeInvalidParameterValue, "order_by")

		summaries := func(ids ...string) string {
			var list []string
			for _, d := range ok[mlflow.SearchDatasetsResponse](s, "POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", mlflow.SearchDatasetsRequest{ExperimentIDs: ids}).DatasetSummaries {
				list = append(list, fmt.Sprintf("%s/%s/%s:%s", map[string]string{one: "one", two: "two"}[d.ExperimentID], d.Name, d.Digest, d.Context))
			}
			slices.Sort(list)
			return strings.Join(list, " ")
		}
		if got := summaries(one, two, "77"); got != "one/Iris/1: one/Iris/1:train one/wine/2:eval two/Iris/9:train" {
			t.Errorf("datasets: %s", got)
		}
		if status, body := s.send("POST", "experiments/search-datasets", `{"experiment_ids":["0"]}`); status != 200 || body != "{}" {
			t.Errorf("no datasets: %d %s", status, body)
		}
		s.router.Policy = scoped{two}
		if got := summaries(one, two); got != "two/Iris/9:train" {
			t.Errorf("in scope: %s", got)
		}
	})
}

// Runs that name the same new datasets in different orders do not stop each other.
func TestManyRunsReadTheSameDatasets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		const n = 16
		results := make(chan string, n)
		var runs []string
		for range n {
			runs = append(runs, s.run("0"))
		}
		for i, run := range runs {
			go func() {
				var in []string
				for d := range 10 {
					in = append(in, fmt.Sprintf(`{"dataset":{"name":"d%d","digest":"x","source_type":"t","source":"s"}}`, d))
				}
				if i%2 == 1 {
					slices.Reverse(in)
				}
				status, body := s.send("POST", "runs/log-inputs", `{"run_id":"`+run+`","datasets":[`+strings.Join(in, ",")+`]}`)
				results <- fmt.Sprint(status, body)
			}()
		}
		for range n {
			if got := <-results; got != "200{}" {
				t.Error(got)
			}
		}
		if got := uses(s.get(runs[1])); !strings.HasPrefix(got, "d9/x d8/x") {
			t.Errorf("not in the order of the request: %s", got)
		}
		summary := ok[mlflow.SearchDatasetsResponse](s, "POST", "experiments/search-datasets", `{"experiment_ids":["0"]}`).DatasetSummaries
		if len(summary) != 10 {
			t.Errorf("%d datasets", len(summary))
		}
	})
}
