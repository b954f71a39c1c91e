package sqldb

import "context"

// Check reads the whole database and gives what is wrong with it: on SQLite the findings of its integrity check and the
// rows whose foreign keys lead nowhere. PostgreSQL has no such check and keeps its own files whole, so nothing is found
// there unless it does not answer. It takes seconds for each gigabyte and holds no writer up.
func (db *DB) Check(ctx context.Context) (faults []string, err error) {
	queries := []string{
		`select integrity_check from pragma_integrity_check where integrity_check <> 'ok'`,
		`select 'a row of ' || "table" || ' names no row of ' || parent from pragma_foreign_key_check`,
	}
	if db.dialect == Postgres {
		queries = []string{`select '' where 1 = 0`}
	}
	err = db.Read(ctx, func(tx *Tx) error {
		faults = nil
		for _, query := range queries {
			rows, err := tx.Query(query)
			if err != nil {
				return err
			}
			for rows.Next() {
				var text string
				if err := rows.Scan(&text); err != nil {
					return err
				}
				faults = append(faults, text)
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	return faults, err
}
