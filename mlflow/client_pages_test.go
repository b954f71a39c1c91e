package mlflow

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSearchesFetchPageAfterPage(t *testing.T) {
	t.Parallel()
	var tokens []string
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		var req SearchRunsRequest
		json.NewDecoder(r.Body).Decode(&req)
		tokens = append(tokens, req.PageToken)
		if req.MaxResults.Value != 1000 {
			t.Errorf("page size %v", req.MaxResults)
		}
		io.WriteString(w, map[string]string{
			"":  `{"runs":[{"info":{"run_id":"1"}},{"info":{"run_id":"2"}}],"next_page_token":"a"}`,
			"a": `{"runs":[{"info":{"run_id":"3"}}],"next_page_token":"b"}`,
			"b": `{}`,
		}[req.PageToken])
	})
	var ids []string
	for run, err := range c.Runs(t.Context(), SearchRunsRequest{ExperimentIDs: []string{"0"}}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, run.Info.RunID)
	}
	if diff := cmp.Diff([]string{"1", "2", "3"}, ids); diff != "" {
		t.Error(diff)
	}
	for range c.Runs(t.Context(), SearchRunsRequest{}) {
		break
	}
	if diff := cmp.Diff([]string{"", "a", "b", ""}, tokens); diff != "" {
		t.Errorf("a walk that is left early fetches no further page:\n%s", diff)
	}
}

func TestAServerThatRepeatsItsTokenEndsTheWalk(t *testing.T) {
	t.Parallel()
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"experiments":[{"experiment_id":"1"}],"next_page_token":"same"}`)
	})
	n := 0
	var last error
	for _, err := range c.Experiments(t.Context(), SearchExperimentsRequest{}) {
		n++
		last = err
	}
	if n != 3 || last == nil {
		t.Errorf("%d items, last error %v", n, last)
	}
}
