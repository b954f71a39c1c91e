package tracking_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func TestARunIsCreatedAsAsked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		status, body := s.send("POST", "runs/create", `{"user_id":"me","start_time":"0","tags":[{"key":"mlflow.runName","value":"n"},{"key":"a b/c","value":"1"},{"key":"a b/c","value":"2"}]}`)
		id := regexp.MustCompile(`"run_id":"([0-9a-f]{32})"`).FindStringSubmatch(body)
		if status != 200 || id == nil {
			t.Fatalf("%d %s", status, body)
		}
		want := strings.ReplaceAll(`{"run":{"info":{"run_id":"ID","run_uuid":"ID","run_name":"n","experiment_id":"0","user_id":"me","status":"RUNNING","start_time":0,`+
			`"artifact_uri":"mlflow-artifacts:/0/ID/artifacts","lifecycle_stage":"active"},"data":{"tags":[{"key":"mlflow.runName","value":"n"},{"key":"a b/c","value":"2"}]},"inputs":{}}}`, "ID", id[1])
		if diff := cmp.Diff(want, body); diff != "" {
			t.Error(diff)
		}
		_, body = s.send("GET", "runs/get", "run_uuid="+id[1])
		if diff := cmp.Diff(strings.Replace(want, `"inputs":{}`, `"inputs":{},"outputs":{}`, 1), body); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARunHasOneNameInItsInfoAndItsTag(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		check := func(run, want string) {
			t.Helper()
			got := s.get(run)
			tag, _ := tagOf(got, "mlflow.runName")
			if got.Info.RunName != want || tag != want {
				t.Errorf("name %q, tag %q, want %q", got.Info.RunName, tag, want)
			}
		}
		named := ok[mlflow.RunResponse](s, "POST", "runs/create", `{"experiment_id":0,"run_name":"first"}`).Run.Info
		if named.StartTime != 1_700_000_000_000 {
			t.Errorf("start time %d", named.StartTime)
		}
		check(named.RunID, "first")
		s.tag(named.RunID, "mlflow.runName", "second")
		check(named.RunID, "second")
		ok[empty](s, "POST", "runs/update", `{"run_id":"`+named.RunID+`","run_name":"third"}`)
		check(named.RunID, "third")
		ok[empty](s, "POST", "runs/log-batch", `{"run_id":"`+named.RunID+`","tags":[{"key":"mlflow.runName","value":"x"},{"key":"mlflow.runName","value":"fourth"}]}`)
		check(named.RunID, "fourth")
		ok[empty](s, "POST", "runs/delete-tag", `{"run_id":"`+named.RunID+`","key":"mlflow.runName"}`)
		if got := s.get(named.RunID).Info.RunName; got != "fourth" {
			t.Errorf("the name without its tag is %q", got)
		}
		generated := s.get(s.run("0")).Info.RunName
		if !regexp.MustCompile(`^[a-z]+-[a-z]+-\d{1,3}$`).MatchString(generated) || len(generated) > 20 {
			t.Errorf("generated name %q", generated)
		}
		s.fails("POST", "runs/create", `{"run_name":"a","tags":[{"key":"mlflow.runName","value":"b"}]}`, mlflow.CodeInvalidParameterValue,
			"Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='a', mlflow.runName='b').")
	})
}

func TestARunIsUpdatedDeletedAndRestored(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		info := ok[mlflow.UpdateRunResponse](s, "POST", "runs/update", `{"run_uuid":"`+run+`","status":"FINISHED","end_time":"1.5e12"}`).RunInfo
		if info.Status != mlflow.RunFinished || info.EndTime != 1_500_000_000_000 || info.RunUUID != run {
			t.Errorf("%+v", info)
		}
		info = ok[mlflow.UpdateRunResponse](s, "POST", "runs/update", `{"run_id":"`+run+`","status":1}`).RunInfo
		if info.Status != mlflow.RunRunning || info.EndTime != 1_500_000_000_000 {
			t.Errorf("%+v", info)
		}
		s.metric(run, "m", 1, 1, 1)
		for range 2 {
			ok[empty](s, "POST", "runs/delete", `{"run_id":"`+run+`"}`)
		}
		deleted := s.get(run)
		if deleted.Info.LifecycleStage != "deleted" || metricOf(deleted, "m") != "1@1/1" {
			t.Errorf("%+v", deleted)
		}
		for _, tc := range []struct{ path, rest string }{
			{"runs/update", `"status":"FAILED"`},
			{"runs/log-metric", `"key":"m","value":1,"timestamp":1`},
			{"runs/log-parameter", `"key":"p","value":"v"`},
			{"runs/set-tag", `"key":"t","value":"v"`},
			{"runs/delete-tag", `"key":"t"`},
			{"runs/log-batch", `"params":[]`},
			{"runs/log-model", `"model_json":"{\"artifact_path\":\"a\",\"flavors\":{},\"run_id\":\"r\",\"utc_time_created\":\"t\"}"`},
		} {
			s.fails("POST", tc.path, `{"run_id":"`+run+`",`+tc.rest+`}`, mlflow.CodeInvalidParameterValue,
				"The run "+run+" must be in the 'active' state. Current state is deleted.")
		}
		for range 2 {
			ok[empty](s, "POST", "runs/restore", `{"run_id":"`+run+`"}`)
		}
		if got := s.get(run).Info.LifecycleStage; got != "active" {
			t.Errorf("restored: %s", got)
		}
	})
}

func TestFaultsOfRunsHaveMLflowsMessages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		s.param(run, "p", "old")
		body := func(rest string) string { return `{"run_id":"` + run + `",` + rest + `}` }
		many := func(n int, item string) string {
			parts := make([]string, n)
			for i := range parts {
				parts[i] = fmt.Sprintf(item, i)
			}
			return "[" + strings.Join(parts, ",") + "]"
		}
		metrics := many(1001, `{"key":"k%d","value":1,"timestamp":1}`)
		params, tags := many(101, `{"key":"k%d","value":"v"}`), many(100, `{"key":"k%d","value":"v"}`)
		longKey := strings.Repeat("k", 251)
		for _, tc := range []struct {
			method, path, body string
			code               mlflow.ErrorCode
			message            string
		}{
			{"POST", "runs/create", `{"experiment_id":"77"}`, mlflow.CodeResourceDoesNotExist, "No Experiment with id=77 exists"},
			{"POST", "runs/create", `{"start_time":1.5}`, mlflow.CodeInvalidParameterValue, "Invalid value 1.5 for parameter 'start_time' supplied"},
			{"GET", "runs/get", "run_id=nope", mlflow.CodeResourceDoesNotExist, "Run with id=nope not found"},
			{"GET", "runs/get", "", mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'run_id'"},
			{"POST", "runs/delete", `{"run_id":"nope"}`, mlflow.CodeResourceDoesNotExist, "Run with id=nope not found"},
			{"POST", "runs/update", body(`"status":"DONE"`), mlflow.CodeInvalidParameterValue, "status"},
			{"POST", "runs/update", body(`"status":99`), mlflow.CodeInvalidParameterValue, "status"},
			{"POST", "runs/log-metric", body(`"key":"m","timestamp":1`), mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'value'"},
			{"POST", "runs/log-metric", body(`"key":"m","value":1`), mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'timestamp'"},
			{"POST", "runs/log-metric", body(`"key":"m","value":"x","timestamp":1`), mlflow.CodeInvalidParameterValue, "Invalid value"},
			{"POST", "runs/log-metric", body(`"key":"m","value":1,"timestamp":-1`), mlflow.CodeInvalidParameterValue, "Timestamp must be a nonnegative long (64-bit integer)"},
			{"POST", "runs/log-metric", body(`"key":"a;b","value":1,"timestamp":1`), mlflow.CodeInvalidParameterValue, `Invalid value "a;b" for parameter 'name' supplied: Names may only contain`},
			{"POST", "runs/log-metric", body(`"key":"` + longKey + `","value":1,"timestamp":1`), mlflow.CodeInvalidParameterValue, "'Metric name' exceeds the maximum length of 250 characters"},
			{"POST", "runs/log-metric", `{"run_id":"nope","key":"m","value":1,"timestamp":1}`, mlflow.CodeResourceDoesNotExist, "Run with id=nope not found"},
			{"POST", "runs/log-metric", body(`"key":"m","value":1,"timestamp":1,"model_id":"m-1"`), mlflow.CodeResourceDoesNotExist, "Logged model with ID 'm-1' not found"},
			{"POST", "runs/log-parameter", body(`"key":"../x","value":"v"`), mlflow.CodeInvalidParameterValue, "would resolve to '../x'"},
			{"POST", "runs/log-parameter", body(`"key":"a//b","value":"v"`), mlflow.CodeInvalidParameterValue, "would resolve to 'a/b'"},
			{"POST", "runs/log-parameter", body(`"key":"` + longKey + `"`), mlflow.CodeInvalidParameterValue, "'Param key' exceeds the maximum length of 250"},
			{"POST", "runs/log-parameter", body(`"key":"p","value":"a\u0000"`), mlflow.CodeInvalidParameterValue, "U+0000"},
			{"POST", "runs/log-parameter", body(`"key":"p","value":"new"`), mlflow.CodeInvalidParameterValue,
				"Changing param values is not allowed. Param with key='p' was already logged with value='old' for run ID='" + run + "'. Attempted logging new value 'new'."},
			{"POST", "runs/set-tag", body(`"key":"","value":"v"`), mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'key'"},
			{"POST", "runs/delete-tag", body(`"key":"fakeTag"`), mlflow.CodeResourceDoesNotExist, "No tag with name: fakeTag in run with id " + run},
			{"POST", "runs/log-batch", `{"run_id":"a b"}`, mlflow.CodeInvalidParameterValue, `Invalid value "a b" for parameter 'run_id' supplied.`},
			{"POST", "runs/log-batch", `{"run_id":"nope"}`, mlflow.CodeResourceDoesNotExist, "Run with id=nope not found: Run 'nope' not found"},
			{"POST", "runs/log-batch", body(`"metrics":"foo"`), mlflow.CodeInvalidParameterValue, `Invalid value "foo" for parameter 'metrics' supplied`},
			{"POST", "runs/log-batch", body(`"metrics":[{"key":"a","value":1}]`), mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'metrics[0].timestamp'"},
			{"POST", "runs/log-batch", body(`"params":[{"value":"v"}]`), mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'params[0].key'"},
			{"POST", "runs/log-batch", body(`"metrics":[{"key":"a","value":1,"timestamp":1},{"key":"?","value":1,"timestamp":1}]`), mlflow.CodeInvalidParameterValue, "for parameter 'metrics[1].name' supplied"},
			{"POST", "runs/log-batch", body(`"tags":[{"key":"/a"}]`), mlflow.CodeInvalidParameterValue, "for parameter 'tags[0].key' supplied"},
			{"POST", "runs/log-batch", body(`"metrics":` + metrics), mlflow.CodeInvalidParameterValue, "A batch logging request can contain at most 1000 metrics. Got 1001 metrics."},
			{"POST", "runs/log-batch", body(`"params":` + params), mlflow.CodeInvalidParameterValue, "A batch logging request can contain at most 100 params. Got 101 params."},
			{"POST", "runs/log-batch", body(`"tags":` + tags + `,"metrics":` + many(901, `{"key":"k%d","value":1,"timestamp":1}`)), mlflow.CodeInvalidParameterValue,
				"A batch logging request can contain at most 1000 metrics, params, and tags. Got 1001 metrics, params, and tags."},
			{"POST", "runs/log-batch", body(`"params":[{"key":"a","value":"1"},{"key":"b"},{"key":"a","value":"1"}]`), mlflow.CodeInvalidParameterValue,
				"Duplicate parameter keys have been submitted: ['a']. Please ensure"},
			{"POST", "runs/log-batch", body(`"params":[{"key":"p","value":"new"}]`), mlflow.CodeInvalidParameterValue,
				"Changing param values is not allowed. Params were already logged='[{'key': 'p', 'old_value': 'old', 'new_value': 'new'}]' for run ID='" + run + "'."},
			{"POST", "runs/log-model", body(`"model_json":"x"`), mlflow.CodeInvalidParameterValue, "Malformed model info. \n x \n is not a valid JSON."},
			{"POST", "runs/log-model", body(`"model_json":"{\"flavors\":{}}"`), mlflow.CodeInvalidParameterValue, "Model json is missing mandatory fields: {'artifact_path', 'run_id', 'utc_time_created'}"},
			{"POST", "runs/log-model", body(`"model_json":"{\"artifact_path\":\"a\",\"flavors\":{},\"run_id\":\"r\",\"utc_time_created\":\"t\",\"signature\":{\"inputs\":\"[]\"}}"`), mlflow.CodeInvalidParameterValue, "Creating Schema with empty inputs is not allowed."},
			{"POST", "runs/search", `{"experiment_ids":["0"],"max_results":123456789}`, mlflow.CodeInvalidParameterValue, "Invalid value 123456789 for parameter 'max_results' supplied:  Hint:"},
			{"POST", "runs/search", `{"experiment_ids":["0"],"filter":"foo = 'x'"}`, mlflow.CodeInvalidParameterValue, "Invalid attribute key 'foo'"},
			{"POST", "runs/search", `{"experiment_ids":["0"],"order_by":["metrics.a NULLS LAST"]}`, mlflow.CodeInvalidParameterValue, "order_by"},
			{"POST", "runs/search", `{"experiment_ids":["0"],"page_token":"?"}`, mlflow.CodeInvalidParameterValue, "Invalid page token, could not base64-decode"},
			{"POST", "runs/search", `{"experiment_ids":["0"],"page_token":"W10"}`, mlflow.CodeInvalidParameterValue, "Invalid page token, parsed value="},
			{"GET", "metrics/get-history", "run_id=" + run, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'metric_key'"},
			{"GET", "metrics/get-history", "metric_key=m&run_id=" + run + "&max_results=0", mlflow.CodeInvalidParameterValue, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer."},
			{"GET", "metrics/get-history", "metric_key=m&run_id=" + run + "&page_token=!", mlflow.CodeInvalidParameterValue, "Invalid page token, could not base64-decode"},
			{"GET", "metrics/get-history", "metric_key=m&run_id=" + run + "&page_token=YWJj", mlflow.CodeInvalidParameterValue, "Invalid page token, decoded value="},
			{"GET", "metrics/get-history", "metric_key=m&run_id=nope", mlflow.CodeResourceDoesNotExist, "Run with id=nope not found"},
			{"GET", "metrics/get-history", "metric_key=m&run_id=nope&run_id=" + run, mlflow.CodeResourceDoesNotExist, "Run with id=nope not found"}, // the first counts
			{"GET", "metrics/get-history-bulk", "metric_key=m", mlflow.CodeInvalidParameterValue, "GetMetricHistoryBulk request must specify at least one run_id."},
			{"GET", "metrics/get-history-bulk", "run_id=a", mlflow.CodeInvalidParameterValue, "GetMetricHistoryBulk request must specify a metric_key."},
			{"GET", "metrics/get-history-bulk", "metric_key=m" + strings.Repeat("&run_id=a", 101), mlflow.CodeInvalidParameterValue, "cannot specify more than 100 run_ids. Received 101 run_ids."},
			{"GET", "metrics/get-history-bulk-interval", "metric_key=m&run_ids=a&start_step=1", mlflow.CodeInvalidParameterValue, "If either start step or end step are specified, both must be specified."},
			{"GET", "metrics/get-history-bulk-interval", "metric_key=m&run_ids=a&start_step=3&end_step=1", mlflow.CodeInvalidParameterValue, "end_step must be greater than start_step. Found start_step=3 and end_step=1."},
			{"GET", "metrics/get-history-bulk-interval", "metric_key=m&run_ids=a&max_results=2501", mlflow.CodeInvalidParameterValue, "max_results must be between 1 and 2500"},
			{"GET", "/api/weir/v1/metrics/chart", "metric_key=m&run_id=a&axis=depth", mlflow.CodeInvalidParameterValue, "It must be 'step' or 'time'"},
			{"GET", "/api/weir/v1/metrics/chart", "metric_key=m&run_id=a&buckets=0", mlflow.CodeInvalidParameterValue, "It must be between 1 and 4000"},
		} {
			s.fails(tc.method, tc.path, tc.body, tc.code, tc.message)
		}
	})
}

func TestParamsAreLoggedOnceAndLongValuesAreCut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		long := strings.Repeat("ü", 6001)
		for range 2 {
			s.param(run, "long", long)
			s.param(run, "empty", "")
		}
		s.param(run, "long", long+"tail") // equal after the cut
		ok[empty](s, "POST", "runs/log-batch", `{"run_id":"`+run+`","params":[{"key":"empty"},{"key":"é_1 a-b.c:d/e","value":"v"}]}`)
		s.tag(run, "t", strings.Repeat("x", 8001))
		got := s.get(run)
		want := []mlflow.KeyValue{{Key: "long", Value: strings.Repeat("ü", 6000)}, {Key: "empty"}, {Key: "é_1 a-b.c:d/e", Value: "v"}}
		if diff := cmp.Diff(want, got.Data.Params); diff != "" {
			t.Error(diff)
		}
		if tag, _ := tagOf(got, "t"); len(tag) != 8000 {
			t.Errorf("the tag has %d characters", len(tag))
		}
	})
}

func TestABatchIsStoredWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		s.param(run, "p", "1")
		before := s.get(run)
		s.fails("POST", "runs/log-batch", `{"run_id":"`+run+`","metrics":[{"key":"m","value":1,"timestamp":1}],"tags":[{"key":"t","value":"v"}],
			"params":[{"key":"q","value":"1"},{"key":"p","value":"2"}]}`, mlflow.CodeInvalidParameterValue, "Changing param values")
		if diff := cmp.Diff(before, s.get(run)); diff != "" {
			t.Error(diff)
		}
		ok[empty](s, "POST", "runs/log-batch", `{"run_id":"`+run+`","metrics":[{"key":"m","value":1,"timestamp":1},{"key":"m","value":2,"timestamp":1}],
			"tags":[{"key":"t","value":"v"},{"key":"t","value":"w"}],"params":[{"key":"q","value":"1"}]}`)
		after := s.get(run)
		if tag, _ := tagOf(after, "t"); tag != "w" || metricOf(after, "m") != "2@0/1" || len(after.Data.Params) != 2 {
			t.Errorf("%+v", after.Data)
		}
		ok[empty](s, "POST", "runs/log-batch", `{"run_id":"`+run+`"}`)
	})
}

func TestLogModelKeepsTheHistoryOfModels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		for _, name := range []string{"a", `é😀\\\"\/`} {
			model := `{"utc_time_created":"now","run_id":"` + run + `","artifact_path":"` + name + `",
				"flavors":{"z":{"version":"0.2","config":{"secret":1},"n":[1.50,null,true]},"a":"text","e":{}},"other":1}`
			ok[empty](s, "POST", "runs/log-model", mlflow.LogModelRequest{RunID: run, ModelJSON: model})
		}
		// The text is the one that Python's json.dumps writes.
		item := func(name string) string {
			return `{"run_id": "` + run + `", "artifact_path": "` + name + `", "utc_time_created": "now", "model_uuid": null, ` +
				`"flavors": {"z": {"version": "0.2", "n": [1.50, null, true]}, "a": "text", "e": {}}}`
		}
		got, _ := tagOf(s.get(run), "mlflow.log-model.history")
		if diff := cmp.Diff("["+item("a")+", "+item(`\u00e9\ud83d\ude00\\\"/`)+"]", got); diff != "" {
			t.Error(diff)
		}
	})
}

// The whole tag is read and written with each model, so that it may not grow without end; and no answer repeats a body.
func TestTheHistoryOfModelsIsBounded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := s.run("0")
		log := func(version string) string {
			model := `{"utc_time_created":"now","run_id":"` + run + `","artifact_path":"a","flavors":{"crate":{"version":"` + version + `"}}}`
			body, err := json.Marshal(mlflow.LogModelRequest{RunID: run, ModelJSON: model})
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		large := log(strings.Repeat("1", 3<<20))
		ok[empty](s, "POST", "runs/log-model", large)
		s.fails("POST", "runs/log-model", large, mlflow.CodeInvalidParameterValue, "mlflow.log-model.history", "4194304 bytes")
		ok[empty](s, "POST", "runs/log-model", log("2"))
		tag, _ := tagOf(s.get(run), "mlflow.log-model.history")
		var history []struct {
			Flavors map[string]struct{ Version string }
		}
		if err := json.Unmarshal([]byte(tag), &history); err != nil || len(history) != 2 || history[1].Flavors["crate"].Version != "2" {
			t.Errorf("%d models, %v", len(history), err)
		}

		broken, _ := json.Marshal(mlflow.LogModelRequest{RunID: run, ModelJSON: strings.Repeat("[", 1<<20)})
		status, answer := s.send("POST", "/api/2.0/mlflow/runs/log-model", string(broken))
		if status != 400 || !strings.Contains(answer, "Malformed model info") || len(answer) > 2000 {
			t.Errorf("%d and %d bytes", status, len(answer))
		}
		s.tag(run, "mlflow.log-model.history", " [ ] ")
		ok[empty](s, "POST", "runs/log-model", log("3"))
		s.tag(run, "mlflow.log-model.history", "[1,}]")
		s.fails("POST", "runs/log-model", log("4"), mlflow.CodeInvalidParameterValue, "is not a JSON list")
	})
}

func TestTwoProcessesReadEachOthersWrites(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		a, b := newServer(t, sqldbtest.Open(t, uri)), newServer(t, sqldbtest.Open(t, uri))
		run := a.run(a.experiment("shared"))
		var wg sync.WaitGroup
		for i, s := range []*server{a, b} {
			for worker := range 4 {
				wg.Go(func() {
					for step := range 20 {
						s.metric(run, fmt.Sprint("m", worker), step, int64(i*1000+step), int64(step))
						s.param(run, fmt.Sprintf("p%d-%d", worker, step), "same")
						s.tag(run, fmt.Sprint("t", step), "v")
					}
				})
			}
		}
		wg.Wait()
		for _, s := range []*server{a, b} {
			got := s.get(run)
			if len(got.Data.Metrics) != 4 || len(got.Data.Params) != 80 || len(got.Data.Tags) != 21 {
				t.Errorf("%d metrics, %d params, %d tags", len(got.Data.Metrics), len(got.Data.Params), len(got.Data.Tags))
			}
			if v := metricOf(got, "m0"); v != "19@19/1019" {
				t.Errorf("latest value %s", v)
			}
			h := ok[mlflow.GetMetricHistoryResponse](s, "GET", "metrics/get-history", "metric_key=m3&run_id="+run)
			if len(h.Metrics) != 40 {
				t.Errorf("%d points of 40", len(h.Metrics))
			}
		}
	})
}

func TestOneOfManyValuesOfAParamWins(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		servers := []*server{newServer(t, sqldbtest.Open(t, uri)), newServer(t, sqldbtest.Open(t, uri))}
		run := servers[0].run("0")
		const n = 64
		status := make([]int, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				status[i], _ = servers[i%2].send("POST", "runs/log-parameter", fmt.Sprintf(`{"run_id":%q,"key":"p","value":"%d"}`, run, i))
			})
		}
		wg.Wait()
		won := -1
		for i, code := range status {
			switch {
			case code == 200 && won < 0:
				won = i
			case code != 400:
				t.Errorf("value %d: %d", i, code)
			}
		}
		if got := servers[0].get(run).Data.Params; len(got) != 1 || got[0].Value != fmt.Sprint(won) {
			t.Errorf("params %v, but %d was told that it won", got, won)
		}
	})
}
