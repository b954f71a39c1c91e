package server

import (
	"io"
	"net/http"

	"github.com/weir-ml/weir/internal/api"
)

// mountWellKnown offers what probes and clients ask before anything else. These routes need no token and no store.
func mountWellKnown(rt *api.Router, info serverInfo) {
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			_, _ = io.WriteString(w, body)
		}
	}
	api.Stream(rt, "GET /health", api.Public, text("OK"))
	api.Stream(rt, "GET /version", api.Public, text(MLflowVersion))
	for _, path := range []string{
		"/server-info",
		"/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info",
		"/api/3.0/mlflow/server-features", "/ajax-api/3.0/mlflow/server-features",
	} {
		api.Stream(rt, "GET "+path, api.Public, func(w http.ResponseWriter, _ *http.Request) { api.WriteJSON(w, info) })
	}
}

// serverInfo answers what MLflow's clients ask for before they use workspaces and multipart uploads.
type serverInfo struct {
	StoreType          string `json:"store_type"`
	WorkspacesEnabled  bool   `json:"workspaces_enabled"`
	TraceArchival      bool   `json:"trace_archival_enabled"`
	MultipartUploads   bool   `json:"multipart_uploads_enabled"`
	MultipartDownloads bool   `json:"multipart_downloads_enabled"`
}
