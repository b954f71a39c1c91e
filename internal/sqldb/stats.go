package sqldb

import (
	"io"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/prom"
)

// stats counts what a DB's writes do. Its zero value is ready.
type stats struct {
	batches prom.Sizes     // writes that were committed together
	commits prom.Histogram // how long a commit took, the sync to disk with it
	locks   prom.Histogram // how long the writer waited for other processes, on SQLite

	mu      sync.Mutex
	waiting []func() int // how many writes wait in each queue
}

// watch adds a queue to those whose length is told.
func (s *stats) watch(length func() int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, length)
}

func (s *stats) depth() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, length := range s.waiting {
		n += length()
	}
	return n
}

// WriteMetrics tells, in Prometheus' text format, how the database's writes do.
func (db *DB) WriteMetrics(w io.Writer) {
	prom.Value(w, "weir_db_write_queue", "gauge", "Writes that wait for their turn.", db.stats.depth())
	const batch, commit, lock = "weir_db_write_batch_size", "weir_db_commit_seconds", "weir_db_lock_seconds"
	prom.Head(w, batch, "histogram", "Writes that were committed together.")
	db.stats.batches.Write(w, batch)
	prom.Head(w, commit, "histogram", "How long commits took, with the sync to disk.")
	db.stats.commits.Write(w, commit, "")
	if db.dialect == SQLite {
		prom.Head(w, lock, "histogram", "How long the writer waited for other processes.")
		db.stats.locks.Write(w, lock, "")
	}
}

// timed calls f and adds how long it took.
func timed(h *prom.Histogram, f func() error) error {
	began := time.Now()
	err := f()
	h.Add(time.Since(began))
	return err
}
