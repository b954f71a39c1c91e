package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

// A browser sends a server's cookie along for every page of the same host, whatever its port. So a page that another user
// of this machine serves must not reach the server of a folder that is not theirs.
func TestFoldersServerRefusesPagesOfOtherPorts(t *testing.T) {
	t.Parallel()
	for lease, want := range map[bool]int{true: http.StatusForbidden, false: http.StatusOK} {
		dir := t.TempDir()
		s, err := open(t.Context(), Config{BackendStoreURI: filepath.Join(dir, "store"), Dir: dir, Version: "test", Lease: lease})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.close(); err != nil {
				t.Error(err)
			}
		})
		own := strings.TrimPrefix(s.ready.URL, "http://")
		for origin, want := range map[string]int{"http://localhost:3838": want, "http://127.0.0.1:1": want, "http://" + own: 200} {
			r := httptest.NewRequest(http.MethodPost, "/api/2.0/mlflow/experiments/search", strings.NewReader("{}"))
			r.Host = own
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+s.ready.Token)
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code != want || (want != 200 && w.Header().Get("Access-Control-Allow-Origin") != "") {
				t.Errorf("lease %v, origin %s: %d %v", lease, origin, w.Code, w.Header())
			}
		}
	}
}

// hostile values go into every field of every route; none may be a fault of the server.
var hostile = map[string]string{
	"U+0000":          `"a\u0000b"`,
	"surrogate":       `"\ud800"`,
	"invalid UTF-8":   "\"a\xffb\"",
	"quote":           `"' or 1=1; drop table run; --"`,
	"percent":         `"%s%n%00%2e%2e"`,
	"path":            `"../../../etc/passwd"`,
	"long":            `"` + strings.Repeat("é", 70_000) + `"`,
	"emoji":           `"😀"`,
	"direction":       `"\u202e\u200b"`,
	"number":          `17`,
	"negative":        `-1`,
	"fraction":        `1.5`,
	"beyond int64":    `9223372036854775808`,
	"smallest int64":  `-9223372036854775808`,
	"huge exponent":   `1e999999`,
	"NaN":             `"NaN"`,
	"true":            `true`,
	"list":            `[]`,
	"list of nothing": `[null]`,
	"list of objects": `[{}]`,
	"list of texts":   `["a","a"]`,
	"object":          `{}`,
	"object of lists": `{"key":[]}`,
	"null":            `null`,
	"empty":           `""`,
}

// TestNoValueOfAnyFieldIsAFaultOfTheServer walks the route table, so that it covers a route from the day it is added. What
// cannot be stored is refused, and no answer shows SQL or a path of this machine.
func TestNoValueOfAnyFieldIsAFaultOfTheServer(t *testing.T) {
	t.Parallel()
	s := testServer(t)
	call := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	decode := func(w *httptest.ResponseRecorder, v any) {
		if err := json.Unmarshal(w.Body.Bytes(), v); w.Code != 200 || err != nil {
			t.Fatalf("%d %s %v", w.Code, w.Body, err)
		}
	}
	var run mlflow.RunResponse
	var model mlflow.LoggedModelResponse
	decode(call("POST", "/api/2.0/mlflow/runs/create", `{"experiment_id":"0"}`), &run)
	decode(call("POST", "/api/2.0/mlflow/logged-models", `{"experiment_id":"0","name":"m"}`), &model)
	decode(call("POST", "/api/2.0/mlflow/registered-models/create", `{"name":"m"}`), &struct{}{})
	decode(call("POST", "/api/2.0/mlflow/model-versions/create", `{"name":"m","source":"s3://b/m"}`), &struct{}{})
	// What makes a request reach the store: ids of things that are there.
	good := map[string]string{
		"run_id": run.Run.Info.RunID, "run_uuid": run.Run.Info.RunID, "experiment_id": "0", "name": "m", "version": "1", "key": "k",
		"value": "1", "timestamp": "1", "alias": "a", "source": "s3://b/m", "new_name": "n", "metric_key": "k", "stage": "None",
		"model_id": model.Model.Info.ModelID, "tag_key": "k", "status": "LOGGED_MODEL_READY", "max_results": "5", "model_json": "{}",
		"experiment_name": "Default", "experiment_ids": "0",
	}
	secrets := []string{s.store.String(), "sqlite", "SQLITE", "select ", "insert into", "goroutine", ".go:"}
	n := 0
	for _, route := range s.router.Routes() {
		if route.Request == nil || strings.Contains(route.Path, "lease") {
			continue
		}
		path := route.Path
		if !strings.HasPrefix(path, "/") {
			path = "/api/2.0/" + path
		}
		for name, value := range good {
			path = strings.ReplaceAll(path, "{"+name+"}", value)
		}
		for _, field := range fieldsOf(route.Request) {
			if strings.Contains(route.Path, "{"+field+"}") {
				continue // the path says it, and has its own tests
			}
			for what, value := range hostile {
				object := map[string]json.RawMessage{}
				for _, other := range fieldsOf(route.Request) {
					if g, ok := good[other]; ok && !strings.Contains(route.Path, "experiments/delete") {
						object[other], _ = json.Marshal(g)
					}
				}
				object[field] = json.RawMessage(value)
				for _, method := range route.Methods {
					target, body := path, ""
					if method == http.MethodGet {
						q := url.Values{}
						for k, v := range object {
							var text string
							if json.Unmarshal(v, &text) != nil || what == "invalid UTF-8" && k == field {
								text = strings.Trim(string(v), `"`)
							}
							q.Add(k, text)
						}
						target += "?" + q.Encode()
					} else {
						body = marshalRaw(object)
					}
					w := call(method, target, body)
					n++
					refuse := method != http.MethodGet && (what == "U+0000" || what == "surrogate" || what == "invalid UTF-8")
					if w.Code >= 500 || refuse && w.Code < 400 {
						t.Errorf("%s %s, %s is %s: %d %.200s", method, route.Path, field, what, w.Code, w.Body)
					}
					if w.Code >= 400 {
						for _, secret := range secrets {
							if bytes.Contains(w.Body.Bytes(), []byte(secret)) && !strings.Contains(value, secret) {
								t.Errorf("%s %s, %s is %s: the answer shows %q: %.300s", method, route.Path, field, what, secret, w.Body)
							}
						}
					}
				}
			}
		}
	}
	if n < 3000 {
		t.Errorf("only %d requests", n)
	}
}

// marshalRaw writes an object whose values need not be valid JSON or UTF-8.
func marshalRaw(object map[string]json.RawMessage) string {
	var b strings.Builder
	b.WriteByte('{')
	for k, v := range object {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + k + `":`)
		b.Write(v)
	}
	b.WriteByte('}')
	return b.String()
}

func fieldsOf(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}
