package sqldb

import "context"

// Analyze gives PostgreSQL's planner fresh statistics: after much was written, its own turn would come too late for the
// searches in between. SQLite's plans need none.
func (db *DB) Analyze(ctx context.Context) error {
	if db.dialect == SQLite {
		return nil
	}
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`analyze`)
		return err
	})
}
