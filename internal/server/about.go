package server

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// About is what a server tells its clients about itself.
type About struct {
	Version       string `json:"version"`
	MLflowVersion string `json:"mlflow_version"`
	PID           int64  `json:"pid"`
}

// UILink is the address under which a browser opens the web page.
type UILink struct {
	URL string `json:"url"`
}

// mountAbout offers what Weir's own clients ask: who answers, and a link to its page. link makes one-time links where
// the page is behind a token, and is nil elsewhere.
func mountAbout(rt *api.Router, ready Ready, prefix string, link func() string) {
	api.Handle(rt, "GET /api/weir/v1/server", api.List("server"), func(context.Context, *mlflow.Empty) (*About, error) {
		return &About{Version: ready.Version, MLflowVersion: MLflowVersion, PID: int64(ready.PID)}, nil
	})
	api.Handle(rt, "POST /api/weir/v1/ui-links", api.Create("ui_link"), func(context.Context, *mlflow.Empty) (*UILink, error) {
		if link == nil {
			return &UILink{URL: ready.URL + prefix + "/"}, nil
		}
		return &UILink{URL: ready.URL + link()}, nil
	})
}

// artifactsOnly lets nothing pass but the artifact routes and probes.
func artifactsOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/2.0/mlflow-artifacts/") || slices.Contains([]string{"/health", "/ready", "/version", "/metrics"}, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "Endpoint: "+r.URL.Path+" disabled due to the mlflow server running in `--artifacts-only` mode.", http.StatusServiceUnavailable)
	})
}
