package sqldb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	pgConns    = 16 // unless the URI says pool_max_conns
	pgAttempts = 10 // of a transaction that PostgreSQL asks to repeat
	pgTimeout  = time.Minute

	applicationName = "weir" // by which PostgreSQL's views name our connections
)

// errConnLost marks a commit whose outcome is unknown because the connection broke.
var errConnLost = errors.New("the connection was lost while committing")

// pgDB is a PostgreSQL database. Writes run side by side; PostgreSQL joins their commits by itself.
type pgDB struct {
	pool  *pgxpool.Pool
	stats *stats
}

func openPostgres(ctx context.Context, uri string) (*pgDB, error) {
	p, err := openAnyPostgres(ctx, uri)
	if err != nil {
		return nil, err
	}
	var foreign bool
	err = p.pool.QueryRow(ctx, `select to_regclass('alembic_version') is not null`).Scan(&foreign)
	if err == nil && foreign {
		err = ErrMLflowDatabase
	}
	if err != nil {
		p.pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return p, nil
}

// openAnyPostgres opens a database, also one of MLflow's.
func openAnyPostgres(ctx context.Context, uri string) (*pgDB, error) {
	cfg, err := pgxpool.ParseConfig(uri)
	if err != nil {
		return nil, fmt.Errorf("database uri: %w", err)
	}
	if !hasPoolSize(uri) {
		cfg.MaxConns = pgConns
	}
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = applicationName
	}
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `set lock_timeout = '10s'; set idle_in_transaction_session_timeout = '2min'`, pgx.QueryExecModeSimpleProtocol)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &pgDB{pool: pool, stats: &stats{}}, nil
}

func hasPoolSize(uri string) bool {
	cfg, err := pgconn.ParseConfig(uri)
	return err == nil && cfg.RuntimeParams["pool_max_conns"] != ""
}

// searches is how many searches run at once: half of the connections are left to others.
func (p *pgDB) searches() int { return max(1, int(p.pool.Config().MaxConns)/2) }

// How transactions begin.
const (
	toWrite = "begin"
	toRead  = "begin isolation level repeatable read read only"
)

func (p *pgDB) read(ctx context.Context, fn func(tx *Tx) error) error {
	return p.within(ctx, toRead, func(tx *Tx) error { return protect(func() error { return fn(tx) }) })
}

// within runs fn in one transaction.
func (p *pgDB) within(ctx context.Context, start string, fn func(tx *Tx) error) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	t := &pgTx{conn: conn.Conn(), start: start}
	defer t.rollback(ctx) // no-op after the commit
	if err := fn(&Tx{ctx: ctx, pg: t}); err != nil {
		return err
	}
	return t.commit(ctx)
}

// write runs fn until it succeeds or fails for a reason that another attempt does not change.
func (p *pgDB) write(ctx context.Context, fn func(tx *Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := p.attempt(ctx, fn)
		again := isSerialization(err) || (isLost(err) && !errors.Is(err, errConnLost) && attempt <= 3)
		if err == nil || !again || attempt == pgAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt)*time.Millisecond + rand.N(time.Duration(attempt*4)*time.Millisecond)):
		}
	}
}

// attempt runs fn in one transaction. Once begun it no longer depends on the caller's context: an answer is then known.
func (p *pgDB) attempt(ctx context.Context, fn func(tx *Tx) error) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pgTimeout)
	defer cancel()
	t := &pgTx{conn: conn.Conn(), start: toWrite}
	defer t.rollback(ctx) // no-op after the commit
	if err := protect(func() error { return fn(&Tx{ctx: ctx, pg: t}) }); err != nil {
		return err
	}
	if err := timed(&p.stats.commits, func() error { return t.commit(ctx) }); err != nil {
		if isLost(err) || conn.Conn().IsClosed() {
			return fmt.Errorf("%w: %w", errConnLost, err)
		}
		return err
	}
	return nil
}

func (p *pgDB) close() error {
	p.pool.Close()
	return nil
}

// protect makes an error of a panic in f.
func protect(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = panicked(value, debug.Stack())
		}
	}()
	return f()
}

func pgExec(ctx context.Context, tx *pgTx, sql string, args []any) (int64, error) {
	tag, err := tx.exec(ctx, sql, pgArgs(args))
	return tag.RowsAffected(), pgErr(err, sql)
}

func pgQuery(ctx context.Context, tx *pgTx, sql string, args []any) (pgx.Rows, error) {
	rows, err := tx.query(ctx, sql, pgArgs(args))
	return rows, pgErr(err, sql)
}

func pgErr(err error, sql string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w in %q", err, short(sql))
}

// pgArgs stores booleans as the numbers that SQLite has.
func pgArgs(args []any) []any {
	var out []any
	for i, arg := range args {
		number := 0
		switch v := arg.(type) {
		case bool:
			if v {
				number = 1
			}
		case *bool:
			if v == nil {
				continue
			}
			if *v {
				number = 1
			}
		default:
			continue
		}
		if out == nil {
			out = append([]any(nil), args...)
		}
		out[i] = number
	}
	if out == nil {
		return args
	}
	return out
}

// pgScan reads booleans from numbers.
func pgScan(rows pgx.Rows, dst []any) error {
	var changed []any
	var bools []*bool
	var numbers []*int64
	for i, d := range dst {
		if b, ok := d.(*bool); ok {
			if changed == nil {
				changed = append([]any(nil), dst...)
			}
			n := new(int64)
			bools, numbers = append(bools, b), append(numbers, n)
			changed[i] = n
		}
	}
	if changed == nil {
		return rows.Scan(dst...)
	}
	if err := rows.Scan(changed...); err != nil {
		return err
	}
	for i, b := range bools {
		*b = *numbers[i] != 0
	}
	return nil
}
