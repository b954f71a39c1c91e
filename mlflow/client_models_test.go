package mlflow

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequestsForLoggedModelsEqualThoseOfPythonsClient(t *testing.T) {
	t.Parallel()
	run := strings.Repeat("a", 32)
	sameAsPython(t, "testdata/python_model_requests.json", map[string]func(context.Context, *Client) error{
		"create_logged_model": func(ctx context.Context, c *Client) error {
			_, err := c.CreateLoggedModel(ctx, &CreateLoggedModelRequest{
				ExperimentID: "1", Name: "n", ModelType: "t", SourceRunID: run, Params: []KeyValue{{"p", "1"}}, Tags: []KeyValue{{"k", "v"}},
			})
			return err
		},
		"get_logged_model": func(ctx context.Context, c *Client) error { _, err := c.GetLoggedModel(ctx, "m-1"); return err },
		"finalize_logged_model": func(ctx context.Context, c *Client) error {
			_, err := c.FinalizeLoggedModel(ctx, "m-1", LoggedModelReady)
			return err
		},
		"delete_logged_model": func(ctx context.Context, c *Client) error { return c.DeleteLoggedModel(ctx, "m-1") },
		"search_logged_models": func(ctx context.Context, c *Client) error {
			_, err := c.SearchLoggedModels(ctx, &SearchLoggedModelsRequest{
				ExperimentIDs: []string{"1", "2"}, Filter: "name = 'n'", MaxResults: Some[int64](7), PageToken: "tok",
				Datasets: []LoggedModelDataset{{"d", "x"}},
				OrderBy:  []LoggedModelOrder{{FieldName: "metrics.a", Ascending: Some(false), DatasetName: "d"}},
			})
			return err
		},
		"set_logged_model_tags": func(ctx context.Context, c *Client) error {
			return c.SetLoggedModelTags(ctx, "m-1", []KeyValue{{"k", "v"}})
		},
		"delete_logged_model_tag": func(ctx context.Context, c *Client) error { return c.DeleteLoggedModelTag(ctx, "m-1", "k") },
		"log_model_params": func(ctx context.Context, c *Client) error {
			return c.LogLoggedModelParams(ctx, "m-1", []KeyValue{{"p", "1"}})
		},
		"log_inputs": func(ctx context.Context, c *Client) error {
			return c.LogInputs(ctx, &LogInputsRequest{
				RunID: run, Models: []ModelInput{{"m-1"}},
				Datasets: []DatasetInput{{
					Tags:    []KeyValue{{"k", "v"}},
					Dataset: Dataset{Name: "d", Digest: "x", SourceType: "local", Source: "{}", Schema: "s", Profile: "p"},
				}},
			})
		},
		"log_outputs": func(ctx context.Context, c *Client) error { return c.LogOutputs(ctx, run, []ModelOutput{{"m-1", 3}}) },
	})
}

func TestParamsOfALoggedModelGoInParts(t *testing.T) {
	t.Parallel()
	var sizes []int
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		var body LogLoggedModelParamsRequest
		data, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(data, &body); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, len(body.Params))
		w.Write([]byte("{}"))
	})
	if err := c.LogLoggedModelParams(t.Context(), "m-1", make([]KeyValue, 250)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{100, 100, 50}, sizes); diff != "" {
		t.Error(diff)
	}
}

func TestLoggedModelsComePageAfterPage(t *testing.T) {
	t.Parallel()
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		var req SearchLoggedModelsRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		if req.PageToken == "" {
			io.WriteString(w, `{"models":[{"info":{"model_id":"m-1"}},{"info":{"model_id":"m-2"}}],"next_page_token":"t"}`)
			return
		}
		io.WriteString(w, `{"models":[{"info":{"model_id":"m-3"},"data":{"metrics":[{"key":"a","value":"NaN","timestamp":1,"step":2}]}}]}`)
	})
	var ids []string
	for m, err := range c.LoggedModels(t.Context(), SearchLoggedModelsRequest{ExperimentIDs: []string{"1"}}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.Info.ModelID)
	}
	if diff := cmp.Diff([]string{"m-1", "m-2", "m-3"}, ids); diff != "" {
		t.Error(diff)
	}
}
