package sqldb

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	maxBatch  = 4096
	maxHold   = 20 * time.Millisecond // a batch takes no further operation after this
	turnAfter = 50 * time.Millisecond // after so long without a pause …
	turnPause = time.Millisecond      // … other processes that use the file get this
)

// errAborted fails an operation whose goroutine was ended (runtime.Goexit) while it ran.
var errAborted = errors.New("a database operation ended its goroutine")

// The states of an operation: whoever changes waiting decides whether it runs.
const (
	opWaiting = iota
	opTaken
	opAbandoned
)

// op is one call of Write.
type op struct {
	ctx   context.Context
	fn    func(tx *Tx) error
	state atomic.Int32
	err   error
	done  chan struct{}
}

// writer runs all writes of a process to one SQLite file. Writes that wait are committed together: the queue fills
// while the last commit is synced to disk, so no delay is needed to gather them.
type writer struct {
	conn   *liteConn
	stats  *stats
	queue  chan *op
	stop   chan struct{}
	exited chan struct{}
	once   sync.Once
	err    error // of closing
	busyAt time.Time
}

func startWriter(conn *liteConn, stats *stats) *writer {
	w := &writer{conn: conn, stats: stats, queue: make(chan *op, maxBatch), stop: make(chan struct{}), exited: make(chan struct{})}
	stats.watch(func() int { return len(w.queue) })
	go w.loop()
	return w
}

// do has fn run by the writer and waits for the commit.
func (w *writer) do(ctx context.Context, fn func(tx *Tx) error) error {
	o := &op{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case <-w.stop:
		return errClosed
	default:
	}
	select {
	case w.queue <- o:
	case <-w.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		if o.state.CompareAndSwap(opWaiting, opAbandoned) {
			return ctx.Err()
		}
		<-o.done // it runs: its outcome is what counts, and fn may use the caller's memory
		return o.err
	case <-w.exited:
		select {
		case <-o.done:
			return o.err
		default:
			return errClosed
		}
	}
}

// close lets the waiting operations finish and closes the connection.
func (w *writer) close() error {
	w.once.Do(func() { close(w.stop) })
	<-w.exited
	return w.err
}

func (w *writer) loop() {
	finished := false
	var batch []*op
	defer func() {
		if finished {
			return
		}
		// An operation ended this goroutine; its batch fails, and a new goroutine goes on.
		w.rollback()
		w.answer(batch, errAborted)
		go w.loop()
	}()
	batch = make([]*op, 0, 64)
	for {
		batch = w.gather(batch[:0])
		if len(batch) == 0 {
			break
		}
		w.commit(batch)
	}
	w.err = w.conn.close()
	finished = true
	close(w.exited)
}

// gather waits for an operation and takes those that wait behind it. It gives none when the writer is to stop.
func (w *writer) gather(batch []*op) []*op {
	select {
	case o := <-w.queue:
		batch = append(batch, o)
		if w.busyAt.IsZero() {
			w.busyAt = time.Now()
		} else if time.Since(w.busyAt) > turnAfter {
			time.Sleep(turnPause)
			w.busyAt = time.Now()
		}
	default:
		w.busyAt = time.Time{}
		select {
		case o := <-w.queue:
			batch = append(batch, o)
		case <-w.stop:
			select {
			case o := <-w.queue:
				batch = append(batch, o)
			default:
				return nil
			}
		}
	}
	for len(batch) < maxBatch {
		select {
		case o := <-w.queue:
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in as few transactions as the time limit allows and answers each operation after its commit.
func (w *writer) commit(batch []*op) {
	for len(batch) > 0 {
		n, err := w.transaction(batch)
		if errors.Is(err, errTransactionLost) {
			// One operation took the whole transaction with it. Each now runs alone, so that only that one fails.
			for _, o := range batch[:n] {
				_, err := w.transaction([]*op{o})
				w.answer([]*op{o}, err)
			}
		} else {
			w.answer(batch[:n], err)
		}
		batch = batch[n:]
	}
}

// errTransactionLost: SQLite has rolled the whole transaction back because of a fault in one operation.
var errTransactionLost = errors.New("the transaction was rolled back")

// transaction runs the first operations of a batch in one transaction. It gives how many it took, and the error that
// failed all of them; an operation's own error is in the operation.
func (w *writer) transaction(batch []*op) (taken int, err error) {
	if err := timed(&w.stats.locks, w.begin); err != nil {
		return len(batch), err
	}
	start := time.Now()
	alone := len(batch) == 1
	for _, o := range batch {
		if taken > 0 && time.Since(start) > maxHold {
			break
		}
		taken++
		o.err = nil
		if !o.state.CompareAndSwap(opWaiting, opTaken) && o.state.Load() == opAbandoned {
			continue
		}
		if err := o.ctx.Err(); err != nil {
			o.err = err
			continue
		}
		if alone {
			o.err = w.call(o)
			if o.err != nil {
				w.rollback()
				return taken, nil
			}
			continue
		}
		if err := w.conn.run(`savepoint op`); err != nil {
			w.rollback()
			return taken, err
		}
		o.err = w.call(o)
		if w.conn.AutocommitEnabled() {
			return taken, errTransactionLost
		}
		if o.err != nil {
			if err := w.conn.run(`rollback to op`); err != nil {
				w.rollback()
				return taken, err
			}
		}
		if err := w.conn.run(`release op`); err != nil {
			w.rollback()
			return taken, err
		}
	}
	if err := timed(&w.stats.commits, func() error { return w.conn.run(`commit`) }); err != nil {
		w.rollback()
		return taken, err
	}
	w.stats.batches.Add(taken)
	return taken, nil
}

// begin takes the write lock. It asks often: a process that writes without pause leaves the lock free only briefly.
func (w *writer) begin() error {
	w.conn.SetBusyTimeout(0)
	defer w.conn.SetBusyTimeout(busyTimeout)
	deadline := time.Now().Add(busyTimeout)
	for {
		err := w.conn.run(`begin immediate`)
		if err == nil || liteCode(err).ToPrimary() != sqlite.ResultBusy || time.Now().After(deadline) {
			return err
		}
		time.Sleep(200*time.Microsecond + rand.N(600*time.Microsecond))
	}
}

// call runs one operation; a panic in it is its error.
func (w *writer) call(o *op) (err error) {
	returned := false
	defer func() {
		w.conn.releaseAll()
		if returned {
			return
		}
		if value := recover(); value != nil {
			err = panicked(value, debug.Stack())
		}
	}()
	err = o.fn(&Tx{ctx: o.ctx, lite: w.conn})
	returned = true
	return err
}

func (w *writer) rollback() {
	w.conn.releaseAll()
	if !w.conn.AutocommitEnabled() {
		w.conn.run(`rollback`)
	}
}

// answer wakes the callers; err, if any, fails those that have no error of their own.
func (w *writer) answer(ops []*op, err error) {
	for _, o := range ops {
		select {
		case <-o.done:
			continue
		default:
		}
		if o.err == nil {
			o.err = err
		}
		close(o.done)
	}
}
