package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
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

// readyWait is how long the database may take to answer a probe.
const readyWait = 2 * time.Second

// mountReady offers /ready: 503 while the database does not answer, so that a balancer sends requests to another server.
// /health stays well meanwhile: to restart this one would not help.
func mountReady(rt *api.Router, db *sqldb.DB) {
	api.Stream(rt, "GET /ready", api.Public, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyWait)
		defer cancel()
		err := db.Read(ctx, func(tx *sqldb.Tx) error {
			var one int
			return tx.QueryRow(`select 1`).Scan(&one)
		})
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err != nil {
			slog.WarnContext(r.Context(), "not ready: the database does not answer", "error", err)
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "the database does not answer")
			return
		}
		_, _ = io.WriteString(w, "OK")
	})
}

// serverInfo answers what MLflow's clients ask for before they use workspaces and multipart uploads.
type serverInfo struct {
	StoreType          string `json:"store_type"`
	WorkspacesEnabled  bool   `json:"workspaces_enabled"`
	TraceArchival      bool   `json:"trace_archival_enabled"`
	MultipartUploads   bool   `json:"multipart_uploads_enabled"`
	MultipartDownloads bool   `json:"multipart_downloads_enabled"`
}
