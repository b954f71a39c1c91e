package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/mlflow"
)

// TestMain makes the models once, and ends by checking that no goroutine and no R process is left.

// workersOf lists the processes whose parent is pid, by Linux's /proc.

// serve starts an endpoint of one of the test models behind an HTTP server and waits until it is ready.

// post sends a body and gives the status and the answer.

// expected asks R what a model predicts, without any of our code.

func TestEveryInputFormatGivesRsPredictions(t *testing.T) {
	t.Parallel()
	want := expected(t, "predict(lm(mpg ~ wt + hp + qsec, mtcars), data.frame(wt = c(2.5, 3), hp = c(100, 110), qsec = c(17, 18.5)))")
	for _, name := range []string{"lm", "lm-signed", "lm-rds"} {
		_, server := serve(t, name, nil)
		for _, c := range []struct{ path, contentType, body string }{
			{"/invocations", "application/json", `{"dataframe_split": {"columns": ["wt", "hp", "qsec"], "data": [[2.5, 100, 17], [3, 110, 18.5]]}}`},
			{"/invocations", "application/json; charset=utf-8", `{"dataframe_records": [{"wt": 2.5, "hp": 100, "qsec": 17}, {"qsec": 18.5, "wt": 3, "hp": 110}]}`},
			{"/invocations", "Application/JSON;charset=UTF-8", `{"instances": [{"wt": 2.5, "hp": 100, "qsec": 17}, {"wt": 3, "hp": 110, "qsec": 18.5}]}`},
			{"/invocations", "application/json", `{"inputs": {"wt": [2.5, 3], "hp": [100, 110], "qsec": [17, 18.5]}}`},
			{"/invocations/", "application/json", `{"columns": ["wt", "hp", "qsec"], "data": [[2.5, 100, 17], [3, 110, 18.5]]}`},
			{"/invocations", "text/csv", "wt,hp,qsec\n2.5,100,17\n3,110,18.5\n"},
			{"/invocations", "text/csv; charset=utf-8; header=present", "\"wt\", \"hp\", \"qsec\"\n2.5, 100, 17\n3, 110, 18.5\n"},
			{"/invocations", "application/jsonl", "{\"wt\": 2.5, \"hp\": 100, \"qsec\": 17}\n{\"qsec\": 18.5, \"wt\": 3, \"hp\": 110}\n"},
			{"/invocations", "application/x-ndjson; charset=utf-8", "{\"wt\": 2.5, \"hp\": 100, \"qsec\": 17}\r\n\r\n{\"qsec\": 18.5, \"wt\": 3, \"hp\": 110}"},
			{"/predict", "application/x-www-form-urlencoded", `{"wt": [2.5, 3], "hp": [100, 110], "qsec": [17, 18.5]}`},
			{"/invocation", "application/json", `[{"wt": 2.5, "hp": 100, "qsec": 17}, {"wt": 3, "hp": 110, "qsec": 18.5}]`},
		} {
			status, body := post(t, server, c.path, c.contentType, c.body)
			var got []float64
			var err error
			if strings.HasPrefix(c.path, "/invocations") {
				var wrapped struct{ Predictions []float64 }
				err = json.Unmarshal([]byte(body), &wrapped)
				got = wrapped.Predictions
			} else {
				err = json.Unmarshal([]byte(body), &got)
			}
			if status != http.StatusOK || err != nil || !cmp.Equal(got, want) {
				t.Errorf("%s %s %s %s: %d %s, want %v", name, c.path, c.contentType, c.body, status, body, want)
			}
		}
	}
}

func TestOnePredictionIsUnboxedWhereAsked(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "lm", func(cfg *Config) { cfg.Unbox = true })
	want := expected(t, "predict(lm(mpg ~ wt + hp + qsec, mtcars), data.frame(wt = 2.5, hp = 100, qsec = 17))")[0]
	const one, two = `{"wt": [2.5], "hp": [100], "qsec": [17]}`, `{"wt": [2.5, 3], "hp": [100, 110], "qsec": [17, 18.5]}`
	for _, path := range []string{"/predict", "/invocation"} {
		var got float64
		if status, body := post(t, server, path, "application/json", one); status != http.StatusOK || json.Unmarshal([]byte(body), &got) != nil || got != want {
			t.Errorf("%s: %d %s, want %v", path, status, body, want)
		}
		var several []float64
		if status, body := post(t, server, path, "application/json", two); status != http.StatusOK || json.Unmarshal([]byte(body), &several) != nil || len(several) != 2 {
			t.Errorf("%s: %d %s, want two numbers", path, status, body)
		}
	}
	var wrapped struct{ Predictions []float64 }
	if status, body := post(t, server, "/invocations", "application/json", `{"inputs": `+one+`}`); status != http.StatusOK || json.Unmarshal([]byte(body), &wrapped) != nil || len(wrapped.Predictions) != 1 {
		t.Errorf("/invocations: %d %s, want an array of one", status, body)
	}
}

func TestPackagesAreLoadedInAFreshProcess(t *testing.T) {
	t.Parallel()
	want := expected(t, "predict(rpart::rpart(Species ~ ., iris), iris[c(1, 60), 1:4])")
	for _, name := range []string{"rpart", "rpart-unrecorded", "rpart-inlined", "rpart-rds"} {
		_, server := serve(t, name, nil)
		status, body := post(t, server, "/invocations", "text/csv", "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width\n5.1,3.5,1.4,0.2\n5.2,2.7,3.9,1.4\n")
		var got struct{ Predictions [][]float64 }
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, body)
			continue
		}
		var flat []float64 // R prints a matrix by columns
		for column := range 3 {
			for _, row := range got.Predictions {
				flat = append(flat, row[column])
			}
		}
		if diff := cmp.Diff(want, flat); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestARecordedLibraryIsUsed(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "private", nil)
	if status, body := post(t, server, "/invocations", "application/json", `{"inputs": {"x": [1]}}`); status != 200 || body != `{"predictions":[42.0]}` {
		t.Errorf("%d %s", status, body)
	}
	e, err := New(t.Context(), Config{Dir: filepath.Join(modelsDir, "private"), Workers: 1, RLibs: []string{t.TempDir()}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	if err := e.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "not installed: owned") {
		t.Errorf("another library instead: %v", err)
	}
}

func TestAModelThatCannotBeServedSaysWhy(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"missing":  "needs R packages that are not installed: notThere1, notThere2",
		"broken":   "the model cannot be loaded: unknown input format",
		"no-crate": "crate.bin holds no crate but an object of class integer",
		"table":    "has no predict() method here",
	} {
		e, err := New(t.Context(), Config{Dir: filepath.Join(modelsDir, name), Workers: 2, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		server := httptest.NewServer(e.Handler())
		if status, body := post(t, server, "/invocations", "application/json", `{"inputs": [1]}`); status != 503 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		server.Close()
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if _, err := New(t.Context(), Config{Dir: t.TempDir()}); mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
		t.Errorf("no model: %v", err)
	}
	if _, err := New(t.Context(), Config{Dir: filepath.Join(modelsDir, "lm"), Rscript: "Rscript-that-is-not-there"}); err == nil || !strings.Contains(err.Error(), "R is not found") {
		t.Errorf("no R: %v", err)
	}
}

func TestStatusCodes(t *testing.T) {
	t.Parallel()
	_, signed := serve(t, "lm-signed", func(c *Config) { c.MaxBody = 1000 })
	_, plain := serve(t, "lm", nil)
	_, obey := serve(t, "obey", nil)
	for _, c := range []struct {
		server                  *httptest.Server
		path, contentType, body string
		status                  int
		code, message           string
	}{
		{signed, "/invocations", "application/json", `{"inputs": `, 400, "INVALID_PARAMETER_VALUE", "the body is not JSON"},
		{signed, "/invocations", "application/json", `[{"wt": 1, "hp": 2}]`, 400, "INVALID_PARAMETER_VALUE", `lacks the column "qsec"`},
		{signed, "/invocations", "application/json", `[{"wt": 1, "hp": 2, "qsec": "x"}]`, 400, "INVALID_PARAMETER_VALUE", `column "qsec", row 1: "x" is not a double`},
		{signed, "/invocations", "text/csv", "wt,hp,qsec\n1,2\n", 400, "INVALID_PARAMETER_VALUE", "row 1 (line 2) has 2 fields"},
		{signed, "/invocations", "text/plain", "x", 415, "UNSUPPORTED_MEDIA_TYPE", `"text/plain" is not supported`},
		{signed, "/invocations", "", "{}", 415, "UNSUPPORTED_MEDIA_TYPE", "send application/json, application/jsonl, text/csv"},
		{signed, "/invocations", "application/json; charset=utf-16", "{}", 415, "UNSUPPORTED_MEDIA_TYPE", "utf-16"},
		{signed, "/invocations", "application/json", strings.Repeat(" ", 1001), 413, "PAYLOAD_TOO_LARGE", "more than 1000 bytes"},
		{signed, "/nowhere", "application/json", "{}", 404, "ENDPOINT_NOT_FOUND", "no route /nowhere"},
		{signed, "/ping", "application/json", "{}", 405, "METHOD_NOT_ALLOWED", "takes GET"},
		{plain, "/invocations", "application/json", `[{"wt": 1, "hp": 2}]`, 400, "INVALID_PARAMETER_VALUE", "object 'qsec' not found"},
		{plain, "/invocations", "application/json", `[{"wt": 1, "hp": 2, "qsec": "x"}]`, 400, "INVALID_PARAMETER_VALUE", "was fitted with type"},
		{plain, "/invocations", "application/json", `{"inputs": {"wt": [1, 2], "hp": [3], "qsec": [4]}}`, 400, "INVALID_PARAMETER_VALUE", "variable lengths differ"},
		{plain, "/invocations", "application/json", `{"instances": [1, 2, 3]}`, 400, "INVALID_PARAMETER_VALUE", "'data' must be a data.frame"},
		{plain, "/invocations", "application/json", `{"inputs": {"wt": [1], "hp": [3], "qsec": [4]}, "params": {".x": 1}}`, 400, "INVALID_PARAMETER_VALUE", "unused argument (.x)"},
		{signed, "/invocations", "application/json", `{"inputs": {"wt": [1], "hp": [3], "qsec": [4]}, "params": {"a": {"b": 1}}}`, 400, "INVALID_PARAMETER_VALUE", `parameter "a" is an object`},
		{obey, "/invocations", "application/json", `[{"do": "eval", "code": "stats::predict(stats::lm(mpg ~ factor(cyl), datasets::mtcars), data.frame(cyl = 5))"}]`, 400, "INVALID_PARAMETER_VALUE", "has new level 5"},
		{obey, "/invocations", "application/json", order("stop"), 500, "INTERNAL_ERROR", "no luck with 1 row"},
		{obey, "/invocations", "application/json", order("deep"), 500, "INTERNAL_ERROR", "too "},
		{obey, "/invocations", "application/json", `[{"do": "eval", "code": "globalenv()"}]`, 500, "INTERNAL_ERROR", `class "environment"`},
		{obey, "/invocations", "application/json", `[{"do": "eval", "code": "data.frame(a = I(list(1)))"}]`, 500, "INTERNAL_ERROR", `column "a"`},
	} {
		status, body := post(t, c.server, c.path, c.contentType, c.body)
		var fault mlflow.Error
		if err := json.Unmarshal([]byte(body), &fault); err != nil || status != c.status || string(fault.Code) != c.code || !strings.Contains(fault.Message, c.message) {
			t.Errorf("%s %s %.60s: %d %s; want %d %s %s", c.path, c.contentType, c.body, status, body, c.status, c.code, c.message)
		}
	}
	resp, err := plain.Client().Get(plain.URL + "/invocations")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" {
		t.Errorf("GET /invocations: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
	for path, want := range map[string]string{"/ping": "OK\n", "/health": "OK\n", "/version": "3.0.0"} {
		resp, err := plain.Client().Get(plain.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(body) != want {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
}

func TestPredictionsOfEveryKind(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "obey", nil)
	for code, want := range map[string]string{
		`1`:                                    `[1.0]`,
		`c(1L, NA)`:                            `[1,null]`,
		`c(0.1 + 0.2, NA, NaN, -1e-300, 1e22)`: `[0.30000000000000004,null,null,-1e-300,1e+22]`,
		`c(TRUE, NA)`:                          `[true,null]`,
		`c('a', NA, '\u00e9\"<')`:              `["a",null,"é\"\u003c"]`,
		`factor(c('lo', 'hi', NA))`:            `["lo","hi",null]`,
		`c(a = 1, b = 2)`:                      `{"a":1.0,"b":2.0}`,
		`c('1' = 5)`:                           `[5.0]`,
		`matrix(1:6, 2)`:                       `[[1,3,5],[2,4,6]]`,
		`array(1:8, c(2, 2, 2))`:               `[[[1,5],[3,7]],[[2,6],[4,8]]]`,
		`matrix(1, 1, 1)`:                      `[[1.0]]`,
		`data.frame(a = 1:2, b = c('x', NA))`:  `[{"a":1,"b":"x"},{"a":2,"b":null}]`,
		`data.frame()`:                         `[]`,
		`list(a = 1, b = 1:2, c = NULL, d = list())`:       `{"a":1.0,"b":[1,2],"c":null,"d":[]}`,
		`list(1, 'x', c(p = 0.5, q = 0.25))`:               `[1.0,"x",{"p":0.5,"q":0.25}]`,
		`as.Date(c('2026-11-23', NA))`:                     `["2026-11-23",null]`,
		`as.POSIXct('2026-11-23 08:00:00.25', tz = 'UTC')`: `["2026-11-23T08:00:00.25Z"]`,
		`as.POSIXct('1969-12-31 23:59:58.5', tz = 'UTC')`:  `["1969-12-31T23:59:58.5Z"]`,
		`as.POSIXlt('2026-11-23 08:00:00', tz = 'UTC')`:    `["2026-11-23T08:00:00Z"]`,
		`data.frame(d = as.Date('2026-01-02'))`:            `[{"d":"2026-01-02"}]`,
		`as.difftime(3, units = 'mins')`:                   `[3.0]`,
		`numeric(0)`:                                       `[]`,
		`NULL`:                                             `null`,
		`as.raw(255)`:                                      `[255]`,
		`list(f = factor('a'), d = as.Date('2026-01-02'))`: `{"f":"a","d":"2026-01-02"}`,
	} {
		body, err := json.Marshal(map[string]any{"dataframe_records": []map[string]any{{"do": "eval", "code": code}}})
		if err != nil {
			t.Fatal(err)
		}
		status, got := post(t, server, "/invocation", "application/json", string(body))
		if status != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", code, status, got, want)
		}
	}
	resp, err := server.Client().Post(server.URL+"/invocations", "application/json", strings.NewReader(`[{"do": "eval", "code": "c(1, Inf)"}]`))
	if err != nil {
		t.Fatal(err)
	}
	data, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(data) != `{"predictions":[1.0,null]}` || resp.Header.Get("X-Weir-Warning") == "" {
		t.Errorf("an infinity: %s, %v", data, resp.Header)
	}
}

// TestWhatRSees sends every column type and has R describe what arrived.

func TestWhatRSees(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "obey", nil)
	body := `{"dataframe_split": {"columns": ["do", "code", "i", "d", "s", "b", "n"], "index": ["r1", "r2"], "data": [
		["eval", "deparse(x[-(1:2)], 500L)", 1, 1.5, "é", true, null], ["", "", null, null, null, null, null]]}}`
	want := `["structure(list(i = c(1L, NA), d = c(1.5, NA), s = c(\"é\", NA), b = c(TRUE, NA), n = c(NA, NA)), row.names = c(\"r1\", \"r2\"), class = \"data.frame\")"]`
	if status, got := post(t, server, "/invocation", "application/json", body); status != 200 || got != want {
		t.Errorf("%d %s\nwant %s", status, got, want)
	}
	params := `{"inputs": {"do": ["eval"], "code": ["paste(deparse(dots), collapse = '')"]}, "params": {"n": 3, "type": "response", "p": [0.5, 1]}}`
	if status, got := post(t, server, "/invocation", "application/json", params); status != 200 || got != `["list(n = 3L, type = \"response\", p = c(0.5, 1))"]` {
		t.Errorf("params: %d %s", status, got)
	}
	if status, got := post(t, server, "/invocation", "application/json", `{"inputs": ["fine", "x"]}`); status != 200 || got != "[1.0,1.0]" {
		t.Errorf("a vector: %d %s", status, got)
	}
	latin1 := "[{\"do\": \"eval\", \"code\": \"x$t\", \"t\": \"\xe9\"}]"
	if status, got := post(t, server, "/invocation", "application/json; charset=ISO-8859-1", latin1); status != 200 || got != `["é"]` {
		t.Errorf("latin1: %d %s", status, got)
	}
}

func TestNoRowsAreNoPredictions(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"lm": "[]", "lm-signed": "[]", "constant": "[1.0]"} {
		_, server := serve(t, name, nil)
		for _, c := range []struct{ path, contentType, body string }{
			{"/invocation", "application/json", "[]"}, {"/invocation", "application/json", `{"dataframe_records": []}`},
			{"/predict", "application/json", ""}, {"/invocation", "application/json", `{"dataframe_split": {"columns": ["wt", "hp", "qsec"], "data": []}}`},
			{"/invocation", "text/csv", "wt,hp,qsec\n"},
		} {
			if status, got := post(t, server, c.path, c.contentType, c.body); status != 200 || got != want {
				t.Errorf("%s %s %s: %d %s, want %s", name, c.path, c.body, status, got, want)
			}
		}
	}
}

// TestParamsOfTheServer gives params to requests that do not have them.
func TestParamsOfTheServer(t *testing.T) {
	t.Parallel()
	params, err := model.ParseParams([]byte(`{"interval": "confidence", "level": 0.5}`))
	if err != nil {
		t.Fatal(err)
	}
	_, server := serve(t, "lm-rds", func(c *Config) { c.Params = params })
	want := expected(t, "predict(lm(mpg ~ wt + hp + qsec, mtcars), data.frame(wt = 2.5, hp = 100, qsec = 17), interval = 'confidence', level = 0.5)")
	body := `{"inputs": {"wt": [2.5], "hp": [100], "qsec": [17]}}`
	_, got := post(t, server, "/invocation", "application/json", body)
	var rows [][]float64
	if err := json.Unmarshal([]byte(got), &rows); err != nil || len(rows) != 1 || !cmp.Equal(rows[0], want) {
		t.Errorf("%s, want %v", got, want)
	}
	_, got = post(t, server, "/invocation", "application/json", strings.TrimSuffix(body, "}")+`, "params": {"interval": "none"}}`)
	if strings.Contains(got, "[[") {
		t.Errorf("the request's own: %s", got)
	}
}

func TestOrderedFactorsAndZonesReachR(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "ordered", nil)
	body := `[{"size": "s", "at": "2026-01-01T00:00:00Z"}, {"size": "l", "at": "2026-01-01T03:00:00+02:00"}]`
	if status, got := post(t, server, "/invocation", "application/json", body); status != 200 || got != `["ordered TRUE 09","ordered FALSE 10"]` {
		t.Errorf("%d %s", status, got)
	}
}

func TestColumnsReachRAsTheSignatureSays(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "typed", nil)
	want := `["structure(list(day = structure(c(20454, NA), class = \"Date\"), at = structure(c(1767225600, NA), class = c(\"POSIXct\", \"POSIXt\"), tzone = \"UTC\"), kind = structure(c(2L, NA), levels = c(\"b\", \"a\"), class = \"factor\"), n = c(3L, NA)), class = \"data.frame\", row.names = c(NA, -2L))"]`
	for contentType, body := range map[string]string{
		"application/json":  `[{"day": "2026-01-01", "at": "2026-01-01T00:00:00Z", "kind": "a", "n": 3.0}, {}]`,
		"application/jsonl": "{\"day\": \"2026-01-01T00:00:00Z\", \"at\": \"2026-01-01\", \"kind\": \"a\", \"n\": 3}\n{}\n",
		"text/csv":          "day,at,kind,n\n2026-01-01,2026-01-01 00:00:00,a,3\nNA,NA,NA,NA\n",
	} {
		if status, got := post(t, server, "/invocation", contentType, body); status != 200 || got != want {
			t.Errorf("%s: %d %s\nwant %s", contentType, status, got, want)
		}
	}
	for row, fault := range map[string]string{
		`{"day": "2026-01-01T10:00:00Z", "at": null, "kind": "a", "n": 1}`: `column \"day\", row 2: \"2026-01-01T10:00:00Z\" is a time`,
		`{"day": "01.02.2026", "at": null, "kind": "a", "n": 1}`:           `column \"day\", row 2: \"01.02.2026\" is not a date`,
		`{"day": null, "at": null, "kind": "z", "n": 1}`:                   `column \"kind\", row 2: \"z\" is not one of the levels \"b\", \"a\"`,
		`{"day": null, "at": null, "kind": "a", "n": 1.5}`:                 `column \"n\", row 2: 1.5 is not a long`,
		`[1]`: `row 2 is not an object`, `{"day": null} {"day": null}`: "after the value of a line", `{"day": `: "not JSON",
	} {
		body := `{"day": null, "at": null, "kind": "b", "n": 1}` + "\n" + row
		if status, got := post(t, server, "/invocations", "application/jsonl", body); status != 400 || !strings.Contains(got, fault) {
			t.Errorf("%s: %d %s, want %s", row, status, got, fault)
		}
	}
}

// TestAFaultCostsOneRequest kills a worker in every way and sees that only the killer's request fails.

// activeJobs is the number of jobs that wait in the queue.

// busy reports whether a worker has a job in hand.

func TestPredictWritesWhatMLflowsCommandWrites(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: filepath.Join(modelsDir, "lm"), Logger: slog.New(slog.DiscardHandler)}
	var out bytes.Buffer
	if err := Predict(t.Context(), cfg, strings.NewReader("wt,hp,qsec\n2.5,100,17\n"), "text/csv", &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), `[2`) || !strings.HasSuffix(out.String(), "]") {
		t.Errorf("a model for R alone: %s", out.String())
	}

	// Python's command wraps the predictions of the models that Python loads.
	cfg.Dir = t.TempDir()
	if err := os.CopyFS(cfg.Dir, os.DirFS(filepath.Join(modelsDir, "lm"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(cfg.Dir, "MLmodel")
	mlmodel, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	with := strings.Replace(string(mlmodel), "flavors:\n", "flavors:\n  python_function:\n    loader_module: none\n", 1)
	if err := os.WriteFile(file, []byte(with), 0o666); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := Predict(t.Context(), cfg, strings.NewReader("wt,hp,qsec\n2.5,100,17\n"), "text/csv", &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), `{"predictions":[2`) || !strings.HasSuffix(out.String(), "]}") {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	cfg.Bare = true
	if err := Predict(t.Context(), cfg, strings.NewReader(`{"wt": 2.5, "hp": 100, "qsec": 17}`), "application/json", &out); err != nil || !strings.HasPrefix(out.String(), "[2") {
		t.Errorf("bare: %s, %v", out.String(), err)
	}
	if err := Predict(t.Context(), cfg, strings.NewReader("x\n1\n"), "text/csv", &out); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
		t.Errorf("a missing column: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(700*time.Millisecond, cancel)
	cfg.Dir = filepath.Join(modelsDir, "obey")
	began := time.Now()
	if err := Predict(ctx, cfg, strings.NewReader(order("loop")), "application/json", &out); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("an interrupted prediction: %v after %s", err, time.Since(began))
	}
}
