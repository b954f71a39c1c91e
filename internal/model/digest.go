package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// CheckDigests compares the files of a model's folder with the SHA-256 digests that its MLmodel file records under
// sha256; a model that records none passes. A file that was changed, or is gone, is INVALID_PARAMETER_VALUE.
func (m *MLmodel) CheckDigests(dir string) error {
	for _, name := range slices.Sorted(maps.Keys(m.Digests)) {
		want := m.Digests[name]
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the MLmodel file has a digest of %q, which is not inside the model", name)
		}
		got, err := fileDigest(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the model's file %s cannot be compared with its digest: %v", name, err)
		}
		if !strings.EqualFold(strings.TrimPrefix(want, "sha256:"), got) {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"the model's file %s is not the one that was logged: its SHA-256 is %s, recorded is %s", name, got, want)
		}
	}
	return nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
