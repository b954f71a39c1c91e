package artifact

import (
	"context"

	"github.com/weir-ml/weir/mlflow"
)

// CheckPath gives INVALID_PARAMETER_VALUE for a path below the root that no artifact can have.
func CheckPath(path string) error {
	_, err := keyOfText(path)
	return err
}

// What an export asks for. Its keys come from KeyOfOwner, and may lie beside the root, where no client's path leads.

// KeyOfOwner gives the key of the artifact URI of a run, a logged model or a model version; INVALID_PARAMETER_VALUE when its
// files are in no place that this store opens.
func (s *Store) KeyOfOwner(uri string) (string, error) { return s.keyOfOwner(uri) }

// ListKey gives the entries of a folder, sorted; each Path is the entry's own name. A missing folder has none.
func (s *Store) ListKey(ctx context.Context, key string) ([]mlflow.FileInfo, error) {
	return s.list(ctx, key, "")
}

// OpenKey opens a file, as Get does.
func (s *Store) OpenKey(ctx context.Context, key string) (*File, error) { return s.get(ctx, key) }
