package mlflow

import (
	"context"
	"io"
	"net/url"
)

// A server also gives the artifacts of a run, a logged model or a model version by whose they are. It reads them from wherever
// they are, which may be a place that only the server reaches.

// OpenRunArtifact reads one file of a run.
func (c *Client) OpenRunArtifact(ctx context.Context, runID, path string) (io.ReadCloser, error) {
	query := url.Values{"run_id": {runID}, "path": {path}}
	return c.download(ctx, c.base.String()+"/get-artifact?"+query.Encode(), path)
}

// OpenLoggedModelArtifact reads one file of a logged model.
func (c *Client) OpenLoggedModelArtifact(ctx context.Context, modelID, path string) (io.ReadCloser, error) {
	query := url.Values{"artifact_file_path": {path}}
	return c.download(ctx, c.base.String()+"/ajax-api/2.0/mlflow/"+loggedModelPath(modelID)+"/artifacts/files?"+query.Encode(), path)
}

// ListLoggedModelArtifacts gives the entries of one folder of a logged model, as the server lists them: paths are relative to
// the model's root.
func (c *Client) ListLoggedModelArtifacts(ctx context.Context, modelID, path string) (*ListArtifactsResponse, error) {
	return answer[ListArtifactsResponse](c.get, ctx, loggedModelPath(modelID)+"/artifacts/directories",
		struct {
			Path string `json:"artifact_directory_path,omitempty"`
		}{path})
}
