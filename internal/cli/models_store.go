package cli

import (
	"context"
	"io"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/model"
)

// modelStores opens models in object stores by their own URIs, such as s3://bucket/path.
type modelStores struct{ options artifact.CloudOptions }

func (modelStores) Knows(uri string) bool { return artifact.IsCloudURI(uri) }

func (m modelStores) Folder(ctx context.Context, uri string) (model.Folder, error) {
	place, err := artifact.OpenPlace(ctx, uri, m.options)
	if err != nil {
		return nil, err
	}
	return &storeFolder{Place: place, files: map[string]artifact.PlaceFile{}}, nil
}

// storeFolder is a place by the names of its files.
type storeFolder struct {
	*artifact.Place
	files map[string]artifact.PlaceFile
}

func (f *storeFolder) Files(ctx context.Context) ([]string, error) {
	files, err := f.Place.Files(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = file.Name
		f.files[file.Name] = file
	}
	return names, nil
}

func (f *storeFolder) Open(ctx context.Context, file string) (io.ReadCloser, error) {
	return f.Place.Open(ctx, f.files[file])
}
