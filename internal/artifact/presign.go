package artifact

import (
	"context"
	"net/http"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// presignedLives is how long an address lets its owner download: MLflow's default.
const presignedLives = 5 * time.Minute

// signer is a bucket from which clients can download without us. What it cannot sign is NOT_IMPLEMENTED.
type signer interface {
	address(ctx context.Context, key string) (url string, size int64, err error)
}

// presign gives the address of a file in the object store. MLflow's clients read a file in chunks from there; on
// NOT_IMPLEMENTED they download through us.
func (s *Store) presign(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOfRequest(r, "/mlflow-artifacts/presigned/")
	if err != nil {
		return err
	}
	b, ok := s.bucket.(signer)
	if !ok {
		return errNotPresigned
	}
	address, size, err := b.address(r.Context(), key)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	api.WriteJSON(w, struct {
		URL      string            `json:"url"`
		Headers  map[string]string `json:"headers"`
		FileSize int64             `json:"file_size"`
	}{address, map[string]string{}, size})
	return nil
}

var errNotPresigned = mlflow.Errorf(mlflow.CodeNotImplemented, "Multipart download is not supported for the current artifact repository")

func (s *blobs) address(ctx context.Context, key string) (string, int64, error) {
	o, err := s.open(ctx, key)
	if err != nil {
		return "", 0, err
	}
	address, err := s.b.SignedURL(ctx, s.prefix+key, &blob.SignedURLOptions{Expiry: presignedLives})
	switch gcerrors.Code(err) {
	case gcerrors.OK:
		return address, o.size, nil
	case gcerrors.Unimplemented, gcerrors.InvalidArgument: // the credentials at hand do not sign
		return "", 0, errNotPresigned
	}
	return "", 0, s.explain(err, key)
}
