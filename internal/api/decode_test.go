package api

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

// echo mounts a route that remembers the request it decoded.
func echo[Req any](t *testing.T, method string) (call func(target, body string) (int, mlflow.Error), got func() *Req) {
	t.Helper()
	var last *Req
	rt := &Router{}
	Handle(rt, method+" mlflow/test", Public, func(_ context.Context, req *Req) (*mlflow.Empty, error) {
		last = req
		return &mlflow.Empty{}, nil
	})
	call = func(query, body string) (int, mlflow.Error) {
		r := httptest.NewRequest(method, "/api/2.0/mlflow/test"+query, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		var e mlflow.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
			t.Fatalf("answer %q is no JSON: %v", w.Body, err)
		}
		return w.Code, e
	}
	return call, func() *Req { return last }
}

func sameFloat(a, b mlflow.Float) bool {
	return a == b || (math.IsNaN(float64(a)) && math.IsNaN(float64(b)))
}

func TestDecodeReadsWhatClientsSend(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       mlflow.LogMetricRequest
	}{
		{
			"numbers", `{"run_id":"r","key":"k","value":1.5,"timestamp":7,"step":3}`,
			mlflow.LogMetricRequest{RunID: "r", Key: "k", Value: 1.5, Timestamp: 7, Step: 3},
		},
		{
			"R's texts", `{"run_uuid":"r","run_id":"r","key":"k","value":"0.3","timestamp":"1.6e+12","step":"1e+05"}`,
			mlflow.LogMetricRequest{RunID: "r", Key: "k", Value: 0.3, Timestamp: 1600000000000, Step: 100000},
		},
		{
			"run_uuid alone", `{"run_uuid":"u","key":"k","value":"NaN","timestamp":3.0,"step":null}`,
			mlflow.LogMetricRequest{RunID: "u", Key: "k", Value: mlflow.Float(math.NaN()), Timestamp: 3},
		},
		{
			"infinities", `{"run_id":"u","key":"k","value":"-Infinity","timestamp":0,"step":"-2"}`,
			mlflow.LogMetricRequest{RunID: "u", Key: "k", Value: mlflow.Float(math.Inf(-1)), Step: -2},
		},
		{
			"camel case, unknown fields and a repeated key", `{"run_id":"a","run_id":"b","key":"k","value":true,"timestamp":1,"modelId":"m","x":[{}]}`,
			mlflow.LogMetricRequest{RunID: "b", Key: "k", Value: 1, Timestamp: 1, ModelID: "m"},
		},
		{
			"JSON in a JSON text", `"{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":1}"`,
			mlflow.LogMetricRequest{RunID: "r", Key: "k", Value: 1, Timestamp: 1},
		},
		{
			"Python's NaN", "\ufeff" + `{"run_id":"r","key":"k","value":NaN,"timestamp":1}`, // behind the mark of Windows
			mlflow.LogMetricRequest{RunID: "r", Key: "k", Value: mlflow.Float(math.NaN()), Timestamp: 1},
		},
		{
			"the greatest int64", `{"run_id":"r","key":"k","value":0,"timestamp":9223372036854775807}`,
			mlflow.LogMetricRequest{RunID: "r", Key: "k", Timestamp: math.MaxInt64},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			call, got := echo[mlflow.LogMetricRequest](t, "POST")
			if status, e := call("", tt.body); status != 200 {
				t.Fatalf("status %d: %s", status, e.Message)
			}
			if diff := cmp.Diff(&tt.want, got(), cmp.Comparer(sameFloat)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeNamesTheFirstFault(t *testing.T) {
	t.Parallel()
	const docs = " See the API docs for more information about request parameters."
	tests := []struct{ name, body, want string }{
		{"no JSON is an empty object", `{"run_id":`, "Missing value for required parameter 'run_id'." + docs},
		{"text after the object", `{"run_id":"r"} x`, "Missing value for required parameter 'run_id'." + docs},
		{"empty text is missing", `{"run_id":""}`, "Missing value for required parameter 'run_id'." + docs},
		{"camel case of a required field", `{"runId":"r"}`, "Missing value for required parameter 'run_id'." + docs},
		{"a number for a text", `{"run_id":31}`, "Invalid value 31 for parameter 'run_id' supplied:  Hint: Value was of type 'int'." + docs},
		{"a float for a text", `{"run_id":9.0}`, "Invalid value 9.0 for parameter 'run_id' supplied:  Hint: Value was of type 'float'." + docs},
		{"NaN for a text", `{"run_id":NaN}`, "Invalid value NaN for parameter 'run_id' supplied:  Hint: Value was of type 'float'." + docs},
		{"Infinity for a whole number", `{"run_id":"r","metrics":[{"key":"k","value":1,"timestamp":-Infinity}]}`, "Invalid value -Infinity for parameter 'metrics[0].timestamp' supplied:  Hint: Value was of type 'float'." + docs},
		{"a text for a list", `{"run_id":"r","metrics":"foo"}`, `Invalid value "foo" for parameter 'metrics' supplied:  Hint: Value was of type 'str'.` + docs},
		{"missing in a list", `{"run_id":"r","metrics":[{"key":"k","value":1}]}`, "Missing value for required parameter 'metrics[0].timestamp'." + docs},
		{"a fraction for a whole number", `{"run_id":"r","metrics":[{"key":"k","value":1,"timestamp":1.5}]}`, "Invalid value 1.5 for parameter 'metrics[0].timestamp' supplied:  Hint: Value was of type 'float'." + docs},
		{"too great a whole number", `{"run_id":"r","metrics":[{"key":"k","value":1,"timestamp":9223372036854775808}]}`, "Invalid value 9223372036854775808 for parameter 'metrics[0].timestamp' supplied:  Hint: Value was of type 'int'." + docs},
		{"a list for a number", `{"run_id":"r","metrics":[{"key":"k","value":[],"timestamp":1}]}`, "Invalid value [] for parameter 'metrics[0].value' supplied:  Hint: Value was of type 'list'." + docs},
		{"U+0000", `{"run_id":"a\u0000"}`, "Invalid value for parameter 'run_id' supplied: it holds the character U+0000, which cannot be stored."},
		{"an unpaired surrogate", `{"run_id":"\ud83d x"}`, `the request body holds an unpaired surrogate, \ud83d`},
		{"a list as body", `[1]`, "the request body must be a JSON object, not a list"},
		{"a deep body", strings.Repeat("[", 65), "the request body is nested deeper than 64 levels"},
		{"invalid UTF-8", "{\"run_id\":\"\xff\"}", "the request body is not valid UTF-8"},
		{"a vanishing exponent", `{"run_id":"r","metrics":[{"key":"k","value":1,"timestamp":"1e-999999999"}]}`, `Invalid value "1e-999999999" for parameter 'metrics[0].timestamp' supplied:  Hint: Value was of type 'str'.` + docs},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			call, _ := echo[mlflow.LogBatchRequest](t, "POST")
			status, e := call("", tt.body)
			if status != 400 || e.Code != mlflow.CodeInvalidParameterValue || e.Message != tt.want {
				t.Errorf("got %d %s\n got %q\nwant %q", status, e.Code, e.Message, tt.want)
			}
		})
	}
}

func TestDecodeReadsQueries(t *testing.T) {
	t.Parallel()
	call, got := echo[mlflow.SearchRegisteredModelsRequest](t, "GET")
	if status, e := call("?filter=a%20%3D%201&order_by=x&order_by=y+DESC&max_results=25&other=1", ""); status != 200 {
		t.Fatal(e.Message)
	}
	want := &mlflow.SearchRegisteredModelsRequest{Filter: "a = 1", OrderBy: []string{"x", "y DESC"}, MaxResults: mlflow.Some(int64(25))}
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Error(diff)
	}
	if status, e := call("?filter=first&filter=second", ""); status != 200 || got().Filter != "first" {
		t.Errorf("of a repeated key: %d %+v, %+v", status, e, got())
	}
	if status, e := call("?max_results=x", ""); status != 400 || !strings.Contains(e.Message, "'max_results'") {
		t.Errorf("max_results=x: %d %s", status, e.Message)
	}
}

func TestDecodeReadsEnumsAndBools(t *testing.T) {
	t.Parallel()
	call, got := echo[mlflow.UpdateRunRequest](t, "POST")
	for body, want := range map[string]mlflow.RunStatus{
		`{"run_id":"r","status":"FINISHED"}`: mlflow.RunFinished,
		`{"run_id":"r","status":4}`:          mlflow.RunFailed,
		`{"run_id":"r","status":"5"}`:        mlflow.RunKilled,
		`{"run_id":"r","status":null}`:       "",
	} {
		if status, e := call("", body); status != 200 || got().Status != want {
			t.Errorf("%s: %d %s, got %q", body, status, e.Message, got().Status)
		}
	}
	for _, body := range []string{`{"run_id":"r","status":"DONE"}`, `{"run_id":"r","status":99}`} {
		if status, _ := call("", body); status != 400 {
			t.Errorf("%s: status %d", body, status)
		}
	}
	stage, gotStage := echo[mlflow.TransitionModelVersionStageRequest](t, "POST")
	if status, e := stage("", `{"name":"n","version":3,"stage":"Staging","archive_existing_versions":"TRUE"}`); status != 200 {
		t.Fatal(e.Message)
	}
	if v := gotStage(); v.Version != "3" || !v.ArchiveExistingVersions {
		t.Errorf("got %+v", v)
	}
}

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add([]byte(`{"run_id":"r","metrics":[{"key":"k","value":"NaN","timestamp":"1e+05"}],"params":[{}]}`))
	f.Add([]byte(`"\ud800\u"`))
	d := decoderOf(typeOf[mlflow.LogBatchRequest]())
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		_, err := checkBody(body)
		var object map[string]any
		if err == nil {
			object, err = parseObject(body)
		}
		if err == nil {
			var req mlflow.LogBatchRequest
			err = d.decode(object, r, valueOf(&req))
		}
		if err != nil && mlflow.CodeOf(err) == mlflow.CodeInternal {
			t.Fatalf("%q: %v", body, err)
		}
	})
}

// The time to read a long number exactly grows with the square of its length: ten million digits took minutes.
func TestNumbersOfManyDigitsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	call, _ := echo[mlflow.LogMetricRequest](t, http.MethodPost)
	zeros := strings.Repeat("0", 10_000_000)
	for name, number := range map[string]string{
		"fraction":     "1." + zeros + "e18",
		"whole":        "1" + zeros,
		"text":         `"1.` + zeros + `e18"`,
		"big exponent": "1e" + strings.Repeat("9", 1_000_000),
	} {
		for _, body := range []string{
			`{"run_id":"r","key":"k","value":1,"timestamp":` + number + `}`,
			`{"run_id":"r","key":"k","value":` + number + `,"timestamp":1}`,
		} {
			if code, e := call("", body); code != http.StatusBadRequest || e.Code != mlflow.CodeInvalidParameterValue {
				t.Errorf("%s: %d %s", name, code, e.Code)
			}
		}
	}
	// What floats and R print is far shorter.
	if code, e := call("", `{"run_id":"r","key":"k","value":`+"0."+strings.Repeat("1", 1000)+`,"timestamp":1}`); code != http.StatusOK {
		t.Errorf("a thousand digits: %d %v", code, e)
	}
}

func TestBodiesOfVeryManyValuesAreRefused(t *testing.T) {
	t.Parallel()
	call, _ := echo[mlflow.SearchRunsRequest](t, http.MethodPost)
	ids := func(n int) string { return `{"experiment_ids":["1"` + strings.Repeat(`,"1"`, n-1) + `]}` }
	if code, e := call("", ids(200_000)); code != http.StatusOK {
		t.Errorf("200,000 experiments: %d %v", code, e)
	}
	for name, body := range map[string]string{
		"experiments": ids(300_000),
		"keys":        `{"a":1` + strings.Repeat(`,"a":1`, 300_000) + `}`,
		"lists":       `{"a":[` + strings.Repeat(`[],`, 300_000) + `1]}`,
	} {
		if code, e := call("", body); code != http.StatusBadRequest || !strings.Contains(e.Message, "more than 250000 values") {
			t.Errorf("%s: %d %v", name, code, e)
		}
	}
	// Commas inside of texts are no values.
	if code, e := call("", `{"filter":"`+strings.Repeat(",", 300_000)+`"}`); code != http.StatusOK {
		t.Errorf("a text of commas: %d %v", code, e)
	}
}

func TestListsThatAreWrittenItemByItemAreBounded(t *testing.T) {
	t.Parallel()
	call, got := echo[mlflow.CreateRunRequest](t, http.MethodPost)
	tags := func(n int) string {
		return `{"experiment_id":"0","tags":[{"key":"a"}` + strings.Repeat(`,{"key":"a"}`, n-1) + `]}`
	}
	if code, e := call("", tags(1000)); code != http.StatusOK || len(got().Tags) != 1000 {
		t.Errorf("1,000 tags: %d %v", code, e)
	}
	if code, e := call("", tags(1001)); code != http.StatusBadRequest || !strings.Contains(e.Message, "'tags' supplied: a request takes at most 1000") {
		t.Errorf("1,001 tags: %d %v", code, e)
	}
}

// A JSON text that holds JSON is read once more, so what is refused outside is refused inside, too.
func TestJSONInsideATextIsCheckedAsWell(t *testing.T) {
	t.Parallel()
	call, _ := echo[mlflow.CreateRunRequest](t, http.MethodPost)
	for name, inner := range map[string]string{
		"depth":     `{"a":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`,
		"surrogate": `{"run_name":"\ud800"}`,
		"values":    `{"a":[` + strings.Repeat("1,", 300_000) + `1]}`,
	} {
		body, err := json.Marshal(inner)
		if err != nil {
			t.Fatal(err)
		}
		if code, e := call("", string(body)); code != http.StatusBadRequest {
			t.Errorf("%s: %d %v", name, code, e)
		}
	}
}
