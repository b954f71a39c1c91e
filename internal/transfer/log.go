package transfer

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

const (
	aliveEvery = 2 * time.Second
	// DeadAfter is how long an import that was killed keeps others out.
	DeadAfter = 10 * time.Second
)

// ErrBusy says that an import into the same store is running, in this process or another one.
var ErrBusy = errors.New("another import into this store is running, or was broken off in the last seconds; try again when it has ended")

// Log remembers in the target which sources were imported, and lets one import run at a time: two would begin each
// other's half-written runs anew.
type Log struct {
	db  *sqldb.DB
	now func() time.Time
}

// OpenLog makes the log's table if need be.
func OpenLog(ctx context.Context, db *sqldb.DB) (*Log, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return &Log{db: db, now: time.Now}, db.Migrate(ctx, "transfer", files)
}

// Finished says whether a source was imported to its end.
func (l *Log) Finished(ctx context.Context, source string) (done bool, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		var n int
		err := tx.QueryRow(`select count(*) from import_log where source = $1 and finished_at is not null`, source).Scan(&n)
		done = n > 0
		return err
	})
	return done, err
}

// Run notes an import while fn runs it, and its report when it has ended well. It is ErrBusy while another one runs.
func (l *Log) Run(ctx context.Context, source string, fn func(context.Context) (*Report, error)) (*Report, error) {
	err := l.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock("import_log"); err != nil {
			return err
		}
		now := l.now()
		var running int
		err := tx.QueryRow(`select count(*) from import_log where finished_at is null and alive_at > $1`, now.Add(-DeadAfter).UnixMilli()).Scan(&running)
		if err != nil {
			return err
		}
		if running > 0 {
			return ErrBusy
		}
		_, err = tx.Exec(`
			insert into import_log (source, began_at, alive_at) values ($1, $2, $2)
			on conflict (source) do update set began_at = excluded.began_at, alive_at = excluded.alive_at, finished_at = null`, source, now.UnixMilli())
		return err
	})
	if err != nil {
		return nil, err
	}
	stop := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() { l.beat(ctx, source, stop) })
	report, err := fn(ctx)
	close(stop)
	beating.Wait()

	end, text := any(l.now().UnixMilli()), ""
	if err != nil {
		end = nil
	} else if data, jerr := json.Marshal(report); jerr == nil {
		text = string(data)
	}
	// An import that was cancelled says so too, so that the next one need not wait.
	werr := l.db.Write(context.WithoutCancel(ctx), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update import_log set finished_at = $1, alive_at = 0, report = $2 where source = $3`, end, text, source)
		return err
	})
	if err == nil && werr != nil {
		err = fmt.Errorf("note the end of the import: %w", werr)
	}
	return report, err
}

// beat gives a sign of life now and then.
func (l *Log) beat(ctx context.Context, source string, stop <-chan struct{}) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			// Without it the next sign, or the end, still comes.
			_ = l.db.Write(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`update import_log set alive_at = $1 where source = $2`, l.now().UnixMilli(), source)
				return err
			})
		}
	}
}
