package tracking

import (
	"context"

	"github.com/weir-ml/weir/internal/sqldb"
)

// EachArtifactURI calls each with the artifact URIs of all runs and logged models, deleted ones too, in no order.
func EachArtifactURI(ctx context.Context, db *sqldb.DB, each func(uri string)) error {
	return db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select artifact_uri from run union all select artifact_uri from logged_model`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var uri string
			if err := rows.Scan(&uri); err != nil {
				return err
			}
			each(uri)
		}
		return rows.Close()
	})
}
