package artifact

import (
	"context"
	"net/http"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// ListRun gives the entries of one folder of a run, with paths relative to the run's root. It reads only what lies below the
// server's artifact root: elsewhere it is INVALID_PARAMETER_VALUE.
func (s *Store) ListRun(ctx context.Context, req *mlflow.ListArtifactsRequest) (*mlflow.ListArtifactsResponse, error) {
	return s.listOwned(ctx, s.options.Runs.RunArtifacts, req.RunID, req.Path)
}

// listOwned gives the entries of one folder of a run or a logged model. The path is judged before its owner is looked up.
func (s *Store) listOwned(
	ctx context.Context, find func(context.Context, string) (uri, experimentID string, err error), id, path string,
) (*mlflow.ListArtifactsResponse, error) {
	rel, err := keyOfText(path)
	if err != nil {
		return nil, err
	}
	uri, _, err := find(ctx, id)
	if err != nil {
		return nil, err
	}
	key, err := s.keyOfOwner(uri)
	if err != nil {
		return nil, err
	}
	files, err := s.list(ctx, join(key, rel), rel)
	if err != nil {
		return nil, err
	}
	return &mlflow.ListArtifactsResponse{RootURI: uri, Files: files}, nil
}

// serveRunUpload stores the body as one artifact of a run. MLflow's page sends it run_uuid; run_id is taken as well.
func (s *Store) serveRunUpload(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	runID := query.Get("run_uuid")
	if runID == "" {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Request must specify run_uuid.")
	}
	if query.Get("path") == "" {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Request must specify path.")
	}
	rel, err := keyOfText(query.Get("path"))
	if err != nil {
		return err
	}
	if r.ContentLength == 0 {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Request must specify data.")
	}
	key, err := s.keyInRun(r, runID, rel)
	if err != nil {
		return err
	}
	_, err = s.receive(w, r, key)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// serveRunFile answers with one file of a run.
func (s *Store) serveRunFile(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	rel, err := requiredPath(query.Get("path"))
	if err != nil {
		return err
	}
	runID := api.Param(r, "run_id")
	if runID == "" {
		return mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Run with id=None not found")
	}
	key, err := s.keyInRun(r, runID, rel)
	if err != nil {
		return err
	}
	return s.serveFile(w, r, key)
}

// serveVersionFile answers with one file of a model version. The path is judged before the version is looked up.
func (s *Store) serveVersionFile(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	rel, err := requiredPath(query.Get("path"))
	if err != nil {
		return err
	}
	key, err := s.keyInVersion(r, query.Get("name"), query.Get("version"), rel)
	if err != nil {
		return err
	}
	return s.serveFile(w, r, key)
}

func (s *Store) keyInVersion(r *http.Request, name, version, rel string) (string, error) {
	if name == "" {
		return "", missing("name")
	}
	if version == "" {
		return "", missing("version")
	}
	uri, err := s.options.Versions.VersionArtifacts(r.Context(), name, version)
	if err != nil {
		return "", err
	}
	key, err := s.keyOfOwner(uri)
	return join(key, rel), err
}

func (s *Store) keyInRun(r *http.Request, runID, rel string) (string, error) {
	uri, _, err := s.options.Runs.RunArtifacts(r.Context(), runID)
	if err != nil {
		return "", err
	}
	key, err := s.keyOfOwner(uri)
	return join(key, rel), err
}

func requiredPath(path string) (string, error) {
	if path == "" {
		return "", missing("path")
	}
	return keyOfText(path)
}

func missing(param string) error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
		"Missing value for required parameter '%s'. See the API docs for more information about request parameters.", param)
}
