package server

import (
	"context"
	"errors"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/tracking"
)

// GCOptions say what GC removes, and from where.
type GCOptions struct {
	// Config names the store, and where its artifacts are, as for a server.
	Config Config
	tracking.GCOptions
	// IncludeRegistered removes also what versions of registered models have their files in.
	IncludeRegistered bool
}

// GC removes for good what is deleted in a store, whether or not a server works on it. The report says what was done also
// when an error ended it.
func GC(ctx context.Context, o GCOptions) (report *tracking.GCReport, err error) {
	s, err := openStore(ctx, o.Config, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	o.Files = gcFiles{s.parts.files}
	if !o.IncludeRegistered {
		o.Users = s.parts.models
	}
	return s.parts.runs.CollectGarbage(ctx, o.GCOptions)
}

// gcFiles removes artifacts for tracking.
type gcFiles struct{ files *artifact.Store }

func (f gcFiles) MeasureTree(ctx context.Context, uri, owner string) (files, bytes int64, err error) {
	t, err := f.files.MeasureTree(ctx, uri, owner)
	return t.Files, t.Bytes, err
}

func (f gcFiles) RemoveTree(ctx context.Context, uri, owner string) (files, bytes int64, err error) {
	t, err := f.files.RemoveTree(ctx, uri, owner)
	return t.Files, t.Bytes, err
}

func (f gcFiles) RemoveEmpty(uri string) { f.files.RemoveEmpty(uri) }

// GCReport says what GC removed.
type GCReport = tracking.GCReport
