package tracking

import (
	"errors"

	"github.com/weir-ml/weir/internal/sqldb"
)

// RunArtifactURI says, inside another domain's transaction, where a run's files are; deleted runs have theirs too.
func (s *Store) RunArtifactURI(tx *sqldb.Tx, runID string) (uri string, err error) {
	err = tx.QueryRow(`select artifact_uri from run where uuid = $1`, runID).Scan(&uri)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", runNotFound(runID)
	}
	return uri, err
}
