package sqldb

import (
	"context"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// searchTime is how long a search may take, the wait for its turn included. R's clients wait no longer.
const searchTime = time.Minute

// withSearches sets how many searches run at once.
func (db *DB) withSearches(n int) *DB {
	db.searches, db.searchTime = make(chan struct{}, n), searchTime
	return db
}

// Search is Read for what a client can make as costly as it likes. Searches have fewer connections than there are, so
// that other reads go on beside them, and one that takes longer than a minute is given up.
func (db *DB) Search(ctx context.Context, fn func(tx *Tx) error) error {
	limited, cancel := context.WithTimeout(ctx, db.searchTime)
	defer cancel()
	select {
	case db.searches <- struct{}{}:
		defer func() { <-db.searches }()
	case <-limited.Done():
		if ctx.Err() != nil {
			return fold(ctx.Err())
		}
		return mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "other searches keep the database busy; try again")
	}
	err := db.Read(limited, fn)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"the search was given up after %v; narrow it by fewer experiments, simpler patterns, or a condition with =", db.searchTime)
	}
	return err
}
