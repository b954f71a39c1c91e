package registry

import (
	"context"

	"github.com/weir-ml/weir/internal/sqldb"
)

// EachStorage calls each with where the files of all model versions are, in no order.
func EachStorage(ctx context.Context, db *sqldb.DB, each func(uri string)) error {
	return db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select storage from model_version where storage <> ''`)
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
