package endpoint

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fetch(t *testing.T, server *httptest.Server, path string) (*http.Response, string) {
	t.Helper()
	resp, err := server.Client().Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestInferenceProtocol(t *testing.T) {
	t.Parallel()
	_, signed := serve(t, "lm-signed", func(c *Config) { c.Name = "cars" })
	_, obey := serve(t, "obey", nil)
	want := expected(t, "predict(lm(mpg ~ wt + hp + qsec, mtcars), data.frame(wt = c(2.5, 3), hp = c(100, 110), qsec = c(17, 18.5)))")
	for _, body := range []string{
		`{"id": "7", "inputs": [{"name": "wt", "shape": [2], "datatype": "FP64", "data": [2.5, 3]}, {"name": "qsec", "shape": [2, 1], "datatype": "FP32", "data": [[17], [18.5]]}, {"name": "hp", "shape": [2], "datatype": "INT64", "data": [100, 110]}]}`,
		`{"id": "7", "parameters": {"content_type": "pd"}, "inputs": [{"name": "rows", "shape": [2, 3], "datatype": "FP64", "data": [2.5, 100, 17, 3, 110, 18.5]}]}`,
		`{"id": "7", "inputs": [{"name": "rows", "shape": [2, 3], "datatype": "FP64", "data": [[2.5, 100, 17], [3, 110, 18.5]]}]}`,
	} {
		status, answer := post(t, signed, "/v2/models/cars/infer", "application/json", body)
		var got struct {
			Model   string `json:"model_name"`
			ID      string
			Outputs []struct {
				Name, Datatype string
				Shape          []int
				Data           []float64
			}
		}
		if err := json.Unmarshal([]byte(answer), &got); err != nil || status != 200 || got.Model != "cars" || got.ID != "7" || len(got.Outputs) != 1 {
			t.Fatalf("%s: %d %s", body, status, answer)
		}
		if o := got.Outputs[0]; !cmp.Equal(o.Data, want) || o.Datatype != "FP64" || !cmp.Equal(o.Shape, []int{2}) {
			t.Errorf("%s: %s, want %v", body, answer, want)
		}
	}
	for body, want := range map[string]string{
		`{"inputs": [{"name": "wt", "shape": [3], "datatype": "FP64", "data": [2.5]}]}`:  `input \"wt\" has 1 elements, its shape [3] says 3`,
		`{"inputs": [{"name": "wt", "shape": [1], "datatype": "FLOAT", "data": [2.5]}]}`: `has the datatype \"FLOAT\"`,
		`{"inputs": [{"name": "wt", "shape": [1], "datatype": "FP64", "data": ["x"]}]}`:  `column \"wt\", row 1: \"x\" is not a double`,
		`{"inputs": [{"name": "wt", "shape": [1], "datatype": "FP64", "data": [1]}]}`:    `lacks the columns \"hp\", \"qsec\"`,
		`{"inputs": []}`: `must be a list of tensors`, `[]`: `not a JSON object`, `{"inputs": [3]}`: "not an object",
		`{"inputs": [{"name": "a", "shape": [-1, 4294967296], "datatype": "FP64", "data": []}]}`: "impossible shape",
	} {
		if status, answer := post(t, signed, "/v2/models/cars/infer", "application/json", body); status != 400 || !strings.HasPrefix(answer, `{"error":"`) || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %s", body, status, answer, want)
		}
	}
	for path, want := range map[string]string{
		"/v2":                        `{"extensions":[],"name":"weir","version":"3.0.0"}`,
		"/v2/health/live":            `{"live":true}`,
		"/v2/health/ready":           `{"ready":true}`,
		"/v2/models/cars/ready":      `{"ready":true}`,
		"/v2/models/cars/versions/1": `{"inputs":[{"datatype":"FP64","name":"wt","shape":[-1]},{"datatype":"FP64","name":"hp","shape":[-1]},{"datatype":"FP64","name":"qsec","shape":[-1]}],"name":"cars","outputs":[],"platform":"r","versions":[]}`,
		"/v2/models/boats":           `{"error":"no model \"boats\"; this server has \"cars\""}`,
	} {
		if resp, body := fetch(t, signed, path); strings.TrimSpace(body) != want || (resp.StatusCode == 404) != strings.Contains(path, "boats") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	for code, want := range map[string]string{
		"matrix(1:6, 2)":         `[{"name":"predictions","datatype":"INT32","shape":[2,3],"data":[1,3,5,2,4,6]}]`,
		"array(1:8, c(2, 2, 2))": `[{"name":"predictions","datatype":"INT32","shape":[2,2,2],"data":[1,5,3,7,2,6,4,8]}]`,
		"data.frame(a = c(TRUE, NA), b = factor(c('x', 'y')))": `[{"name":"a","datatype":"BOOL","shape":[2],"data":[true,null]},{"name":"b","datatype":"BYTES","shape":[2],"data":["x","y"]}]`,
		"as.Date('2026-01-02')":                                `[{"name":"predictions","datatype":"BYTES","shape":[1],"data":["2026-01-02"]}]`,
	} {
		quoted, _ := json.Marshal(code)
		body := `{"inputs": [{"name": "do", "shape": [1], "datatype": "BYTES", "data": ["eval"]}, {"name": "code", "shape": [1], "datatype": "BYTES", "data": [` + string(quoted) + `]}]}`
		if status, answer := post(t, obey, "/v2/models/obey/infer", "application/json", body); status != 200 || answer != `{"model_name":"obey","outputs":`+want+"}" {
			t.Errorf("%s: %d %s", code, status, answer)
		}
	}
}

func TestMetricsCountWhatHappened(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "obey", nil)
	for _, do := range []string{"fine", "fine", "stop", "quit"} {
		post(t, server, "/invocations", "application/json", order(do))
	}
	post(t, server, "/invocation", "application/json", `[{"do": "fine"}, {"do": "fine"}]`)
	resp, body := fetch(t, server, "/metrics")
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Error(resp.Header)
	}
	for _, want := range []string{
		`weir_endpoint_requests_total{route="/invocations",code="200"} 2`, `weir_endpoint_requests_total{route="/invocations",code="500"} 1`,
		`weir_endpoint_requests_total{route="/invocations",code="502"} 1`, `weir_endpoint_requests_total{route="/invocation",code="200"} 1`,
		"weir_endpoint_rows_total 4", "weir_endpoint_predict_calls_total 5", "weir_endpoint_workers_replaced_total 1", "weir_endpoint_workers_ready 1",
		"weir_endpoint_requests_waiting 0", `weir_endpoint_request_seconds_bucket{le="+Inf"} 3`, "weir_endpoint_request_seconds_count 3",
		"# TYPE weir_endpoint_predict_seconds histogram",
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("lacks %s", want)
		}
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+-]+)$`)
	for _, l := range strings.Split(strings.TrimSpace(body), "\n") {
		if !line.MatchString(l) {
			t.Errorf("not a line of the format: %s", l)
		}
	}
}

func TestOpenAPIDescribesTheSignature(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "lm-signed", nil)
	_, body := fetch(t, server, "/openapi.json")
	var api struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Properties map[string]struct {
							Items struct {
								Required   []string
								Properties map[string]struct{ Type []string }
							}
						}
					}
					Example json.RawMessage
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &api); err != nil {
		t.Fatal(err)
	}
	media := api.Paths["/invocations"]["post"].RequestBody.Content["application/json"]
	row := media.Schema.Properties["dataframe_records"].Items
	if !cmp.Equal(row.Required, []string{"wt", "hp", "qsec"}) || !cmp.Equal(row.Properties["wt"].Type, []string{"number", "null"}) {
		t.Errorf("the record: %+v", row)
	}
	if status, answer := post(t, server, "/invocations", "application/json", string(media.Example)); status != 200 {
		t.Errorf("the example %s: %d %s", media.Example, status, answer)
	}
	for path := range api.Paths {
		if resp, answer := fetch(t, server, path); resp.StatusCode == 404 {
			t.Errorf("%s is described but not there: %s", path, answer)
		}
	}
}

func TestThePageWorksWithoutAScript(t *testing.T) {
	t.Parallel()
	_, signed := serve(t, "lm-signed", func(c *Config) { c.Name = `<cars> & "co"` })
	_, plain := serve(t, "lm", nil)
	resp, body := fetch(t, signed, "/")
	policy := resp.Header.Get("Content-Security-Policy")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	if style == nil {
		t.Fatal(body)
	}
	sum := sha256.Sum256([]byte(style[1]))
	if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the policy %s does not permit the page's style", policy)
	}
	if strings.Contains(body, "<script") || strings.Contains(body, " style=") || strings.Contains(body, "<cars>") {
		t.Errorf("the page: %s", body)
	}
	for _, c := range []struct {
		server *httptest.Server
		form   url.Values
		want   string
	}{
		{signed, url.Values{"column-wt": {"2.5"}, "column-hp": {"100"}, "column-qsec": {"17"}}, `<pre id="answer">{&#34;predictions&#34;:[2`},
		{signed, url.Values{"column-wt": {"2.5"}, "column-hp": {"many"}, "column-qsec": {"17"}}, `column &#34;hp&#34;, row 1: &#34;many&#34; is not a double`},
		{signed, url.Values{"column-wt": {"2.5"}, "column-hp": {"0x10"}, "column-qsec": {"17"}}, `is not a double`},
		{plain, url.Values{"body": {`{"inputs": {"wt": [2.5], "hp": [100], "qsec": [17]}}`}}, `<pre id="answer">{&#34;predictions&#34;:[2`},
		{plain, url.Values{"body": {`{"inputs": `}}, `role="alert">the body is not JSON`},
	} {
		status, body := post(t, c.server, "/", "application/x-www-form-urlencoded", c.form.Encode())
		if status != 200 || !strings.Contains(body, c.want) {
			t.Errorf("%v: %d %s, want %s", c.form, status, body, c.want)
		}
	}
	if resp, _ := fetch(t, signed, "/index.html"); resp.StatusCode != 404 {
		t.Errorf("another page: %d", resp.StatusCode)
	}
}
