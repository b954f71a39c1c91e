package mlflow

import "context"

// CreateExperiment makes an experiment and gives its id; a taken name is RESOURCE_ALREADY_EXISTS.
func (c *Client) CreateExperiment(ctx context.Context, req *CreateExperimentRequest) (string, error) {
	var out CreateExperimentResponse
	err := c.create(ctx, "experiments/create", req, &out)
	return out.ExperimentID, err
}

// GetExperiment finds an experiment, active or deleted, by its id.
func (c *Client) GetExperiment(ctx context.Context, experimentID string) (*Experiment, error) {
	var out ExperimentResponse
	if err := c.get(ctx, "experiments/get", ExperimentRequest{ExperimentID: experimentID}, &out); err != nil {
		return nil, err
	}
	return &out.Experiment, nil
}

// GetExperimentByName finds an experiment, active or deleted, by its name.
func (c *Client) GetExperimentByName(ctx context.Context, name string) (*Experiment, error) {
	var out ExperimentResponse
	if err := c.get(ctx, "experiments/get-by-name", GetExperimentByNameRequest{ExperimentName: name}, &out); err != nil {
		return nil, err
	}
	return &out.Experiment, nil
}

// SearchExperiments gives one page; see Experiments for all of them. Servers want MaxResults.
func (c *Client) SearchExperiments(ctx context.Context, req *SearchExperimentsRequest) (*SearchExperimentsResponse, error) {
	return answer[SearchExperimentsResponse](c.post, ctx, "experiments/search", req)
}

// RenameExperiment gives an active experiment a new name.
func (c *Client) RenameExperiment(ctx context.Context, experimentID, newName string) error {
	return c.post(ctx, "experiments/update", UpdateExperimentRequest{ExperimentID: experimentID, NewName: newName}, nil)
}

// DeleteExperiment marks an experiment and its runs deleted; RestoreExperiment undoes it.
func (c *Client) DeleteExperiment(ctx context.Context, experimentID string) error {
	return c.post(ctx, "experiments/delete", ExperimentRequest{ExperimentID: experimentID}, nil)
}

// RestoreExperiment makes a deleted experiment and all its runs active again.
func (c *Client) RestoreExperiment(ctx context.Context, experimentID string) error {
	return c.post(ctx, "experiments/restore", ExperimentRequest{ExperimentID: experimentID}, nil)
}

// SetExperimentTag sets or replaces a tag of an active experiment.
func (c *Client) SetExperimentTag(ctx context.Context, experimentID, key, value string) error {
	return c.post(ctx, "experiments/set-experiment-tag",
		SetExperimentTagRequest{ExperimentID: experimentID, Key: key, Value: value}, nil)
}

// DeleteExperimentTag removes a tag of an experiment; a missing one is RESOURCE_DOES_NOT_EXIST.
func (c *Client) DeleteExperimentTag(ctx context.Context, experimentID, key string) error {
	return c.post(ctx, "experiments/delete-experiment-tag",
		DeleteExperimentTagRequest{ExperimentID: experimentID, Key: key}, nil)
}

// CreateRun starts a run.
func (c *Client) CreateRun(ctx context.Context, req *CreateRunRequest) (*Run, error) {
	var out RunResponse
	if err := c.create(ctx, "runs/create", req, &out); err != nil {
		return nil, err
	}
	return &out.Run, nil
}

// GetRun gives a run, active or deleted, with its data.
func (c *Client) GetRun(ctx context.Context, runID string) (*Run, error) {
	var out RunResponse
	if err := c.get(ctx, "runs/get", RunRequest{RunID: runID}, &out); err != nil {
		return nil, err
	}
	return &out.Run, nil
}

// UpdateRun changes the status, end time or name of an active run.
func (c *Client) UpdateRun(ctx context.Context, req *UpdateRunRequest) (*RunInfo, error) {
	var out UpdateRunResponse
	if err := c.post(ctx, "runs/update", req, &out); err != nil {
		return nil, err
	}
	return &out.RunInfo, nil
}

// DeleteRun marks a run deleted; its data stays, and RestoreRun undoes it.
func (c *Client) DeleteRun(ctx context.Context, runID string) error {
	return c.post(ctx, "runs/delete", RunRequest{RunID: runID}, nil)
}

// RestoreRun makes a deleted run active again.
func (c *Client) RestoreRun(ctx context.Context, runID string) error {
	return c.post(ctx, "runs/restore", RunRequest{RunID: runID}, nil)
}

// SearchRuns gives one page; see Runs for all of them.
func (c *Client) SearchRuns(ctx context.Context, req *SearchRunsRequest) (*SearchRunsResponse, error) {
	return answer[SearchRunsResponse](c.post, ctx, "runs/search", req)
}

// LogMetric adds one point to a metric of an active run; an equal point again is no change.
func (c *Client) LogMetric(ctx context.Context, req *LogMetricRequest) error {
	return c.post(ctx, "runs/log-metric", req, nil)
}

// LogParam logs a param once; another value for the same key is INVALID_PARAMETER_VALUE.
func (c *Client) LogParam(ctx context.Context, runID, key, value string) error {
	return c.post(ctx, "runs/log-parameter", LogParamRequest{RunID: runID, Key: key, Value: value}, nil)
}

// SetTag sets or replaces a run's tag.
func (c *Client) SetTag(ctx context.Context, runID, key, value string) error {
	return c.post(ctx, "runs/set-tag", SetTagRequest{RunID: runID, Key: key, Value: value}, nil)
}

// DeleteTag removes a run's tag; a missing one is RESOURCE_DOES_NOT_EXIST.
func (c *Client) DeleteTag(ctx context.Context, runID, key string) error {
	return c.post(ctx, "runs/delete-tag", DeleteTagRequest{RunID: runID, Key: key}, nil)
}

// LogBatch adds at most 1,000 metrics, 100 params and 100 tags, 1,000 altogether.
func (c *Client) LogBatch(ctx context.Context, req *LogBatchRequest) error {
	return c.post(ctx, "runs/log-batch", req, nil)
}

// LogModel records a model of MLflow 1 and 2 with its run; modelJSON is its MLmodel file as JSON.
func (c *Client) LogModel(ctx context.Context, runID, modelJSON string) error {
	return c.post(ctx, "runs/log-model", LogModelRequest{RunID: runID, ModelJSON: modelJSON}, nil)
}

// GetMetricHistory gives one page of a metric's points; see MetricHistory for all of them.
func (c *Client) GetMetricHistory(ctx context.Context, req *GetMetricHistoryRequest) (*GetMetricHistoryResponse, error) {
	return answer[GetMetricHistoryResponse](c.get, ctx, "metrics/get-history", req)
}

// ListRunArtifacts gives the entries of one folder of a run, as the server lists them: paths are relative to the run's root.
func (c *Client) ListRunArtifacts(ctx context.Context, runID, path string) (*ListArtifactsResponse, error) {
	return answer[ListArtifactsResponse](c.get, ctx, "artifacts/list", ListArtifactsRequest{RunID: runID, Path: path})
}

// answer calls with a request and decodes into a new Resp.
func answer[Resp any](send sender, ctx context.Context, path string, in any) (*Resp, error) {
	out := new(Resp)
	if err := send(ctx, path, in, out); err != nil {
		return nil, err
	}
	return out, nil
}
