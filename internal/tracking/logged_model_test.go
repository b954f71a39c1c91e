package tracking_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func (s *server) model(body string) mlflow.LoggedModel {
	s.t.Helper()
	return ok[mlflow.LoggedModelResponse](s, "POST", "logged-models", body).Model
}

func (s *server) getModel(id string) mlflow.LoggedModel {
	s.t.Helper()
	return ok[mlflow.LoggedModelResponse](s, "GET", "logged-models/"+id, "").Model
}

// pointsOf gives a model's metrics as "key@step/time=value run dataset/digest", sorted.
func pointsOf(m mlflow.LoggedModel, names map[string]string) []string {
	var points []string
	for _, p := range m.Data.Metrics {
		points = append(points, fmt.Sprintf("%s@%d/%d=%v %s %s/%s", p.Key, p.Step, p.Timestamp, float64(p.Value), names[p.RunID], p.DatasetName, p.DatasetDigest))
	}
	slices.Sort(points)
	return points
}

func TestALoggedModelsLife(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		status, body := s.send("POST", "logged-models", `{"experiment_id":"0","name":"m"}`)
		var id string
		if i := strings.Index(body, `"model_id":"m-`); i >= 0 {
			id = body[i+len(`"model_id":"`):][:34]
		}
		want := `{"model":{"info":{"model_id":"` + id + `","experiment_id":"0","name":"m","creation_timestamp_ms":1700000000000,"last_updated_timestamp_ms":1700000000000,` +
			`"artifact_uri":"mlflow-artifacts:/0/models/` + id + `/artifacts","status":"LOGGED_MODEL_PENDING","model_type":"","source_run_id":""},"data":{}}}`
		if status != 200 || body != want {
			t.Fatalf("create: %d %s, want %s", status, body, want)
		}
		if strings.Trim(id[2:], "0123456789abcdef") != "" {
			t.Errorf("id %s", id)
		}

		m := s.model(`{"experiment_id":"0","name":"m","model_type":"forest","source_run_id":"r","params":[{"key":"a b/c","value":"1"},{"key":"long","value":"` +
			strings.Repeat("ü", 9001) + `"}],"tags":[{"key":"t","value":"1"},{"key":"t","value":"2"}]}`)
		path := "logged-models/" + m.Info.ModelID
		if m.Info.ModelID == id || m.Info.Name != "m" || m.Info.ModelType != "forest" || m.Info.SourceRunID != "r" {
			t.Errorf("%+v", m.Info)
		}
		if diff := cmp.Diff([]mlflow.KeyValue{{Key: "a b/c", Value: "1"}, {Key: "long", Value: strings.Repeat("ü", 9001)}}, m.Data.Params); diff != "" { // whole, unlike those of runs
			t.Errorf("params: %s", diff)
		}
		if diff := cmp.Diff([]mlflow.KeyValue{{Key: "t", Value: "2"}}, m.Info.Tags); diff != "" {
			t.Errorf("tags, of which the last wins: %s", diff)
		}
		if other := s.model(`{"experiment_id":"0"}`); len(strings.Split(other.Info.Name, "-")) != 3 {
			t.Errorf("a model without a name is called %q", other.Info.Name)
		}

		s.clock.Add(5)
		ready := ok[mlflow.LoggedModelResponse](s, "PATCH", path, `{"model_id":"`+m.Info.ModelID+`","status":2}`).Model.Info
		if ready.Status != mlflow.LoggedModelReady || ready.LastUpdatedTimestamp != 1700000000005 || ready.CreationTimestamp != 1700000000000 {
			t.Errorf("%+v", ready)
		}
		s.fails("PATCH", path, `{"status":"LOGGED_MODEL_DONE"}`, mlflow.CodeInvalidParameterValue, "status")
		s.fails("PATCH", path, `{}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'status'")

		ok[empty](s, "PATCH", path+"/tags", `{"tags":[{"key":"t","value":"3"},{"key":"x/y","value":""}]}`)
		ok[empty](s, "DELETE", path+"/tags/t", `{}`)
		s.fails("DELETE", path+"/tags/t", `{}`, mlflow.CodeResourceDoesNotExist, "No tag with key 't' found for model with ID '"+m.Info.ModelID+"'.")
		if diff := cmp.Diff([]mlflow.KeyValue{{Key: "x/y", Value: ""}}, s.getModel(m.Info.ModelID).Info.Tags); diff != "" {
			t.Errorf("tags: %s", diff)
		}
		ok[empty](s, "DELETE", path+"/tags/x%2Fy", ``)
		ok[empty](s, "POST", path+"/params", `{"model_id":"`+m.Info.ModelID+`","params":[{"key":"n","value":"1"},{"key":"n","value":"1"},{"key":"a b/c","value":"1"}]}`)
		s.fails("POST", path+"/params", `{"params":[{"key":"new","value":"1"},{"key":"n","value":"2"}]}`, mlflow.CodeInvalidParameterValue,
			"Changing param values is not allowed. Param with key='n' was already logged with value='1'")
		if n := len(s.getModel(m.Info.ModelID).Data.Params); n != 3 {
			t.Errorf("%d params: a refused call stores some", n)
		}

		ok[empty](s, "DELETE", path, `{"model_id":"`+m.Info.ModelID+`"}`)
		ok[empty](s, "DELETE", path, `{}`)
		s.fails("GET", path, "", mlflow.CodeResourceDoesNotExist, "Logged model with ID '"+m.Info.ModelID+"' not found.")
		if got := ok[mlflow.LoggedModelResponse](s, "GET", path, "allow_deleted=True").Model; got.Info.ModelID != m.Info.ModelID {
			t.Errorf("a deleted model is %+v", got)
		}
		ok[mlflow.LoggedModelResponse](s, "PATCH", path, `{"status":"LOGGED_MODEL_UPLOAD_FAILED"}`)
		uri, exp, err := s.store.ModelArtifacts(t.Context(), m.Info.ModelID)
		if uri != m.Info.ArtifactURI || exp != "0" || err != nil {
			t.Errorf("ModelArtifacts: %s %s %v", uri, exp, err)
		}
	})
}

func TestFaultsOfLoggedModels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		gone := s.experiment("gone")
		ok[empty](s, "POST", "experiments/delete", `{"experiment_id":"`+gone+`"}`)
		const unknown = "logged-models/m-00000000000000000000000000000000"
		for _, c := range []struct {
			method, path, body string
			code               mlflow.ErrorCode
			text               string
		}{
			{"POST", "logged-models", `{"name":"m"}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'experiment_id'"},
			{"POST", "logged-models", `{"experiment_id":"77"}`, mlflow.CodeResourceDoesNotExist, "No Experiment with id=77 exists"},
			{"POST", "logged-models", `{"experiment_id":"` + gone + `"}`, mlflow.CodeInvalidParameterValue, "must be in the 'active' state"},
			{"POST", "logged-models", `{"experiment_id":"0","name":"a/b"}`, mlflow.CodeInvalidParameterValue, "Invalid model name ('a/b') provided. Model name must be a non-empty string"},
			{"POST", "logged-models", `{"experiment_id":"0","name":"50%"}`, mlflow.CodeInvalidParameterValue, "Invalid model name ('50%') provided."},
			{"POST", "logged-models", `{"experiment_id":"0","name":"` + strings.Repeat("n", 501) + `"}`, mlflow.CodeInvalidParameterValue, "'name' exceeds the maximum length of 500 characters"},
			{"POST", "logged-models", `{"experiment_id":"0","params":[{"key":"p","value":"1"},{"key":"p","value":"1"}]}`, mlflow.CodeInvalidParameterValue, "Duplicate parameter keys"},
			{"POST", "logged-models", `{"experiment_id":"0","tags":[{"value":"1"}]}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'tags[0].key'"},
			{"POST", "logged-models", `{"experiment_id":"0","tags":[{"key":"` + strings.Repeat("k", 256) + `"}]}`, mlflow.CodeInvalidParameterValue, "'tags[0].key' exceeds"},
			{"GET", unknown, ``, mlflow.CodeResourceDoesNotExist, "not found."},
			{"PATCH", unknown, `{"status":2}`, mlflow.CodeResourceDoesNotExist, "not found."},
			{"DELETE", unknown, `{}`, mlflow.CodeResourceDoesNotExist, "not found."},
			{"PATCH", unknown + "/tags", `{"tags":[{"key":"k","value":"v"}]}`, mlflow.CodeResourceDoesNotExist, "not found."},
			{"DELETE", unknown + "/tags/k", `{}`, mlflow.CodeResourceDoesNotExist, "not found."},
			{"POST", unknown + "/params", `{"params":[]}`, mlflow.CodeResourceDoesNotExist, "not found."},
			{"POST", "logged-models/search", `{}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'experiment_ids'"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"max_results":-1}`, mlflow.CodeInvalidParameterValue, "max_results"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"page_token":"?"}`, mlflow.CodeInvalidParameterValue, "Invalid page token"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"filter":"name > 'a'"}`, mlflow.CodeInvalidParameterValue, "Invalid comparator"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"filter":"foo = 'a'"}`, mlflow.CodeInvalidParameterValue, "Invalid attribute key 'foo'"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"filter":"metrics.acc > 'a'"}`, mlflow.CodeInvalidParameterValue, "Expected numeric value type"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"datasets":[{"dataset_digest":"x"}]}`, mlflow.CodeInvalidParameterValue, "datasets[0].dataset_name"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"order_by":[{"field_name":"params.a"}]}`, mlflow.CodeInvalidParameterValue, "Only metrics are supported"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"order_by":[{"field_name":"nothing"}]}`, mlflow.CodeInvalidParameterValue, "Invalid attribute key 'nothing'"},
			{"POST", "logged-models/search", `{"experiment_ids":["0"],"order_by":[{"field_name":"metrics.a","dataset_digest":"x"}]}`, mlflow.CodeInvalidParameterValue, "dataset_name"},
		} {
			s.fails(c.method, c.path, c.body, c.code, c.text)
		}
		if body := ok[map[string]any](s, "POST", "logged-models/search", `{"experiment_ids":[]}`); len(body) != 0 {
			t.Errorf("a search of no experiments gives %v", body)
		}
		if body := ok[map[string]any](s, "POST", "logged-models/search", `{"experiment_ids":["0","77"]}`); len(body) != 0 {
			t.Errorf("an empty search gives %v", body)
		}
	})
}

func TestMetricsOfLoggedModels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		exp := s.experiment("of the model")
		m := s.model(`{"experiment_id":"` + exp + `","name":"m"}`).Info.ModelID
		other := s.model(`{"experiment_id":"` + exp + `","name":"other"}`).Info.ModelID
		a, b := s.run("0"), s.run(exp)
		names := map[string]string{a: "a", b: "b"}
		log := func(body string) {
			t.Helper()
			ok[empty](s, "POST", "runs/log-metric", body)
		}
		log(`{"run_id":"` + a + `","key":"acc","value":0.5,"timestamp":10,"step":1,"model_id":"` + m + `","dataset_name":"d","dataset_digest":"x"}`)
		log(`{"run_id":"` + a + `","key":"acc","value":0.5,"timestamp":10,"step":1,"model_id":"` + m + `"}`)  // the same point
		log(`{"run_id":"` + a + `","key":"acc","value":0.75,"timestamp":10,"step":1,"model_id":"` + m + `"}`) // of the model the first counts
		log(`{"run_id":"` + b + `","key":"acc","value":"NaN","timestamp":10,"step":1,"model_id":"` + m + `"}`)
		log(`{"run_id":"` + b + `","key":"acc","value":9,"timestamp":11,"step":-1}`)
		ok[empty](s, "POST", "runs/log-batch", `{"run_id":"`+b+`","metrics":[
			{"key":"acc","value":"Infinity","timestamp":12,"step":2,"model_id":"`+m+`"},
			{"key":"loss","value":2,"timestamp":12,"model_id":"`+other+`","dataset_name":"d","dataset_digest":"y"},
			{"key":"loss","value":3,"timestamp":13}]}`)

		if diff := cmp.Diff([]string{"acc@1/10=0.5 a d/x", "acc@1/10=NaN b /", "acc@2/12=+Inf b /"}, pointsOf(s.getModel(m), names)); diff != "" {
			t.Errorf("metrics of the model: %s", diff)
		}
		if diff := cmp.Diff([]string{"loss@0/12=2 b d/y"}, pointsOf(s.getModel(other), names)); diff != "" {
			t.Errorf("metrics of the other: %s", diff)
		}
		if p := s.getModel(m).Data.Metrics[0]; p.ModelID != m || p.Key != "acc" {
			t.Errorf("%+v", p)
		}
		// The runs have all points, and do not say which model they are of.
		if got := metricOf(s.get(a), "acc"); got != "0.75@1/10" {
			t.Errorf("a's metric is %s", got)
		}
		if got := metricOf(s.get(b), "loss"); got != "3@0/13" {
			t.Errorf("b's metric is %s", got)
		}
		if _, body := s.send("GET", "runs/get", "run_id="+b); strings.Contains(body, "model_id") || strings.Contains(body, "dataset") {
			t.Errorf("a run tells of models: %s", body)
		}

		// Half a dataset is refused: Python's client could not read the model any more.
		for _, half := range []string{`"dataset_name":"d"`, `"dataset_digest":"y"`} {
			point := `"key":"acc","value":1,"timestamp":99,"model_id":"` + m + `",` + half
			const message = "Both dataset_name and dataset_digest must be provided if one is provided"
			s.fails("POST", "runs/log-metric", `{"run_id":"`+a+`",`+point+`}`, mlflow.CodeInvalidParameterValue, message)
			s.fails("POST", "runs/log-batch", `{"run_id":"`+a+`","metrics":[{`+point+`}]}`, mlflow.CodeInvalidParameterValue, message)
		}

		// An unknown model refuses all of the call.
		s.fails("POST", "runs/log-batch", `{"run_id":"`+a+`","params":[{"key":"p","value":"1"}],"metrics":[{"key":"new","value":1,"timestamp":1,"model_id":"m-no"}]}`,
			mlflow.CodeResourceDoesNotExist, "Logged model with ID 'm-no' not found.")
		s.fails("POST", "runs/log-metric", `{"run_id":"`+a+`","key":"new","value":1,"timestamp":1,"model_id":"m-no"}`, mlflow.CodeResourceDoesNotExist, "m-no")
		if r := s.get(a); len(r.Data.Params) != 0 || metricOf(r, "new") != "none" {
			t.Errorf("a refused call stores %+v", r.Data)
		}
		s.fails("POST", "runs/log-metric", `{"run_id":"`+a+`","key":"k","value":1,"timestamp":1,"dataset_name":"d","dataset_digest":"`+strings.Repeat("x", 37)+`"}`,
			mlflow.CodeInvalidParameterValue, "'dataset_digest' exceeds the maximum length of 36 characters")
	})
}

// Waiting calls are applied together; one that names an unknown model fails alone.
func TestManyMetricsOfLoggedModelsAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		const n = 40
		m := s.model(`{"experiment_id":"0"}`).Info.ModelID
		run := s.run("0")
		codes := make(chan int, n)
		for i := range n {
			go func() {
				model := m
				if i%10 == 9 {
					model = "m-unknown"
				}
				code, _ := s.send("POST", "runs/log-batch", fmt.Sprintf(
					`{"run_id":"%s","metrics":[{"key":"k%d","value":%d,"timestamp":%d,"model_id":"%s"},{"key":"all","value":%d,"timestamp":%d,"model_id":"%s"}]}`,
					run, i%3, i, i, model, i, i, model))
				codes <- code
			}()
		}
		got := map[int]int{}
		for range n {
			got[<-codes]++
		}
		if diff := cmp.Diff(map[int]int{http.StatusOK: n * 9 / 10, http.StatusNotFound: n / 10}, got); diff != "" {
			t.Error(diff)
		}
		if points := len(s.getModel(m).Data.Metrics); points != 2*n*9/10 {
			t.Errorf("the model has %d points", points)
		}
	})
}

// The registry tags the logged model that a version is made of, in its own transaction.
func TestVersionsAreNotedWithTheirLoggedModel(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		m := s.model(`{"experiment_id":"0","name":"m","source_run_id":"r"}`)
		id := m.Info.ModelID
		link := func(model, name string, version int64) error {
			return db.Write(t.Context(), func(tx *sqldb.Tx) error {
				location, run, err := s.store.LoggedModelSource(tx, model)
				if err == nil && (location != m.Info.ArtifactURI || run != "r") {
					t.Errorf("its source is %s of %s", location, run)
				}
				if err == nil {
					err = s.store.LinkModelVersion(tx, model, name, version)
				}
				return err
			})
		}
		for _, v := range []struct {
			name   string
			number int64
		}{{"ü & <b>", 1}, {"second", 1}, {"second", 2}, {"second", 1}} {
			if err := link(id, v.name, v.number); err != nil {
				t.Fatal(err)
			}
		}
		want := []mlflow.KeyValue{{Key: "mlflow.modelVersions", Value: `[{"name": "\u00fc & <b>", "version": 1}, {"name": "second", "version": 1}, {"name": "second", "version": 2}]`}}
		if diff := cmp.Diff(want, s.getModel(id).Info.Tags); diff != "" {
			t.Error(diff)
		}
		ok[empty](s, "PATCH", "logged-models/"+id+"/tags", `{"tags":[{"key":"mlflow.modelVersions","value":"text"}]}`)
		if err := link(id, "third", 1); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("a tag that is no list: %v", err)
		}
		ok[empty](s, "DELETE", "logged-models/"+id, `{}`)
		for _, model := range []string{id, "m-none"} {
			if err := link(model, "third", 1); mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
				t.Errorf("a deleted or unknown model: %v", err)
			}
		}
	})
}

// noModels is a policy that lets nobody change logged models.
type noModels struct{ scoped }

func (noModels) Allow(_ context.Context, _ api.Actor, p api.Permission, id string) error {
	if p.Resource.Kind == "logged_model" && p.Level == api.LevelEdit {
		return mlflow.Errorf(mlflow.CodePermissionDenied, "model %s", id)
	}
	return nil
}

// Who may write to a run may not for that reason write to every model.
func TestMetricsOfAModelNeedItsPermission(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		m := s.model(`{"experiment_id":"0"}`).Info.ModelID
		run := s.run("0")
		s.router.Policy = noModels{}
		s.fails("POST", "runs/log-metric", `{"run_id":"`+run+`","key":"k","value":1,"timestamp":1,"model_id":"`+m+`"}`, mlflow.CodePermissionDenied, m)
		s.fails("POST", "runs/log-batch", `{"run_id":"`+run+`","metrics":[{"key":"k","value":1,"timestamp":1},{"key":"k","value":1,"timestamp":1,"model_id":"`+m+`"}]}`,
			mlflow.CodePermissionDenied, m)
		s.fails("PATCH", "logged-models/"+m+"/tags", `{"tags":[]}`, mlflow.CodePermissionDenied, m)
		ok[empty](s, "POST", "runs/log-metric", `{"run_id":"`+run+`","key":"k","value":1,"timestamp":1}`)
		if points := s.getModel(m).Data.Metrics; len(points) != 0 {
			t.Errorf("%v", points)
		}
	})
}
