package artifact

import (
	"context"
	"net/http"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// ModelFinder tells where a logged model's files are and which experiment it belongs to; an unknown model is
// RESOURCE_DOES_NOT_EXIST.
type ModelFinder interface {
	ModelArtifacts(ctx context.Context, modelID string) (artifactURI, experimentID string, err error)
}

// mountModels offers the files of logged models, which MLflow's page reads; clients go through the proxy.
func (s *Store) mountModels(rt *api.Router) {
	model := api.Resource{Kind: "logged_model", Field: "model_id"}
	api.Handle(rt, "GET mlflow/logged-models/{model_id}/artifacts/directories", api.Read(model), s.ListLoggedModel)
	api.Stream(rt, "GET mlflow/logged-models/{model_id}/artifacts/files", api.Read(model), s.faults(s.serveModelFile))
}

// ListLoggedModel gives the entries of one folder of a logged model, with paths relative to the model's root.
func (s *Store) ListLoggedModel(ctx context.Context, req *mlflow.ListLoggedModelArtifactsRequest) (*mlflow.ListArtifactsResponse, error) {
	return s.listOwned(ctx, s.options.Models.ModelArtifacts, req.ModelID, req.Path)
}

// serveModelFile answers with one file of a logged model. The path is judged before the model is looked up.
func (s *Store) serveModelFile(w http.ResponseWriter, r *http.Request) error {
	path := r.URL.Query().Get("artifact_file_path")
	if path == "" {
		return mlflow.Errorf(mlflow.CodeBadRequest, "Request must include the 'artifact_file_path' query parameter.")
	}
	rel, err := keyOfText(path)
	if err != nil {
		return err
	}
	uri, _, err := s.options.Models.ModelArtifacts(r.Context(), r.PathValue("model_id"))
	if err != nil {
		return err
	}
	key, err := s.keyOfOwner(uri)
	if err != nil {
		return err
	}
	return s.serveFile(w, r, join(key, rel))
}
