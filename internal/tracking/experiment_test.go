package tracking_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func TestAnExperimentIsMadeReadRenamedTaggedDeletedAndRestored(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		got := ok[mlflow.ExperimentResponse](s, "GET", "experiments/get", "experiment_id=0").Experiment
		want := mlflow.Experiment{ExperimentID: "0", Name: "Default", ArtifactLocation: "mlflow-artifacts:/0", LifecycleStage: "active",
			CreationTime: 1_700_000_000_000, LastUpdateTime: 1_700_000_000_000}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("default experiment: %s", diff)
		}
		id := s.experiment("iris")
		if id != "1" {
			t.Errorf("the first id is %s", id)
		}
		s.clock.Add(1000)
		ok[empty](s, "POST", "experiments/set-experiment-tag", `{"experiment_id":"1","key":"k","value":"v1"}`)
		ok[empty](s, "POST", "experiments/set-experiment-tag", `{"experiment_id":1,"key":"k","value":"v2"}`)
		ok[empty](s, "POST", "experiments/set-experiment-tag", `{"experiment_id":"1","key":"empty"}`)
		ok[empty](s, "POST", "experiments/update", `{"experiment_id":"1","new_name":"Iris ü"}`)
		want = mlflow.Experiment{ExperimentID: "1", Name: "Iris ü", ArtifactLocation: "mlflow-artifacts:/1", LifecycleStage: "active",
			CreationTime: 1_700_000_000_000, LastUpdateTime: 1_700_000_001_000, Tags: []mlflow.KeyValue{{Key: "empty"}, {Key: "k", Value: "v2"}}}
		byID := ok[mlflow.ExperimentResponse](s, "GET", "experiments/get", "experiment_id=01")
		byName := ok[mlflow.ExperimentResponse](s, "GET", "experiments/get-by-name", "experiment_name=Iris+%C3%BC")
		for _, got := range []mlflow.ExperimentResponse{byID, byName} {
			if diff := cmp.Diff(want, got.Experiment); diff != "" {
				t.Error(diff)
			}
		}
		ok[empty](s, "POST", "experiments/delete-experiment-tag", `{"experiment_id":"1","key":"empty"}`)
		s.fails("POST", "experiments/delete-experiment-tag", `{"experiment_id":"1","key":"empty"}`, mlflow.CodeResourceDoesNotExist,
			"No tag with name: empty in experiment with id 1")

		run := s.run("1")
		alone := s.run("1")
		ok[empty](s, "POST", "runs/delete", mlflow.RunRequest{RunID: alone})
		ok[empty](s, "POST", "experiments/delete", `{"experiment_id":"1"}`)
		for _, id := range []string{run, alone} {
			if got := s.get(id).Info.LifecycleStage; got != "deleted" {
				t.Errorf("run %s of the deleted experiment is %s", id, got)
			}
		}
		s.fails("POST", "experiments/delete", `{"experiment_id":"1"}`, mlflow.CodeResourceDoesNotExist, "Could not find experiment with ID 1", "No Experiment with id=1 exists")
		s.fails("POST", "experiments/update", `{"experiment_id":"1","new_name":"x"}`, mlflow.CodeInvalidParameterValue, "Cannot rename a non-active experiment.")
		s.fails("POST", "experiments/set-experiment-tag", `{"experiment_id":"1","key":"k","value":"v"}`, mlflow.CodeInvalidParameterValue,
			"The experiment 1 must be in the 'active' state. Current state is deleted.")
		s.fails("POST", "runs/create", `{"experiment_id":"1"}`, mlflow.CodeInvalidParameterValue, "The experiment 1 must be in the 'active' state")
		s.fails("POST", "experiments/create", `{"name":"Iris ü"}`, mlflow.CodeResourceAlreadyExists, "already exists")
		ok[empty](s, "POST", "experiments/restore", `{"experiment_id":"1"}`)
		s.fails("POST", "experiments/restore", `{"experiment_id":"1"}`, mlflow.CodeResourceDoesNotExist)
		for _, id := range []string{run, alone} {
			if got := s.get(id).Info.LifecycleStage; got != "active" {
				t.Errorf("run %s of the restored experiment is %s", id, got)
			}
		}
		if next := s.experiment("second"); next != "2" {
			t.Errorf("the second id is %s", next)
		}
	})
}

func TestFaultsOfExperimentsHaveMLflowsMessages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		s.experiment("taken")
		long := strings.Repeat("ä", 501)
		for _, tc := range []struct {
			method, path, body string
			code               mlflow.ErrorCode
			message            string
		}{
			{"POST", "experiments/create", `{}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'name'"},
			{"POST", "experiments/create", `{"name":" "}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'name'"},
			{"POST", "experiments/create", `{"name":3}`, mlflow.CodeInvalidParameterValue, "Invalid value 3 for parameter 'name' supplied"},
			{"POST", "experiments/create", `{"name":"a\u0000b"}`, mlflow.CodeInvalidParameterValue, "U+0000"},
			{"POST", "experiments/create", `{"name":"` + long + `"}`, mlflow.CodeInvalidParameterValue, "'name' exceeds the maximum length of 500 characters"},
			{"POST", "experiments/create", `{"name":"taken"}`, mlflow.CodeResourceAlreadyExists, "Experiment 'taken' already exists"},
			{"POST", "experiments/create", `{"name":"x","tags":[{"value":"v"}]}`, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'tags[0].key'"},
			{"POST", "experiments/create", `{"name":"x","tags":[{"key":"../a"}]}`, mlflow.CodeInvalidParameterValue, "would resolve to '../a'"},
			{"POST", "experiments/create", `{"name":"x","artifact_location":"s3://b/p#f"}`, mlflow.CodeInvalidParameterValue, "can't include fragments or params"},
			{"POST", "experiments/create", `{"name":"x","artifact_location":"s3://b/p?x=../y"}`, mlflow.CodeInvalidParameterValue, "Invalid query string"},
			{"POST", "experiments/create", `{"name":"x","artifact_location":"runs:/a/b"}`, mlflow.CodeInvalidParameterValue, "Artifact location cannot be a runs:/ URI"},
			{"POST", "experiments/create", `{"name":"x","artifact_location":"http://h/p"}`, mlflow.CodeInvalidParameterValue, "cannot use the 'http' scheme"},
			{"POST", "experiments/create", `{"name":"x","artifact_location":"mlflow-artifacts://h/p"}`, mlflow.CodeInvalidParameterValue, "cannot use the 'mlflow-artifacts' scheme"},
			{"GET", "experiments/get", "experiment_id=42", mlflow.CodeResourceDoesNotExist, "Could not find experiment with ID 42"},
			{"GET", "experiments/get", "experiment_id=abc", mlflow.CodeResourceDoesNotExist, "No Experiment with id=abc exists"},
			{"GET", "experiments/get-by-name", "experiment_name=exp", mlflow.CodeResourceDoesNotExist, "Could not find experiment with name 'exp'"},
			{"POST", "experiments/update", `{"experiment_id":"0","new_name":"taken"}`, mlflow.CodeResourceAlreadyExists, "already exists"},
			{"POST", "experiments/update", `{"experiment_id":"0","new_name":"` + long + `"}`, mlflow.CodeInvalidParameterValue, "'name' exceeds the maximum length of 500 characters"},
			{"POST", "experiments/set-experiment-tag", `{"experiment_id":"0","key":"k","value":"` + strings.Repeat("v", 20001) + `"}`, mlflow.CodeInvalidParameterValue, "'value' exceeds the maximum length of 20000"},
			{"POST", "experiments/search", `{"max_results":50001}`, mlflow.CodeInvalidParameterValue, "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000"},
			{"POST", "experiments/search", `{"max_results":0}`, mlflow.CodeInvalidParameterValue, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"},
			{"POST", "experiments/search", `{"filter":"name > 'a'"}`, mlflow.CodeInvalidParameterValue, "comparator"},
			{"POST", "experiments/search", `{"page_token":"%%%"}`, mlflow.CodeInvalidParameterValue, "Invalid page token, could not base64-decode"},
			{"POST", "experiments/search", `{"page_token":"YWJj"}`, mlflow.CodeInvalidParameterValue, "Invalid page token, decoded value="},
			{"POST", "experiments/search", `{"page_token":"W10"}`, mlflow.CodeInvalidParameterValue, "Invalid page token, parsed value="},
		} {
			s.fails(tc.method, tc.path, tc.body, tc.code, tc.message)
		}
	})
}

func TestArtifactLocationsAreKeptOrMadeAbsolute(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		i := 0
		for location, want := range map[string][2]string{
			"art_loc":             {"/srv/art_loc", "/srv/art_loc/RUN/artifacts"},
			"/abs/dir":            {"/abs/dir", "/abs/dir/RUN/artifacts"},
			"file:rel/x":          {"file:///srv/rel/x", "file:///srv/rel/x/RUN/artifacts"},
			"file:///abs":         {"file:///abs", "file:///abs/RUN/artifacts"},
			"s3://b/p?x=1":        {"s3://b/p?x=1", "s3://b/p/RUN/artifacts?x=1"},
			"gs://bucket":         {"gs://bucket", "gs://bucket/RUN/artifacts"},
			"dbfs:/a;b":           {"dbfs:/a;b", "dbfs:/a;b/RUN/artifacts"},
			"mlflow-artifacts:/x": {"mlflow-artifacts:/x", "mlflow-artifacts:/x/RUN/artifacts"},
		} {
			i++
			id := ok[mlflow.CreateExperimentResponse](s, "POST", "experiments/create",
				mlflow.CreateExperimentRequest{Name: fmt.Sprint("e", i), ArtifactLocation: location}).ExperimentID
			if got := ok[mlflow.ExperimentResponse](s, "GET", "experiments/get", "experiment_id="+id).Experiment.ArtifactLocation; got != want[0] {
				t.Errorf("%s became %s, want %s", location, got, want[0])
			}
			run := s.get(s.run(id)).Info
			if want := strings.Replace(want[1], "RUN", run.RunID, 1); run.ArtifactURI != want {
				t.Errorf("%s: a run has %s, want %s", location, run.ArtifactURI, want)
			}
			uri, exp, err := s.store.RunArtifacts(t.Context(), run.RunID)
			if uri != run.ArtifactURI || exp != id || err != nil {
				t.Errorf("RunArtifacts: %s, %s, %v", uri, exp, err)
			}
		}
	})
}

func TestExperimentsAreSearchedSortedAndPaged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		for i, name := range []string{"a", "B", "Äpfel", "b_1", "c%"} {
			s.clock.Add(10)
			id := s.experiment(name)
			ok[empty](s, "POST", "experiments/set-experiment-tag", mlflow.SetExperimentTagRequest{ExperimentID: id, Key: "n", Value: fmt.Sprint(i % 2)})
		}
		ok[empty](s, "POST", "experiments/delete", `{"experiment_id":"5"}`)
		find := func(req mlflow.SearchExperimentsRequest) (names []string) {
			for {
				resp := ok[mlflow.SearchExperimentsResponse](s, "POST", "experiments/search", req)
				for _, e := range resp.Experiments {
					names = append(names, e.Name)
				}
				if req.PageToken = resp.NextPageToken; req.PageToken == "" {
					return names
				}
			}
		}
		for _, tc := range []struct {
			req  mlflow.SearchExperimentsRequest
			want []string
		}{
			{mlflow.SearchExperimentsRequest{}, []string{"b_1", "Äpfel", "B", "a", "Default"}},
			{mlflow.SearchExperimentsRequest{ViewType: mlflow.All}, []string{"c%", "b_1", "Äpfel", "B", "a", "Default"}},
			{mlflow.SearchExperimentsRequest{ViewType: mlflow.DeletedOnly}, []string{"c%"}},
			{mlflow.SearchExperimentsRequest{Filter: "name = 'a'"}, []string{"a"}},
			{mlflow.SearchExperimentsRequest{Filter: "name LIKE 'b%'"}, []string{"b_1"}},
			{mlflow.SearchExperimentsRequest{Filter: "name ILIKE 'b%'"}, []string{"b_1", "B"}},
			{mlflow.SearchExperimentsRequest{Filter: "name ILIKE 'ä%'"}, []string{"Äpfel"}},
			{mlflow.SearchExperimentsRequest{Filter: "name ILIKE '%' AND tags.n = '1'"}, []string{"b_1", "B"}},
			{mlflow.SearchExperimentsRequest{Filter: "tags.n != '1'"}, []string{"Äpfel", "a"}},
			{mlflow.SearchExperimentsRequest{Filter: "tags.n IS NULL"}, []string{"Default"}},
			{mlflow.SearchExperimentsRequest{Filter: "creation_time > 1700000000020"}, []string{"b_1", "Äpfel"}},
			{mlflow.SearchExperimentsRequest{Filter: "experiment_id IN ('1', '3')"}, []string{"Äpfel", "a"}},
			{mlflow.SearchExperimentsRequest{OrderBy: []string{"name"}}, []string{"B", "Default", "a", "b_1", "Äpfel"}},
			{mlflow.SearchExperimentsRequest{OrderBy: []string{"attribute.name desc"}}, []string{"Äpfel", "b_1", "a", "Default", "B"}},
			{mlflow.SearchExperimentsRequest{OrderBy: []string{"experiment_id ASC"}}, []string{"Default", "a", "B", "Äpfel", "b_1"}},
		} {
			for _, size := range []int64{0, 1, 2} {
				req := tc.req
				if size > 0 {
					req.MaxResults = mlflow.Some(size)
				}
				if diff := cmp.Diff(tc.want, find(req)); diff != "" {
					t.Errorf("%+v: %s", req, diff)
				}
			}
		}
		// Clients of MLflow 1 list with a GET.
		if got := ok[mlflow.SearchExperimentsResponse](s, "GET", "experiments/list", "view_type=ALL&max_results=1"); len(got.Experiments) != 1 || got.NextPageToken == "" {
			t.Errorf("experiments/list: %+v", got)
		}
		if _, body := s.send("POST", "experiments/search", `{"filter":"name = 'nobody'","max_results":"10"}`); body != "{}" {
			t.Errorf("no result is %s", body)
		}
	})
}

func TestOneOfManyCreatesOfTheSameNameWins(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		servers := []*server{newServer(t, sqldbtest.Open(t, uri)), newServer(t, sqldbtest.Open(t, uri))}
		const n = 64
		status := make([]int, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				status[i], _ = servers[i%2].send("POST", "experiments/create", fmt.Sprintf(`{"name":"race %d"}`, i%4))
			})
		}
		wg.Wait()
		won := 0
		for _, code := range status {
			switch code {
			case 200:
				won++
			case 400:
			default:
				t.Errorf("status %d", code)
			}
		}
		if won != 4 {
			t.Errorf("%d creates of 4 names succeeded", won)
		}
	})
}

func TestDeletingAnExperimentMarksEveryOneOfManyRuns(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		id := s.experiment("big")
		const n = 2500
		if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for i := range n {
				if _, err := tx.Exec(`insert into run (uuid, exp_id, name, user_id, status, start_time, artifact_uri)
					select $1, id, 'n', '', 'RUNNING', 1, '' from experiment where public_id = $2`, fmt.Sprintf("r%d", i), id); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		count := func(where string) (n int) {
			t.Helper()
			if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
				return tx.QueryRow(`select count(*) from run where ` + where).Scan(&n)
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		body := fmt.Sprintf(`{"experiment_id":%q}`, id)
		ok[empty](s, "POST", "experiments/delete", body)
		if got := count("deleted = 1 and deleted_at is not null"); got != n {
			t.Errorf("%d of %d runs are deleted", got, n)
		}
		ok[empty](s, "POST", "experiments/restore", body)
		if got := count("deleted = 0 and deleted_at is null"); got != n {
			t.Errorf("%d of %d runs are restored", got, n)
		}
		var actor string
		if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow(`select max(actor) from tracking_history where kind = 'experiment' and object_id = $1 and action = 'delete'`, id).Scan(&actor)
		}); err != nil || actor != "local" {
			t.Errorf("the history names %q, %v", actor, err)
		}
	})
}

func TestAHalfDeletedExperimentIsFinishedAtTheNextStart(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		db := sqldbtest.Open(t, uri)
		s := newServer(t, db)
		id := s.experiment("half")
		run := s.run(id)
		// What is left when the process dies behind the first transaction of a delete.
		if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`update experiment set deleted = 1, pending = 'delete' where public_id = $1`, id)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		newServer(t, sqldbtest.Open(t, uri))
		if got := s.get(run).Info.LifecycleStage; got != "deleted" {
			t.Errorf("the run is %s", got)
		}
	})
}
