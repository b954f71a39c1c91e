package model

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// Fetch gives a local folder with the model of a URI: a folder or file: URI as it is, runs:/, models:/ and artifact URIs
// through the client into cacheDir. The cache's key is the place of the files and the digest of the MLmodel file, which
// holds the time and id of its writing: a model that was logged again is fetched again, everything else once. Several
// processes may share a cacheDir. What lies in an object store comes from there, when stores knows it. The client may be
// nil for local folders and object stores, and stores for everything else.
func Fetch(ctx context.Context, client *mlflow.Client, stores Stores, uri, cacheDir string) (string, error) {
	if path, ok := mlflow.LocalPath(uri); ok {
		return localModel(path)
	}
	inStore := func(place string) bool { return stores != nil && stores.Knows(place) }
	if inStore(uri) {
		return fetchFolder(ctx, stores, uri, cacheDir)
	}
	if client == nil {
		return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the model %s needs a tracking server", uri)
	}
	place, err := client.ResolveURI(ctx, uri)
	if err != nil {
		return "", err
	}
	if path, ok := mlflow.LocalPath(place); ok {
		return localModel(path)
	}
	if inStore(place) { // of a server that does not hand out artifacts itself
		return fetchFolder(ctx, stores, place, cacheDir)
	}
	if strings.HasPrefix(uri, "runs:") {
		// A run's model may be in two places, its artifacts and a logged model of MLflow 3: the client merges them.
		place = uri
	}
	head, err := readHead(place, func() (io.ReadCloser, error) { return client.OpenArtifact(ctx, mlflow.JoinURI(place, MLmodelFile)) })
	if err != nil {
		if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
			return "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "%s is not a model: it has no file MLmodel", uri)
		}
		return "", err
	}
	return cached(cacheDir, client.TrackingURI()+"\x00"+place, head, func(tmp string) (string, error) {
		return client.DownloadArtifacts(ctx, place, tmp)
	})
}

func localModel(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("model path: %w", err)
	}
	if filepath.Base(path) == MLmodelFile {
		path = filepath.Dir(path)
	}
	if _, err := os.Stat(filepath.Join(path, MLmodelFile)); err != nil {
		return "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "%s is not a model: it has no file MLmodel", path)
	}
	return path, nil
}

func readHead(place string, open func() (io.ReadCloser, error)) ([]byte, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	head, err := io.ReadAll(io.LimitReader(r, maxMLmodel+1))
	if err == nil && len(head) > maxMLmodel {
		err = mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the MLmodel file of %s has more than %d bytes", place, maxMLmodel)
	}
	return head, err
}

// cached gives the model's folder in the cache. download fills a folder of its own, whose folder with the model it gives
// and which is renamed, so that what is in the cache is whole.
func cached(cacheDir, place string, head []byte, download func(tmp string) (string, error)) (dir string, err error) {
	sum := sha256.Sum256(append([]byte(place+"\x00"), head...))
	dir = filepath.Join(cacheDir, hex.EncodeToString(sum[:16]))
	if _, err := os.Stat(filepath.Join(dir, MLmodelFile)); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cacheDir, 0o700); err != nil {
		return "", fmt.Errorf("model cache: %w", err)
	}
	tmp, err := os.MkdirTemp(cacheDir, ".fetch-")
	if err != nil {
		return "", fmt.Errorf("model cache: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	got, err := download(tmp)
	if err != nil {
		return "", err
	}
	if err := os.Rename(got, dir); err != nil {
		if _, taken := os.Stat(filepath.Join(dir, MLmodelFile)); taken == nil {
			return dir, nil // another process was faster
		}
		return "", fmt.Errorf("model cache: %w", err)
	}
	return dir, nil
}
