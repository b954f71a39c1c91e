package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/weir-ml/weir/mlflow"
)

// Stores opens folders of object stores, for which no tracking server is asked.
type Stores interface {
	// Knows reports whether a URI names such a folder.
	Knows(uri string) bool
	// Folder gives the folder; closing it ends its connections.
	Folder(ctx context.Context, uri string) (Folder, error)
}

// Folder is a folder of an object store.
type Folder interface {
	// Files gives the paths of all files in it, with slashes; none is RESOURCE_DOES_NOT_EXIST.
	Files(ctx context.Context) ([]string, error)
	Open(ctx context.Context, file string) (io.ReadCloser, error)
	Close() error
}

// fetchFolder brings a model of an object store into the cache.
func fetchFolder(ctx context.Context, stores Stores, uri, cacheDir string) (dir string, err error) {
	folder, err := stores.Folder(ctx, uri)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	files, err := folder.Files(ctx)
	if err != nil {
		return "", err
	}
	if !slices.Contains(files, MLmodelFile) {
		return "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "%s is not a model: it has no file MLmodel", uri)
	}
	head, err := readHead(uri, func() (io.ReadCloser, error) { return folder.Open(ctx, MLmodelFile) })
	if err != nil {
		return "", err
	}
	return cached(cacheDir, uri, head, func(tmp string) (string, error) {
		for _, file := range files {
			if err := copyOut(ctx, folder, file, tmp); err != nil {
				return "", err
			}
		}
		return tmp, nil
	})
}

func copyOut(ctx context.Context, folder Folder, file, dir string) error {
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the model has a file %q, which cannot lie in a folder", file)
	}
	target := filepath.Join(dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("model cache: %w", err)
	}
	in, err := folder.Open(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("model cache: %w", err)
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
