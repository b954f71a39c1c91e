package server

import (
	"context"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/tracking"
)

// mountUsage offers what each experiment takes of the disk, of which the database's part is tracking's to know and the
// files' part artifact's.
func mountUsage(rt *api.Router, p parts) {
	files := func(ctx context.Context, uri string) (n, bytes int64, err error) {
		t, err := p.files.Usage(ctx, uri)
		return t.Files, t.Bytes, err
	}
	api.Handle(rt, "GET /api/weir/v1/experiments/usage", api.List("experiment"),
		func(ctx context.Context, req *tracking.UsageRequest) (*tracking.UsageResponse, error) {
			return p.runs.Usage(ctx, req, files)
		})
}

// ExperimentUsage says what an experiment takes.
type ExperimentUsage = tracking.ExperimentUsage

// UsageResponse is the answer of the route for it.
type UsageResponse = tracking.UsageResponse
