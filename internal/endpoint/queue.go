package endpoint

import (
	"slices"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
)

// job is one request on its way to a worker.
type job struct {
	in       *model.Input
	frame    []byte // the encoded request, for one that is never joined
	key      string // requests of equal keys may be joined; empty for one that may not
	deadline time.Time
	done     chan outcome // holds one, so that a slot never waits for a client that is gone
}

// outcome is what became of a job: the payload of a result frame, or its value where a slot had to look at it, or an error.
type outcome struct {
	payload []byte
	value   rds.Value
	err     error
}

// queue holds the jobs that no worker has taken yet, oldest first. While it holds one, wake holds an element or a slot is
// about to look: a slot can so wait for work and for its worker's end at the same time.
type queue struct {
	limit int
	mu    sync.Mutex
	jobs  []*job
	wake  chan struct{}
}

func newQueue(limit int) *queue { return &queue{limit: limit, wake: make(chan struct{}, 1)} }

// signal has a slot look into the queue.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // one is about to
	}
}

// push adds a job and reports false when the queue is full.
func (q *queue) push(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) >= q.limit {
		return false
	}
	q.jobs = append(q.jobs, j)
	q.signal()
	return true
}

// restore puts jobs that were popped back to the front. None of them is joined again.
func (q *queue) restore(jobs []*job) {
	for _, j := range jobs {
		j.key = ""
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = slices.Concat(jobs, q.jobs)
	q.signal()
}

// pop takes the oldest job and those that wait behind it and may be joined with it, up to the limits that room gives for
// their key. It takes nothing from an empty queue.
func (q *queue) pop(room func(key string) (jobs, rows int)) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return nil
	}
	first := q.jobs[0]
	q.jobs[0] = nil
	q.jobs = q.jobs[1:]
	batch := []*job{first}
	if first.key != "" {
		batch = q.join(batch, room)
	}
	if len(q.jobs) > 0 {
		q.signal()
	}
	return batch
}

// more adds jobs that came since to a batch.
func (q *queue) more(batch []*job, room func(key string) (jobs, rows int)) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch = q.join(batch, room)
	if len(q.jobs) > 0 {
		q.signal()
	}
	return batch
}

func (q *queue) join(batch []*job, room func(key string) (jobs, rows int)) []*job {
	key := batch[0].key
	most, rows := room(key)
	for _, j := range batch {
		rows -= j.in.Rows
	}
	rest := q.jobs[:0]
	for i, j := range q.jobs {
		if len(batch) >= most {
			rest = append(rest, q.jobs[i:]...)
			break
		}
		if j.key == key && j.in.Rows <= rows {
			rows -= j.in.Rows
			batch = append(batch, j)
		} else {
			rest = append(rest, j)
		}
	}
	clear(q.jobs[len(rest):])
	q.jobs = rest
	return batch
}

// drain takes all jobs.
func (q *queue) drain() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs := q.jobs
	q.jobs = nil
	return jobs
}

// withdraw takes a job back and reports false when a worker has it already.
func (q *queue) withdraw(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.jobs, j)
	if i < 0 {
		return false
	}
	q.jobs = slices.Delete(q.jobs, i, i+1)
	return true
}
