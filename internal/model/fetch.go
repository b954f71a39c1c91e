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
// processes may share a cacheDir. The client may be nil for local folders.
func Fetch(ctx context.Context, client *mlflow.Client, uri, cacheDir string) (string, error) {
	if path, ok := mlflow.LocalPath(uri); ok {
		return localModel(path)
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
	if strings.HasPrefix(uri, "runs:") {
		// A run's model may be in two places, its artifacts and a logged model of MLflow 3: the client merges them.
		place = uri
	}
	head, err := readHead(ctx, client, place)
	if err != nil {
		if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
			return "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "%s is not a model: it has no file MLmodel", uri)
		}
		return "", err
	}
	sum := sha256.Sum256(append([]byte(client.TrackingURI()+"\x00"+place+"\x00"), head...))
	dir := filepath.Join(cacheDir, hex.EncodeToString(sum[:16]))
	if _, err := os.Stat(filepath.Join(dir, MLmodelFile)); err == nil {
		return dir, nil
	}
	return dir, download(ctx, client, place, cacheDir, dir)
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

func readHead(ctx context.Context, client *mlflow.Client, place string) ([]byte, error) {
	r, err := client.OpenArtifact(ctx, mlflow.JoinURI(place, MLmodelFile))
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

// download fills a folder of its own and renames it, so that dir is whole whenever it exists.
func download(ctx context.Context, client *mlflow.Client, place, cacheDir, dir string) (err error) {
	if err := os.MkdirAll(cacheDir, 0o700); err != nil {
		return fmt.Errorf("model cache: %w", err)
	}
	tmp, err := os.MkdirTemp(cacheDir, ".fetch-")
	if err != nil {
		return fmt.Errorf("model cache: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	got, err := client.DownloadArtifacts(ctx, place, tmp)
	if err != nil {
		return err
	}
	if err := os.Rename(got, dir); err != nil {
		if _, taken := os.Stat(filepath.Join(dir, MLmodelFile)); taken == nil {
			return nil // another process was faster
		}
		return fmt.Errorf("model cache: %w", err)
	}
	return nil
}
