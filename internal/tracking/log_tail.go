package tracking

import (
	"sync"

	"github.com/weir-ml/weir/internal/tracking/series"
)

// tailRows are rows for the table tail; seq is their number, or how far it is behind the last one.
type tailRows struct {
	runs, keys, seqs, steps, times []int64
	values                         []*float64
}

func (rows *tailRows) add(c cell, seq int64, p series.Point) {
	rows.runs, rows.keys, rows.seqs = append(rows.runs, c.run), append(rows.keys, c.key), append(rows.seqs, seq)
	rows.steps, rows.times, rows.values = append(rows.steps, p.Step), append(rows.times, p.Time), append(rows.values, number(p.Value))
}

// writeTails adds points to tails and folds those that are long. How long a tail is takes a round trip to know, so it is
// asked for only when it may be long.
func (b *logBatch) writeTails(list []cell, points map[cell][]series.Point) error {
	if len(list) == 0 {
		return nil
	}
	if b.s.tails.grow(list, points) {
		return b.appendTails(list, points)
	}
	last, err := b.lastSeq("tail", list)
	if err != nil {
		return err
	}
	var rows tailRows
	for _, c := range list {
		for _, p := range points[c] {
			last[c]++
			rows.add(c, last[c], p)
		}
	}
	err = b.tx.Later(`
		insert into tail (run_id, key_id, seq, step, ts, value)
		select * from unnest(cast($1 as bigint[]), cast($2 as bigint[]), cast($3 as bigint[]), cast($4 as bigint[]), cast($5 as bigint[]),
			cast($6 as double precision[]))`, rows.runs, rows.keys, rows.seqs, rows.steps, rows.times, rows.values)
	if err != nil {
		return err
	}
	for _, c := range list {
		if last[c] >= foldAt {
			if err := fold(b.tx, c.run, c.key); err != nil {
				return err
			}
			last[c] = 0
		}
	}
	b.s.tails.set(last)
	return nil
}

// appendTails adds points to tails of locked runs, whatever their numbers are.
func (b *logBatch) appendTails(list []cell, points map[cell][]series.Point) error {
	var rows tailRows
	for _, c := range list {
		for i, p := range points[c] {
			rows.add(c, int64(i+1), p)
		}
	}
	return b.tx.Later(`
		insert into tail (run_id, key_id, seq, step, ts, value)
		select w.run_id, w.key_id, coalesce((select max(t.seq) from tail t where t.run_id = w.run_id and t.key_id = w.key_id), 0) + w.n, w.step, w.ts, w.value
		from unnest((select cast($1 as bigint[])), (select cast($2 as bigint[])), (select cast($3 as bigint[])), (select cast($4 as bigint[])),
			(select cast($5 as bigint[])), (select cast($6 as double precision[]))) as w (run_id, key_id, n, step, ts, value)`,
		rows.runs, rows.keys, rows.seqs, rows.steps, rows.times, rows.values)
}

// maxTails bounds what is remembered of tails; when it is full it starts anew.
const maxTails = 100_000

// tailLengths remembers about how long tails are. Other servers lengthen and fold them too, so this only tells when to look:
// a tail is folded a little later when several servers add to it, and nothing that is read depends on it.
type tailLengths struct {
	mu     sync.Mutex
	length map[cell]int64
}

// grow notes that points are added, when all the tails are known to be short and stay so.
func (t *tailLengths) grow(list []cell, points map[cell][]series.Point) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range list {
		n, known := t.length[c]
		if !known || n+int64(len(points[c])) >= foldAt {
			return false
		}
	}
	for _, c := range list {
		t.length[c] += int64(len(points[c]))
	}
	return true
}

// set notes how long tails are.
func (t *tailLengths) set(length map[cell]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.length == nil || len(t.length) > maxTails {
		t.length = make(map[cell]int64)
	}
	for c, n := range length {
		t.length[c] = n
	}
}
