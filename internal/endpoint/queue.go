package endpoint

import (
	"slices"
	"sync"
	"time"
)

// job is one request on its way to a worker.
type job struct {
	frame    []byte // room for a frame's header, then the payload
	deadline time.Time
	done     chan outcome // holds one, so that a slot never waits for a client that is gone
}

// outcome is what became of a job: the payload of a result frame, or an error.
type outcome struct {
	payload []byte
	err     error
}

// queue holds the jobs that no worker has taken yet, oldest first. tokens has one element per push, so that a slot can
// wait for work and for its worker's end at the same time; a job that was withdrawn leaves a token without a job behind.
type queue struct {
	limit  int
	mu     sync.Mutex
	jobs   []*job
	tokens chan struct{}
}

// newQueue makes a queue that holds at most limit jobs for that many slots.
func newQueue(limit, slots int) *queue {
	return &queue{limit: limit, tokens: make(chan struct{}, limit+slots)}
}

// push adds a job and reports false when the queue is full.
func (q *queue) push(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) >= q.limit {
		return false
	}
	q.jobs = append(q.jobs, j)
	q.tokens <- struct{}{} // never blocks: there is room for the jobs and for one token in the hand of each slot
	return true
}

// giveBack returns a token whose job was not popped.
func (q *queue) giveBack() { q.tokens <- struct{}{} }

// pop gives the oldest job after a token was taken; nil when that one was withdrawn.
func (q *queue) pop() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return nil
	}
	j := q.jobs[0]
	q.jobs[0] = nil
	q.jobs = q.jobs[1:]
	return j
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
	select {
	case <-q.tokens:
	default: // a slot took this job's token and is about to find nothing
	}
	return true
}
