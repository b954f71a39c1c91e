package registry

import (
	"context"
	"fmt"

	"github.com/weir-ml/weir/internal/sqldb"
)

// Check finds what does not agree in the registry's tables: numbers of versions beyond the last one that was given, and
// aliases of deleted or foreign versions. It calls found with each fault.
func Check(ctx context.Context, db *sqldb.DB, found func(what string)) error {
	return db.Read(ctx, func(tx *sqldb.Tx) error {
		for _, rule := range []struct{ what, query string }{
			{"has a version beyond the last number that it gave", `
				select distinct m.name from model_version v join registered_model m on m.id = v.model_id where v.version > m.last_version`},
			{"has an alias of a version that is deleted or another model's", `
				select distinct m.name from registered_model_alias a join registered_model m on m.id = a.model_id
				join model_version v on v.id = a.version_id where v.deleted = 1 or v.model_id <> a.model_id`},
		} {
			rows, err := tx.Query(rule.query)
			if err != nil {
				return err
			}
			for rows.Next() {
				var name string
				if err := rows.Scan(&name); err != nil {
					rows.Close()
					return err
				}
				found(fmt.Sprintf("registered model %s %s", name, rule.what))
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}
