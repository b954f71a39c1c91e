package sqldb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
)

// busyTimeout is how long a transaction waits for another process before it answers TEMPORARILY_UNAVAILABLE.
const busyTimeout = 5 * time.Second

// liteDB is a SQLite file: one connection that writes, a few that read.
type liteDB struct {
	path    string
	wal     bool
	foreign bool // another program's, see OpenReadOnly; there is no writer
	writer  *writer
	stats   *stats

	slots  chan struct{} // one for each reading connection that is in use
	mu     sync.Mutex
	idle   []*liteConn
	closed bool
}

// liteSearches is how many searches run at once, which is one less than the connections that read.
func liteSearches() int { return min(max(runtime.GOMAXPROCS(0), 2), 4) }

// openSQLite opens the file at path. On a network file system it does without the write-ahead log, whose shared memory
// does not reach other hosts, and says so once.
func openSQLite(ctx context.Context, path string, network bool, log *slog.Logger) (*liteDB, error) {
	db := &liteDB{path: path, wal: !network, slots: make(chan struct{}, liteSearches()+1), stats: &stats{}}
	conn, err := db.connect(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if network {
		log.Warn("the database is on a network file system: only one host may use it, and it is slower", "path", path)
	}
	db.writer = startWriter(conn, db.stats)
	return db, nil
}

// connect opens a connection and sets it up.
func (db *liteDB) connect(ctx context.Context, readOnly bool) (*liteConn, error) {
	var raw *sqlite.Conn
	var err error
	if db.foreign {
		raw, err = openForeign(db.path)
	} else {
		raw, err = sqlite.OpenConn(db.path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	}
	if err != nil {
		return nil, explainOpen(err)
	}
	conn := &liteConn{Conn: raw, stmts: make(map[string]*liteStmt)}
	if err := db.setup(ctx, conn, readOnly); err != nil {
		conn.close()
		return nil, explainOpen(err)
	}
	return conn, nil
}

func (db *liteDB) setup(ctx context.Context, conn *liteConn, readOnly bool) error {
	conn.SetBusyTimeout(busyTimeout)
	pragmas := []string{
		`pragma synchronous = full`,
		`pragma foreign_keys = on`,
		`pragma cache_size = -8192`,
		`pragma temp_store = memory`,
		`pragma wal_autocheckpoint = 4000`,
		`pragma journal_size_limit = 67108864`,
		`pragma case_sensitive_like = on`,
	}
	if runtime.GOOS == "darwin" {
		pragmas = append(pragmas, `pragma fullfsync = on`, `pragma checkpoint_fullfsync = on`)
	}
	if readOnly {
		// Searches in large experiments read all over the file.
		pragmas = append(pragmas, `pragma query_only = on`, `pragma cache_size = -16384`)
	} else {
		if err := refuseMLflow(ctx, conn); err != nil {
			return err
		}
		mode := `pragma journal_mode = wal`
		if !db.wal {
			mode = `pragma journal_mode = delete`
		}
		if err := retryBusy(ctx, func() error { return conn.script(mode) }); err != nil {
			return err
		}
	}
	for _, pragma := range pragmas {
		if err := retryBusy(ctx, func() error { return conn.script(pragma) }); err != nil {
			return err
		}
	}
	return nil
}

// refuseMLflow keeps this program from writing into a database that Python's mlflow made; even the journal mode is part of
// the file.
func refuseMLflow(ctx context.Context, conn *liteConn) error {
	found := false
	err := retryBusy(ctx, func() error {
		stmt, _, err := conn.PrepareTransient(`select 1 from sqlite_master where name = 'alembic_version'`)
		if err != nil {
			return err
		}
		found, err = stmt.Step()
		return errors.Join(err, stmt.Finalize())
	})
	if err == nil && found {
		err = ErrMLflowDatabase
	}
	return err
}

// retryBusy repeats f while another process holds the database, up to busyTimeout. SQLite's own busy handler is not
// called where it sees a possible deadlock, such as a change of the journal mode.
func retryBusy(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(busyTimeout)
	for {
		err := f()
		if err == nil || liteCode(err).ToPrimary() != sqlite.ResultBusy || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// explainOpen says what to do about the faults that a user meets when a file is opened.
func explainOpen(err error) error {
	switch liteCode(err).ToPrimary() {
	case sqlite.ResultCantOpen, sqlite.ResultPerm, sqlite.ResultAuth:
		return fmt.Errorf("%w; does its folder exist, and may this user write to it?", err)
	case sqlite.ResultReadOnly:
		return fmt.Errorf("%w; this user may not write to the file or to its folder", err)
	case sqlite.ResultNotADB:
		return fmt.Errorf("%w; choose another file, this one is not a SQLite database", err)
	}
	return err
}

// read runs fn on a snapshot, with one of the reading connections.
func (db *liteDB) read(ctx context.Context, fn func(tx *Tx) error) error {
	select {
	case db.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-db.slots }()
	conn, err := db.takeReader(ctx)
	if err != nil {
		return err
	}
	defer db.giveReader(conn)

	conn.SetInterrupt(ctx.Done())
	defer func() {
		conn.releaseAll()
		conn.SetInterrupt(nil)
		if !conn.AutocommitEnabled() {
			conn.run(`rollback`)
		}
	}()
	if err := conn.run(`begin`); err != nil {
		return orCancelled(ctx, err)
	}
	return orCancelled(ctx, fn(&Tx{ctx: ctx, lite: conn}))
}

// orCancelled names the end of ctx as the reason of an interrupted statement.
func orCancelled(ctx context.Context, err error) error {
	if liteCode(err).ToPrimary() == sqlite.ResultInterrupt && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (db *liteDB) takeReader(ctx context.Context) (*liteConn, error) {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil, errClosed
	}
	if n := len(db.idle); n > 0 {
		conn := db.idle[n-1]
		db.idle = db.idle[:n-1]
		db.mu.Unlock()
		return conn, nil
	}
	db.mu.Unlock()
	return db.connect(ctx, true)
}

func (db *liteDB) giveReader(conn *liteConn) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed || !conn.AutocommitEnabled() {
		conn.close()
		return
	}
	db.idle = append(db.idle, conn)
}

func (db *liteDB) write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.writer.do(ctx, fn)
}

// close ends the writer first, then the readers; the last connection that closes folds the log into the file.
func (db *liteDB) close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	idle := db.idle
	db.idle = nil
	db.mu.Unlock()
	var errs []error
	for _, conn := range idle {
		errs = append(errs, conn.close())
	}
	for range cap(db.slots) {
		db.slots <- struct{}{} // waits for the reads that still run
	}
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	for range cap(db.slots) {
		<-db.slots
	}
	return errors.Join(errs...)
}
