package server

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/registry"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

// ArtifactsElsewhere is a place of artifacts that are not the server's own.
type ArtifactsElsewhere struct {
	Place string `json:"place"` // a folder or a bucket
	Of    int64  `json:"of"`    // how many runs, logged models and model versions have them there
}

// artifactsElsewhere gives the places, sorted, of the artifacts that a copy of an artifact store's files does not take along.
func artifactsElsewhere(ctx context.Context, db *sqldb.DB, files *artifact.Store) (list []ArtifactsElsewhere, err error) {
	places := make(map[string]int64)
	err = tracking.EachArtifactURI(ctx, db, func(uri string) {
		if uri != "" && !files.Holds(uri) {
			places[transfer.PlaceOf(uri)]++
		}
	})
	// Most versions have the files of a run or a logged model, which are counted.
	others := make(map[string]int64)
	verr := registry.EachStorage(ctx, db, func(uri string) {
		path, local := mlflow.LocalPath(uri)
		switch {
		case local && !filepath.IsAbs(path), strings.HasPrefix(uri, "runs:"), strings.HasPrefix(uri, "models:"), files.Holds(uri):
			return // a prompt's placeholder, the files of a run or a logged model, or ours
		}
		for place := range places {
			if strings.HasPrefix(transfer.PlaceOf(uri)+"/", place+"/") {
				return
			}
		}
		others[transfer.PlaceOf(uri)]++
	})
	if err := errors.Join(err, verr); err != nil {
		return nil, err
	}
	for _, counts := range []map[string]int64{places, others} {
		for place, n := range counts {
			list = append(list, ArtifactsElsewhere{place, n})
		}
	}
	slices.SortFunc(list, func(a, b ArtifactsElsewhere) int { return strings.Compare(a.Place, b.Place) })
	return list, nil
}
