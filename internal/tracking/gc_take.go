package tracking

import (
	"context"
	"errors"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
)

const (
	// gcHold is how long one transaction of a gc goes on: other writes wait behind it.
	gcHold = 8 * time.Millisecond
	// gcPause is the least time that it leaves to others between two of them; it leaves as much as the last one took. A
	// gc is another process than the server, which on SQLite finds the lock free only then.
	gcPause = 2 * time.Millisecond
)

// unhurried runs a transaction in which fn works for about gcHold, and then waits as long as that took.
func (s *Store) unhurried(ctx context.Context, fn func(tx *sqldb.Tx, late func() bool) error) error {
	var began time.Time
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		began = time.Now()
		return fn(tx, func() bool { return time.Since(began) > gcHold })
	})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(max(gcPause, min(time.Since(began), 4*gcHold))):
		return nil
	}
}

// candidate is a row that may go, as it is just before.
type candidate struct {
	doomed
	exp     int64
	deleted bool
	at      int64
	// expDeleted and expAt are those of its experiment
	expDeleted bool
	expAt      int64
}

var candidateQueries = [...]string{
	doomedRun: `select r.id, r.uuid, r.artifact_uri, r.exp_id, r.deleted, ` + runDeletedAt + `, e.deleted, e.updated_at
		from run r join experiment e on e.id = r.exp_id where r.id = $1`,
	doomedModel: `select l.id, l.public_id, l.artifact_uri, l.exp_id, l.deleted, ` + modelDeletedAt + `, e.deleted, e.updated_at
		from logged_model l join experiment e on e.id = l.exp_id where l.id = $1`,
	doomedExperiment: `select e.id, e.public_id, e.artifact_location, e.id, e.deleted, e.updated_at, e.deleted, e.updated_at
		from experiment e where e.id = $1`,
}

var candidateTables = [...]string{doomedRun: "run", doomedModel: "logged_model", doomedExperiment: "experiment"}

// candidate reads a row, and locks it when lock is set. ok is false when it is gone.
func (g *gc) candidate(tx *sqldb.Tx, kind int, id int64, lock bool) (c candidate, ok bool, err error) {
	c.kind = kind
	if lock && tx.Dialect() == sqldb.Postgres {
		_, err := ids(tx, `select id from `+candidateTables[kind]+` where id = $1`+tx.ForUpdate(), id)
		if err != nil {
			return c, false, err
		}
	}
	err = tx.QueryRow(candidateQueries[kind], id).Scan(&c.id, &c.publicID, &c.uri, &c.exp, &c.deleted, &c.at, &c.expDeleted, &c.expAt)
	if errors.Is(err, sqldb.ErrNoRows) {
		return c, false, nil
	}
	return c, err == nil, err
}

// admit reads a row and tells whether it may go.
func (g *gc) admit(tx *sqldb.Tx, kind int, id int64, lock bool) (d doomed, goes bool, err error) {
	c, ok, err := g.candidate(tx, kind, id, lock)
	if err != nil || !ok {
		return d, false, err
	}
	goes, err = g.judge(tx, c)
	return c.doomed, goes, err
}

// judge tells whether a candidate may go. What it finds that must stay is noted.
func (g *gc) judge(tx *sqldb.Tx, c candidate) (goes bool, err error) {
	gone := c.deleted && c.at <= g.before
	if c.kind == doomedModel && c.expDeleted && c.expAt <= g.before {
		gone = true
	}
	if !gone {
		return false, nil // restored since the plan was made
	}
	var users []string
	switch {
	case c.kind == doomedExperiment:
		return g.judgeExperiment(tx, c)
	case g.o.Users == nil:
	case c.kind == doomedRun:
		users, err = g.o.Users.VersionsOfRun(tx, c.publicID, c.uri)
	default:
		users, err = g.o.Users.VersionsOfLoggedModel(tx, c.publicID, c.uri)
	}
	if err != nil || users == nil {
		return err == nil, err
	}
	g.keepUsed(c.kind, c.publicID, users)
	return false, nil
}

// judgeExperiment keeps an experiment in which something stays. In a preview nothing has gone yet, so only what is active
// counts.
func (g *gc) judgeExperiment(tx *sqldb.Tx, c candidate) (goes bool, err error) {
	runs, models := `select 1 from run where exp_id = $1`, `select 1 from logged_model where exp_id = $1`
	if g.o.DryRun {
		runs, models = runs+` and deleted = 0`, models+` and 1 = 0`
	}
	var n int64
	err = tx.QueryRow(`select (select count(*) from (`+runs+` limit 1000) r) + (select count(*) from (`+models+` limit 1000) m)`, c.id).Scan(&n)
	if err != nil || n == 0 {
		return err == nil, err
	}
	if n == 1 {
		g.keep(c.kind, c.publicID, "a run or logged model in it stays")
	} else {
		g.keep(c.kind, c.publicID, "%d runs and logged models in it stay", n)
	}
	return false, nil
}

// preview counts what take would take.
func (g *gc) preview(ctx context.Context, kind int, list []int64) error {
	var found []doomed
	err := g.s.db.Read(ctx, func(tx *sqldb.Tx) error {
		found = nil
		for _, id := range list {
			d, goes, err := g.admit(tx, kind, id, false)
			if err != nil {
				return err
			}
			if goes {
				found = append(found, d)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return g.foresee(ctx, found)
}

// take moves things out of their tables into the table doomed: from then on no client finds or restores them. An
// experiment stays in its table till its rows are gone, because they name it; it can no longer be restored.
func (g *gc) take(ctx context.Context, kind int, list []int64) (taken []doomed, rest []int64, err error) {
	kept := len(g.report.Kept)
	err = g.s.unhurried(ctx, func(tx *sqldb.Tx, late func() bool) error {
		taken, rest = nil, list
		g.report.Kept = g.report.Kept[:kept] // the transaction may run twice
		for len(rest) > 0 && (len(rest) == len(list) || !late()) {
			id := rest[0]
			rest = rest[1:]
			d, goes, err := g.admit(tx, kind, id, true)
			if err != nil {
				return err
			}
			if !goes {
				continue
			}
			if err := g.doom(ctx, tx, d); err != nil {
				return err
			}
			taken = append(taken, d)
		}
		return nil
	})
	return taken, rest, err
}

func (g *gc) doom(ctx context.Context, tx *sqldb.Tx, d doomed) error {
	_, err := tx.Exec(`insert into doomed (kind, id, public_id, artifact_uri) values ($1, $2, $3, $4) on conflict do nothing`,
		d.kind, d.id, d.publicID, d.uri)
	if err != nil {
		return err
	}
	statements := []string{`delete from run_doc where run_id = $1`, `delete from run where id = $1`}
	switch d.kind {
	case doomedModel:
		statements = []string{`delete from logged_model where id = $1`}
	case doomedExperiment:
		statements = nil
	}
	for _, sql := range statements {
		if _, err := tx.Exec(sql, d.id); err != nil {
			return err
		}
	}
	return record(tx, g.s.now(), api.ActorOf(ctx), candidateTables[d.kind], d.publicID, "gc")
}
