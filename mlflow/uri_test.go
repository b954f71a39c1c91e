package mlflow

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const modelID = "m-0123456789abcdef0123456789abcdef"

func TestParseModelURI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		uri  string
		want ModelURI
		ok   bool
	}{
		{"models:/name/7", ModelURI{Name: "name", Version: "7"}, true},
		{"models:/a name.x/12", ModelURI{Name: "a name.x", Version: "12"}, true},
		{"models:///name/7", ModelURI{Name: "name", Version: "7"}, true},
		{"models:/name/Production", ModelURI{Name: "name", Stage: "Production"}, true},
		{"models:/name/production", ModelURI{Name: "name", Stage: "production"}, true},
		{"models:/name/latest", ModelURI{Name: "name", Latest: true}, true},
		{"models:/name/LATEST", ModelURI{Name: "name", Latest: true}, true},
		{"models:/name@champion", ModelURI{Name: "name", Alias: "champion"}, true},
		{"models:/na@me@champion", ModelURI{Name: "na@me", Alias: "champion"}, true},
		{"models:/" + modelID, ModelURI{ModelID: modelID}, true},
		{"MODELS:/name/7", ModelURI{Name: "name", Version: "7"}, true},
		{"models:name", ModelURI{}, false},
		{"models:/", ModelURI{}, false},
		{"models:", ModelURI{}, false},
		{"models:/name", ModelURI{}, false},
		{"models:/name@", ModelURI{}, false},
		{"models:/@alias", ModelURI{}, false},
		{"models:/a/b/c", ModelURI{}, false},
		{"models:/a//1", ModelURI{}, false},
		{"models:/name/ ", ModelURI{}, false},
		{"models://profile@databricks/name/1", ModelURI{}, false},
		{"runs:/r/m", ModelURI{}, false},
		{"m-0123", ModelURI{}, false},
		{"", ModelURI{}, false},
	}
	for _, tt := range tests {
		got, err := ParseModelURI(tt.uri)
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("%q: %+v, %v", tt.uri, got, err)
		}
		if err != nil && CodeOf(err) != CodeInvalidParameterValue {
			t.Errorf("%q: code %s", tt.uri, CodeOf(err))
		}
	}
	if _, err := ParseModelURI("models:/a/b/c"); !strings.Contains(err.Error(), "Not a proper models:/ URI") {
		t.Error(err)
	}
}

func TestJoinURI(t *testing.T) {
	t.Parallel()
	tests := []struct{ base, rel, want string }{
		{"mlflow-artifacts:/1/r/artifacts", "a dir/100%#?.csv", "mlflow-artifacts:/1/r/artifacts/a dir/100%#?.csv"},
		{"mlflow-artifacts:/", "x", "mlflow-artifacts:/x"},
		{"/abs/dir/", "x", "/abs/dir/x"},
		{"file:///abs/a%20b", "100%.csv", "file:///abs/a%20b/100%25.csv"},
		{"s3://b/p?x=1", "m/f", "s3://b/p/m/f?x=1"},
		{"runs:/r", "", "runs:/r"},
		{"models:/m/1", "/sub/", "models:/m/1/sub"},
	}
	for _, tt := range tests {
		if got := JoinURI(tt.base, tt.rel); got != tt.want {
			t.Errorf("JoinURI(%q, %q) = %q, want %q", tt.base, tt.rel, got, tt.want)
		}
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		uri, want string
		ok        bool
	}{
		{"/abs/x", "/abs/x", true},
		{"rel/x", "rel/x", true},
		{"C:/x", "C:/x", true},
		{"./a:b", "./a:b", true},
		{"file:///abs/a%20b", "/abs/a b", true},
		{"file:/abs", "/abs", true},
		{"file:rel/x", "rel/x", true},
		{"file://localhost/abs", "/abs", true},
		{"file:///abs/100%.csv", "/abs/100%.csv", true},
		{"file://host/abs", "", false},
		{"mlflow-artifacts:/x", "", false},
		{"s3://b/x", "", false},
	}
	for _, tt := range tests {
		if got, ok := LocalPath(tt.uri); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %q, %v", tt.uri, got, ok)
		}
	}
}

// registry answers the calls that URIs are resolved with.
func registry(t *testing.T, loggedModels bool, asked *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/api/2.0/mlflow/")
		*asked = append(*asked, path)
		fail := func(status int, code ErrorCode) {
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(Error{code, "no"})
		}
		q := r.URL.Query()
		switch path {
		case "runs/get":
			if q.Get("run_id") != "R" {
				fail(404, CodeResourceDoesNotExist)
				return
			}
			io.WriteString(w, `{"run":{"info":{"run_id":"R","experiment_id":"1","artifact_uri":"mlflow-artifacts:/1/R/artifacts"}}}`)
		case "logged-models/search":
			if !loggedModels {
				fail(404, CodeEndpointNotFound)
				return
			}
			body, _ := io.ReadAll(r.Body)
			if strings.Contains(string(body), "name = 'm'") && strings.Contains(string(body), "source_run_id = 'R'") {
				io.WriteString(w, `{"models":[{"info":{"artifact_uri":"mlflow-artifacts:/1/models/M/artifacts","source_run_id":"R"}}]}`)
				return
			}
			io.WriteString(w, `{}`)
		case "logged-models/" + modelID:
			io.WriteString(w, `{"model":{"info":{"artifact_uri":"mlflow-artifacts:/1/models/`+modelID+`/artifacts"}}}`)
		case "registered-models/alias":
			if q.Get("alias") != "champion" {
				fail(400, CodeInvalidParameterValue)
				return
			}
			io.WriteString(w, `{"model_version":{"name":"`+q.Get("name")+`","version":"3"}}`)
		case "registered-models/get-latest-versions":
			var req GetLatestVersionsRequest
			json.NewDecoder(r.Body).Decode(&req)
			switch {
			case len(req.Stages) == 0:
				io.WriteString(w, `{"model_versions":[{"version":"9"},{"version":"10"},{"version":"2"}]}`)
			case strings.EqualFold(req.Stages[0], "production"):
				io.WriteString(w, `{"model_versions":[{"version":"2"}]}`)
			default:
				io.WriteString(w, `{}`)
			}
		case "model-versions/get-download-uri":
			switch v := q.Get("version"); v {
			case "77":
				io.WriteString(w, `{"artifact_uri":"runs:/R/m2"}`)
			case "66":
				io.WriteString(w, `{"artifact_uri":"models:/`+q.Get("name")+`/66"}`)
			default:
				io.WriteString(w, `{"artifact_uri":"mlflow-artifacts:/`+q.Get("name")+"-"+v+`"}`)
			}
		default:
			t.Errorf("unexpected request %s", path)
			fail(404, CodeEndpointNotFound)
		}
	}
}

func TestResolveURI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		uri, want string
		code      ErrorCode
	}{
		{"models:/n/7", "mlflow-artifacts:/n-7", ""},
		{"models:/n/7/sub/a b", "mlflow-artifacts:/n-7/sub/a b", ""},
		{"models:/n/Production", "mlflow-artifacts:/n-2", ""},
		{"models:/n/production/x", "mlflow-artifacts:/n-2/x", ""},
		{"models:/n/latest", "mlflow-artifacts:/n-10", ""},
		{"models:/n@champion", "mlflow-artifacts:/n-3", ""},
		{"models:/n@champion/sub/f", "mlflow-artifacts:/n-3/sub/f", ""},
		{"models:/" + modelID, "mlflow-artifacts:/1/models/" + modelID + "/artifacts", ""},
		{"models:/" + modelID + "/f", "mlflow-artifacts:/1/models/" + modelID + "/artifacts/f", ""},
		{"models:/n/77/f", "mlflow-artifacts:/1/R/artifacts/m2/f", ""},
		{"runs:/R", "mlflow-artifacts:/1/R/artifacts", ""},
		{"runs:/R/", "mlflow-artifacts:/1/R/artifacts", ""},
		{"runs:/R/other/100%", "mlflow-artifacts:/1/R/artifacts/other/100%", ""},
		{"runs:/R/m/sub", "mlflow-artifacts:/1/models/M/artifacts/sub", ""},
		{"mlflow-artifacts:/x", "mlflow-artifacts:/x", ""},
		{"/local", "/local", ""},
		{"models:/n/66", "", CodeInvalidParameterValue},
		{"models:/n/Staging", "", CodeResourceDoesNotExist},
		{"models:/n@nobody", "", CodeInvalidParameterValue},
		{"models:n", "", CodeInvalidParameterValue},
		{"runs:/", "", CodeInvalidParameterValue},
		{"runs:R/x", "", CodeInvalidParameterValue},
		{"runs://host/R/x", "", CodeInvalidParameterValue},
		{"runs:/Q/x", "", CodeResourceDoesNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.uri, func(t *testing.T) {
			t.Parallel()
			var asked []string
			c, _ := newTestClient(t, ClientOptions{}, registry(t, true, &asked))
			got, err := c.ResolveURI(t.Context(), tt.uri)
			if got != tt.want || (tt.code == "") != (err == nil) || (err != nil && CodeOf(err) != tt.code) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestAServerWithoutLoggedModelsIsAskedForThemOnce(t *testing.T) {
	t.Parallel()
	var asked []string
	c, _ := newTestClient(t, ClientOptions{}, registry(t, false, &asked))
	for range 2 {
		got, err := c.ResolveURI(t.Context(), "runs:/R/m")
		if err != nil || got != "mlflow-artifacts:/1/R/artifacts/m" {
			t.Fatal(got, err)
		}
	}
	if diff := cmp.Diff([]string{"runs/get", "logged-models/search", "runs/get"}, asked); diff != "" {
		t.Error(diff)
	}
}
