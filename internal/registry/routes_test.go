package registry

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/api"
)

// call sends one request to the mounted store.
func call(t *testing.T, s *Store, p api.Policy, method, target, body string) (int, string) {
	t.Helper()
	rt := &api.Router{Policy: p}
	s.Mount(rt)
	r := httptest.NewRequestWithContext(t.Context(), method, "/api/2.0/mlflow/"+target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// namesIn lists the names of models, or of versions, that are not part of one another.
func namesIn(body string) (names []string) {
	var page struct {
		Models   []struct{ Name string } `json:"registered_models"`
		Versions []struct{ Name string } `json:"model_versions"`
	}
	if json.Unmarshal([]byte(body), &page) != nil {
		return []string{body}
	}
	for _, m := range append(page.Models, page.Versions...) {
		names = append(names, m.Name)
	}
	return names
}

// TestRoutesAnswerAsClientsExpect is a session on the wire: what Python, R and Java send, and what they read.
func TestRoutesAnswerAsClientsExpect(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		for _, c := range []struct {
			method, target, body string
			status               int
			want                 string // a part of the answer; with = the whole of it
		}{
			{"POST", "registered-models/create", `{"name":"m","tags":[{"key":"k","value":"v"}]}`, 200, `{"registered_model":{"name":"m","creation_timestamp":`},
			{"POST", "registered-models/create", `{}`, 400, "Missing value for required parameter 'name'"},
			{"POST", "registered-models/create", `{"name":"m"}`, 400, `"error_code":"RESOURCE_ALREADY_EXISTS"`},
			{"GET", "registered-models/get?name=m", "", 200, `"tags":[{"key":"k","value":"v"}]}}`},
			{"GET", "registered-models/get?name=x", "", 404, `"RESOURCE_DOES_NOT_EXIST"`},
			{"GET", "model-versions/search", "", 200, "={}"},
			{"POST", "model-versions/create", `{"name":"m","source":"s3://b/x"}`, 200, `"current_stage":"None","description":"","source":"s3://b/x","run_id":"","status":"READY","run_link":""}}`},
			{"POST", "model-versions/create", `{"name":"m"}`, 400, "Missing value for required parameter 'source'"},
			{"GET", "model-versions/get?name=m&version=1", "", 200, `"version":"1"`},
			{"GET", "model-versions/get?name=m&version=x", "", 400, "Parameter 'version' must be an integer, got 'x'."},
			{"GET", "model-versions/get?name=m", "", 400, "Missing value for required parameter 'version'"},
			{"PATCH", "model-versions/update", `{"name":"m","version":1}`, 200, `"current_stage":"None","source"`},
			{"POST", "model-versions/transition-stage", `{"name":"m","version":"1","stage":"production","archive_existing_versions":"TRUE"}`, 200, `"current_stage":"Production"`},
			{"GET", "model-versions/get-download-uri?name=m&version=1", "", 200, `={"artifact_uri":"s3://b/x"}`},
			{"POST", "registered-models/alias", `{"name":"m","alias":"champion","version":"1"}`, 200, "={}"},
			{"GET", "registered-models/alias?name=m&alias=champion", "", 200, `"aliases":["champion"]`},
			{"GET", "registered-models/alias?name=m&alias=none", "", 400, "Registered model alias none not found."},
			{"GET", "registered-models/get?name=m", "", 200, `"aliases":[{"alias":"champion","version":"1"}]`},
			{"POST", "registered-models/get-latest-versions", `{"name":"m","stages":["Production"]}`, 200, `"version":"1"`},
			{"GET", "registered-models/get-latest-versions?name=m&stages=None&stages=Staging", "", 200, "={}"},
			{"POST", "registered-models/search", `{"filter":"name = 'm'","max_results":"10"}`, 200, `{"registered_models":[{"name":"m"`},
			{"GET", "registered-models/search?filter=name+ilike+%27M%27&order_by=name+ASC", "", 200, `"latest_versions":[{`},
			{"GET", "registered-models/list?max_results=1", "", 200, `{"registered_models":[{"name":"m"`},
			{"GET", "registered-models/search?max_results=1001", "", 400, "Invalid value 1001 for parameter 'max_results' supplied"},
			{"POST", "model-versions/search", `{"filter":"name='m'"}`, 200, `"aliases":["champion"]`},
			{"POST", "registered-models/set-tag", `{"name":"m","key":"a","value":"b"}`, 200, "={}"},
			{"DELETE", "registered-models/delete-tag", `{"name":"m","key":"a"}`, 200, "={}"},
			{"POST", "model-versions/set-tag", `{"name":"m","version":"1","key":"a"}`, 200, "={}"},
			{"DELETE", "model-versions/delete-tag", `{"name":"m","version":"1","key":"a"}`, 200, "={}"},
			{"DELETE", "registered-models/alias", `{"name":"m","alias":"champion"}`, 200, "={}"},
			{"POST", "registered-models/rename", `{"name":"m","new_name":"n"}`, 200, `"name":"n"`},
			{"PATCH", "registered-models/update", `{"name":"n","description":"text"}`, 200, `"description":"text"`},
			{"DELETE", "model-versions/delete", `{"name":"n","version":"1"}`, 200, "={}"},
			{"DELETE", "registered-models/delete", `{"name":"n"}`, 200, "={}"},
			{"GET", "registered-models/search", "", 200, "={}"},
			{"PUT", "registered-models/search", `{}`, 405, "METHOD_NOT_ALLOWED"},
		} {
			status, body := call(t, s, nil, c.method, c.target, c.body)
			whole, exact := strings.CutPrefix(c.want, "=")
			if status != c.status || exact && body != whole || !exact && !strings.Contains(body, c.want) {
				t.Errorf("%s %s %s:\n got  %d %s\n want %d %s", c.method, c.target, c.body, status, body, c.status, c.want)
			}
		}
	})
}

func TestEveryRouteOfTheContractIsMounted(t *testing.T) {
	t.Parallel()
	rt := &api.Router{}
	(&Store{}).Mount(rt)
	have := map[string]bool{}
	for _, r := range rt.Routes() {
		for _, m := range r.Methods {
			have[m+" "+strings.TrimPrefix(r.Path, "mlflow/")] = true
		}
		if r.Permission.Level == api.LevelPublic {
			t.Errorf("%s is public", r.Path)
		}
	}
	for _, want := range strings.Fields(`
		POST:registered-models/create GET:registered-models/get POST:registered-models/rename PATCH:registered-models/update
		DELETE:registered-models/delete GET:registered-models/search POST:registered-models/search
		POST:registered-models/get-latest-versions GET:registered-models/get-latest-versions POST:registered-models/set-tag
		DELETE:registered-models/delete-tag POST:registered-models/alias DELETE:registered-models/alias GET:registered-models/alias
		POST:model-versions/create GET:model-versions/get PATCH:model-versions/update POST:model-versions/transition-stage
		DELETE:model-versions/delete GET:model-versions/search POST:model-versions/search GET:model-versions/get-download-uri
		POST:model-versions/set-tag DELETE:model-versions/delete-tag`) {
		if !have[strings.Replace(want, ":", " ", 1)] {
			t.Errorf("%s is not mounted", want)
		}
	}
}
