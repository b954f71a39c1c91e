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

// queue holds the jobs that no worker has taken yet, oldest first, and the seats of the slots that wait for one. While
// it holds a job, no slot sits without being woken.
type queue struct {
	limit int
	mu    sync.Mutex
	jobs  []*job
	idle  []*seat // who sat down last is last
}

// seat is where a slot waits: for work, which wake tells of, and for whatever else the slot waits for at the same time.
type seat struct{ wake chan struct{} }

func newSeat() *seat { return &seat{wake: make(chan struct{}, 1)} }

func newQueue(limit int) *queue { return &queue{limit: limit} }

// sit has a seat woken once when there is a job, at once when there is one already. Of several seats the last one is
// woken first: what its worker needs is still in the processor's caches, which makes a third of a short request.
func (q *queue) sit(s *seat) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.idle = append(q.idle, s)
	if len(q.jobs) > 0 {
		q.signal()
	}
}

// rise takes back sit when the seat's wake was not received: another seat gets it.
func (q *queue) rise(s *seat) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.idle, s); i >= 0 {
		q.idle = slices.Delete(q.idle, i, i+1)
		return
	}
	<-s.wake
	q.signal()
}

// pass has another slot look for the job that this one was woken for.
func (q *queue) pass() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.signal()
}

// signal wakes a slot, if one sits; those that do not will look before they sit. mu is held.
func (q *queue) signal() {
	if last := len(q.idle) - 1; last >= 0 {
		q.idle[last].wake <- struct{}{}
		q.idle[last] = nil
		q.idle = q.idle[:last]
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
