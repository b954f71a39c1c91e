package sqldb

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pgTx is a transaction on PostgreSQL. Each statement is a round trip, which costs both sides more than many a statement
// does; so "begin" travels with the first statement, those that were put off travel with the next one, and what is still
// put off in the end travels with "commit".
type pgTx struct {
	conn  *pgx.Conn
	start string // the statement that begins it
	begun bool
	later []pgCall
}

type pgCall struct {
	sql  string
	args []any
}

// ahead makes a batch of all that has to run before the next statement; nil when there is nothing.
func (t *pgTx) ahead() *pgx.Batch {
	if t.begun && len(t.later) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	if !t.begun {
		batch.Queue(t.start)
		t.begun = true
	}
	for _, c := range t.later {
		batch.Queue(c.sql, c.args...)
	}
	return batch
}

// passed reads the results of what ahead gave.
func (t *pgTx) passed(results pgx.BatchResults, n int) error {
	calls := t.later
	t.later = nil
	for i := range n {
		if _, err := results.Exec(); err != nil {
			if put := i - (n - len(calls)); put >= 0 {
				err = pgErr(err, calls[put].sql)
			}
			return errors.Join(err, discard(results))
		}
	}
	return nil
}

// discard ends a batch that has failed, whose error is known.
func discard(results pgx.BatchResults) error {
	_ = results.Close()
	return nil
}

// flush runs what has to run before a statement that travels alone.
func (t *pgTx) flush(ctx context.Context) error {
	batch := t.ahead()
	if batch == nil {
		return nil
	}
	results := t.conn.SendBatch(ctx, batch)
	if err := t.passed(results, batch.Len()); err != nil {
		return err
	}
	return results.Close()
}

func (t *pgTx) exec(ctx context.Context, sql string, args []any) (pgconn.CommandTag, error) {
	batch := t.ahead()
	if batch == nil {
		return t.conn.Exec(ctx, sql, args...)
	}
	n := batch.Len()
	batch.Queue(sql, args...)
	results := t.conn.SendBatch(ctx, batch)
	if err := t.passed(results, n); err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := results.Exec()
	if cerr := results.Close(); err == nil {
		err = cerr
	}
	return tag, err
}

func (t *pgTx) query(ctx context.Context, sql string, args []any) (pgx.Rows, error) {
	batch := t.ahead()
	if batch == nil {
		return t.conn.Query(ctx, sql, args...)
	}
	n := batch.Len()
	batch.Queue(sql, args...)
	results := t.conn.SendBatch(ctx, batch)
	if err := t.passed(results, n); err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, errors.Join(err, discard(results))
	}
	return &batchRows{Rows: rows, results: results}, nil
}

// batchRows are the rows of the last statement of a batch, which ends with them.
type batchRows struct {
	pgx.Rows
	results pgx.BatchResults
	err     error
}

// Next ends the batch with the last row, as the rows of a statement that travels alone end by themselves.
func (r *batchRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *batchRows) Close() {
	r.Rows.Close()
	if r.results != nil {
		r.err = r.results.Close()
		r.results = nil
	}
}

func (r *batchRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}

// commit ends the transaction, if it has begun.
func (t *pgTx) commit(ctx context.Context) error {
	if !t.begun && len(t.later) == 0 {
		return nil
	}
	tag, err := t.exec(ctx, "commit", nil)
	if err == nil && tag.String() == "ROLLBACK" {
		err = pgx.ErrTxCommitRollback
	}
	return err
}

// rollback ends the transaction unless commit has. A connection that cannot do that is of no use any more.
func (t *pgTx) rollback(ctx context.Context) {
	if t.conn.IsClosed() || t.conn.PgConn().TxStatus() == 'I' {
		return
	}
	if _, err := t.conn.Exec(ctx, "rollback"); err != nil {
		_ = t.conn.Close(ctx)
	}
}

// Later runs a statement whose result nobody asks for. On PostgreSQL it travels with the transaction's next statement or
// with its commit, so an error of it comes from there; on SQLite it runs at once.
func (tx *Tx) Later(sql string, args ...any) error {
	if tx.lite != nil {
		_, err := tx.Exec(sql, args...)
		return err
	}
	if err := checkArgs(args); err != nil {
		return err
	}
	tx.pg.later = append(tx.pg.later, pgCall{sql, pgArgs(args)})
	return nil
}
