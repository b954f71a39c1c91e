package mlflow

import (
	"context"
	"iter"
	"net/url"
	"slices"
)

const loggedModelsPage = 100

// paramsAtOnce is how many params of a logged model Python's client sends in one call.
const paramsAtOnce = 100

// CreateLoggedModel starts a model of MLflow 3; upload its files below its artifact URI and then finalize it.
func (c *Client) CreateLoggedModel(ctx context.Context, req *CreateLoggedModelRequest) (*LoggedModel, error) {
	return loggedModelOf(c.create, ctx, "logged-models", req)
}

// GetLoggedModel finds a logged model that is not deleted.
func (c *Client) GetLoggedModel(ctx context.Context, modelID string) (*LoggedModel, error) {
	return loggedModelOf(c.get, ctx, loggedModelPath(modelID), nil)
}

// FinalizeLoggedModel says whether a logged model's files are all there.
func (c *Client) FinalizeLoggedModel(ctx context.Context, modelID string, status LoggedModelStatus) (*LoggedModel, error) {
	return loggedModelOf(c.patch, ctx, loggedModelPath(modelID), FinalizeLoggedModelRequest{ModelID: modelID, Status: status})
}

// DeleteLoggedModel marks a logged model as deleted; its files stay.
func (c *Client) DeleteLoggedModel(ctx context.Context, modelID string) error {
	return c.remove(ctx, loggedModelPath(modelID), LoggedModelRequest{ModelID: modelID})
}

// SearchLoggedModels gives one page; see LoggedModels for all of them.
func (c *Client) SearchLoggedModels(ctx context.Context, req *SearchLoggedModelsRequest) (*SearchLoggedModelsResponse, error) {
	return answer[SearchLoggedModelsResponse](c.post, ctx, "logged-models/search", req)
}

// LoggedModels gives every logged model that a search finds, fetching pages as they are needed. It ends after an error.
func (c *Client) LoggedModels(ctx context.Context, req SearchLoggedModelsRequest) iter.Seq2[*LoggedModel, error] {
	pageSize(&req.MaxResults, loggedModelsPage)
	return pages(req.PageToken, func(token string) ([]LoggedModel, string, error) {
		req.PageToken = token
		page, err := c.SearchLoggedModels(ctx, &req)
		if err != nil {
			return nil, "", err
		}
		return page.Models, page.NextPageToken, nil
	})
}

// SetLoggedModelTags sets or replaces tags of a logged model.
func (c *Client) SetLoggedModelTags(ctx context.Context, modelID string, tags []KeyValue) error {
	return c.patch(ctx, loggedModelPath(modelID)+"/tags", map[string][]KeyValue{"tags": tags}, nil)
}

// DeleteLoggedModelTag removes a tag of a logged model; a missing one is RESOURCE_DOES_NOT_EXIST.
func (c *Client) DeleteLoggedModelTag(ctx context.Context, modelID, key string) error {
	return c.remove(ctx, loggedModelPath(modelID)+"/tags/"+url.PathEscape(key), nil)
}

// LogLoggedModelParams adds params to a logged model; the value of one that it has cannot change.
func (c *Client) LogLoggedModelParams(ctx context.Context, modelID string, params []KeyValue) error {
	for part := range slices.Chunk(params, paramsAtOnce) {
		err := c.post(ctx, loggedModelPath(modelID)+"/params", LogLoggedModelParamsRequest{ModelID: modelID, Params: part}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// LogInputs notes what a run read. What was noted before stays as it is.
func (c *Client) LogInputs(ctx context.Context, req *LogInputsRequest) error {
	return c.post(ctx, "runs/log-inputs", req, nil)
}

// LogOutputs notes which logged models a run made.
func (c *Client) LogOutputs(ctx context.Context, runID string, models []ModelOutput) error {
	if models == nil {
		models = []ModelOutput{}
	}
	return c.post(ctx, "runs/outputs", LogOutputsRequest{RunID: runID, Models: models}, nil)
}

// SearchDatasets lists the datasets that runs of at most 20 experiments read.
func (c *Client) SearchDatasets(ctx context.Context, experimentIDs ...string) ([]DatasetSummary, error) {
	if experimentIDs == nil {
		experimentIDs = []string{}
	}
	out, err := answer[SearchDatasetsResponse](c.post, ctx, "experiments/search-datasets", SearchDatasetsRequest{ExperimentIDs: experimentIDs})
	if err != nil {
		return nil, err
	}
	return out.DatasetSummaries, nil
}

func loggedModelPath(modelID string) string { return "logged-models/" + url.PathEscape(modelID) }

func loggedModelOf(send sender, ctx context.Context, path string, in any) (*LoggedModel, error) {
	out, err := answer[LoggedModelResponse](send, ctx, path, in)
	if err != nil {
		return nil, err
	}
	return &out.Model, nil
}
