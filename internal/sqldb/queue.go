package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// While one batch of a Queue runs, the next one gathers: large batches cost PostgreSQL and us least for each operation. Only
// when that takes long, over a network or on a slow disk, does the next one run beside it.
const (
	queueWorkers = 2                    // batches of one Queue that run at once on PostgreSQL
	overlapAfter = 2 * time.Millisecond // so long the next one waits for the one that runs
)

// Queue collects operations of one kind that are called often, so that those which wait are applied together. It gives
// the same promises as Write.
//
// On PostgreSQL every statement is a round trip, so apply gets all waiting operations at once and is to use statements
// over sets. On SQLite apply gets one operation at a time, in a savepoint of the group commit.
type Queue[T any] struct {
	db    *DB
	apply func(tx *Tx, ops []T) []error

	waiting chan *queued[T]
	turn    chan struct{} // holds one token: whoever has it may take up a batch
	stop    chan struct{}
	once    sync.Once
	workers sync.WaitGroup
	exited  chan struct{}
}

type queued[T any] struct {
	ctx   context.Context
	op    T
	state atomic.Int32
	err   error
	done  chan struct{}
}

// errBatchFailed makes a batch roll back because of an error that its operations carry.
var errBatchFailed = errors.New("the batch is repeated one by one")

// NewQueue starts a queue. apply runs operations in tx and gives nil when all succeeded, or one error (or nil) for each.
// An error that apply found before it wrote anything for that operation leaves the others alone when it is wrapped with
// Refused; after any other error the batch is rolled back and repeated one by one. Close the queue before its database.
func NewQueue[T any](db *DB, apply func(tx *Tx, ops []T) []error) *Queue[T] {
	q := &Queue[T]{db: db, apply: apply, exited: make(chan struct{})}
	if db.dialect == SQLite {
		return q
	}
	q.waiting = make(chan *queued[T], maxBatch)
	db.stats.watch(func() int { return len(q.waiting) })
	q.stop = make(chan struct{})
	q.turn = make(chan struct{}, 1)
	q.turn <- struct{}{}
	for range queueWorkers {
		q.workers.Go(q.loop)
	}
	go func() {
		q.workers.Wait()
		close(q.exited)
	}()
	return q
}

// refused is an error of one operation that wrote nothing.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// Refused marks err as found before anything was written for its operation.
func Refused(err error) error {
	if err == nil {
		return nil
	}
	return refused{err}
}

// Do applies op and returns after the durable commit. Its context counts until the operation is taken up.
func (q *Queue[T]) Do(ctx context.Context, op T) error {
	if q.db.dialect == SQLite {
		return unwrapRefused(q.db.Write(ctx, func(tx *Tx) error { return q.one(tx, op) }))
	}
	if err := ctx.Err(); err != nil {
		return fold(err)
	}
	o := &queued[T]{ctx: ctx, op: op, done: make(chan struct{})}
	select {
	case q.waiting <- o:
	case <-q.stop:
		return errClosed
	case <-ctx.Done():
		return fold(ctx.Err())
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.state.CompareAndSwap(opWaiting, opAbandoned) {
			return fold(ctx.Err())
		}
		<-o.done
	case <-q.exited:
		select {
		case <-o.done:
		default:
			return errClosed
		}
	}
	return unwrapRefused(fold(o.err))
}

func unwrapRefused(err error) error {
	var r refused
	if errors.As(err, &r) {
		return r.error
	}
	return err
}

// Close waits for the operations that were taken up and refuses later ones.
func (q *Queue[T]) Close() {
	if q.db.dialect == SQLite {
		return
	}
	q.once.Do(func() { close(q.stop) })
	<-q.exited
}

func (q *Queue[T]) one(tx *Tx, op T) error {
	for _, err := range q.apply(tx, []T{op}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue[T]) loop() {
	var batch []*queued[T]
	for {
		batch = batch[:0]
		<-q.turn
		select {
		case o := <-q.waiting:
			batch = q.take(batch, o)
		case <-q.stop:
			select {
			case o := <-q.waiting:
				batch = q.take(batch, o)
			default:
				q.turn <- struct{}{}
				return
			}
		}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case o := <-q.waiting:
				batch = q.take(batch, o)
			default:
				more = false
			}
		}
		next := sync.OnceFunc(func() { q.turn <- struct{}{} })
		late := time.AfterFunc(overlapAfter, next)
		q.run(batch)
		late.Stop()
		next()
	}
}

// take adds an operation to the batch unless its caller has gone.
func (q *Queue[T]) take(batch []*queued[T], o *queued[T]) []*queued[T] {
	if !o.state.CompareAndSwap(opWaiting, opTaken) {
		return batch
	}
	return append(batch, o)
}

// run applies a batch in one transaction or, when that fails, each operation in its own.
func (q *Queue[T]) run(batch []*queued[T]) {
	if len(batch) == 0 {
		return
	}
	ops := make([]T, len(batch))
	for i, o := range batch {
		ops[i] = o.op
	}
	q.db.stats.batches.Add(len(ops))
	var errs []error
	ctx := context.Background()
	err := q.db.Write(ctx, func(tx *Tx) error {
		errs = q.apply(tx, ops)
		for _, err := range errs {
			if err != nil && !errors.As(err, new(refused)) {
				if isSerialization(err) || isLost(err) {
					return err // Write repeats the batch
				}
				return errBatchFailed
			}
		}
		if errs != nil && len(errs) != len(ops) {
			return fmt.Errorf("%d errors for %d operations", len(errs), len(ops))
		}
		return nil
	})
	switch {
	case err == nil:
		for i, o := range batch {
			if errs != nil {
				o.err = errs[i]
			}
		}
	case errors.Is(err, errConnLost) || len(batch) == 1:
		// The outcome is unknown, or there is nobody to be told apart from.
		for _, o := range batch {
			o.err = err
			if errors.Is(err, errBatchFailed) {
				o.err = firstError(errs)
			}
		}
	default:
		for _, o := range batch {
			o.err = q.db.Write(o.ctx, func(tx *Tx) error { return q.one(tx, o.op) })
		}
	}
	for _, o := range batch {
		close(o.done)
	}
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
