package tracking

import (
	"context"

	"github.com/weir-ml/weir/internal/sqldb"
)

// SetProbe has searches walk along an index when so many runs match each condition, so that few runs are enough to test it.
func (s *Store) SetProbe(n int) { s.probe = n }

// SetNarrow has searches sort narrow rows when so many times a page match.
func (s *Store) SetNarrow(n int) { s.narrow = n }

// BuildDocument makes a run's document at once.
func (s *Store) BuildDocument(ctx context.Context, runID string) error {
	var id int64
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		r, err := findRun(tx, runID)
		id = r.id
		return err
	})
	if err != nil {
		return err
	}
	return s.buildDocsOf(ctx, []int64{id})
}
