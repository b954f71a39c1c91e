package transfer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/transfer"
)

func TestOneImportRunsAtATime(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		log := must[*transfer.Log](t)(transfer.OpenLog(ctx, db))
		ok := func(context.Context) (*transfer.Report, error) { return &transfer.Report{}, nil }
		finished := func(source string, want bool) {
			t.Helper()
			if got := must[bool](t)(log.Finished(ctx, source)); got != want {
				t.Errorf("%s finished: %v, want %v", source, got, want)
			}
		}
		broken := errors.New("broken off")
		_, err := log.Run(ctx, "a", func(ctx context.Context) (*transfer.Report, error) {
			if _, err := log.Run(ctx, "b", ok); !errors.Is(err, transfer.ErrBusy) {
				t.Errorf("a second import beside the first: %v", err)
			}
			return nil, broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		finished("a", false)
		// One that ended with an error does not hold up the next.
		must[*transfer.Report](t)(log.Run(ctx, "a", ok))
		finished("a", true)
		finished("b", false)
	})
}
