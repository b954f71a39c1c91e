package endpoint

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
)

// joining says which requests to a model may be predicted in one call: the worker finds it by the model's class and by
// what a crate does (see harness.R), or the MLmodel file declares it.
type joining uint8

const (
	joinNone    joining = iota
	joinNumbers         // those without texts
	joinAll
)

// joinableParams are the params that change what is predicted for a row, not from what; harness.R has the same list.
var joinableParams = []string{"type", "s", "n.trees", "num.trees", "interval", "level", "probability", "decision.values", "threshold", "verbose"}

// joinKey gives equal keys to requests that may be joined: equal columns of equal types and equal params. Requests with a
// single row have keys of their own, because R drops dimensions of size one. A request with a missing or infinite number
// is never joined: R multiplies a matrix that holds one by another routine, whose last bits differ for every row.
func (e *Endpoint) joinKey(in *model.Input) string {
	if e.join == joinNone || in.Shape != model.Frame || in.RowNames != nil || len(in.Columns) == 0 || in.Rows < 1 || in.Rows > e.cfg.MaxBatchRows/2 {
		return ""
	}
	key := make([]byte, 0, 128)
	key = append(key, byte(min(in.Rows, 2)))
	for _, c := range in.Columns {
		if !joinable(c, e.join) {
			return ""
		}
		key = binary.AppendUvarint(key, uint64(len(c.Name)))
		key = append(append(key, c.Name...), byte(c.Kind))
		if c.Kind == model.Factor {
			key = binary.AppendUvarint(key, uint64(len(c.Levels)))
			for _, l := range c.Levels {
				key = append(binary.AppendUvarint(key, uint64(len(l))), l...)
			}
		}
	}
	for _, p := range in.Params {
		if !slices.Contains(joinableParams, p.Name) {
			return ""
		}
		value, err := rds.Append(nil, vector(p.Value))
		if err != nil {
			return ""
		}
		key = append(append(key, p.Name...), value...)
	}
	return string(key)
}

func joinable(c *model.Column, j joining) bool {
	switch c.Kind {
	case model.Empty:
		return false
	case model.Text, model.Time, model.Day:
		if j != joinAll {
			return false
		}
	}
	if slices.Contains(c.Null, true) {
		return false
	}
	for _, x := range c.Num {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// joinKeys remembers what came of joining requests of a key: the first joined call is followed by a call for each of its
// requests, and only when all answers agree to the last byte the following requests of that key are answered together.
type joinKeys struct {
	mu    sync.Mutex
	known map[string]bool
}

// The keys that are remembered, and the requests of a first joined call.
const (
	maxJoinKeys  = 1000
	firstJoined  = 4
	maxJoinedJob = 1024
)

func (k *joinKeys) get(key string) (agrees, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	agrees, known = k.known[key]
	return agrees, known || len(k.known) >= maxJoinKeys
}

func (k *joinKeys) set(key string, agrees bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = map[string]bool{}
	}
	if was, known := k.known[key]; (!known && len(k.known) < maxJoinKeys) || was && !agrees {
		k.known[key] = agrees
	}
}

// room says how many requests of a key may be joined, and with how many rows.
func (e *Endpoint) room(key string) (jobs, rows int) {
	agrees, known := e.joins.get(key)
	switch {
	case agrees:
		return maxJoinedJob, e.cfg.MaxBatchRows
	case known:
		return 1, 0
	}
	return firstJoined, e.cfg.MaxBatchRows
}

// together predicts the rows of several requests in one call. It reports false when that does not give each its answer:
// R raises an error, the answer has not one element for each row, or a number in it is not finite. broken says why the
// worker cannot be used again. Unless it reports true, nobody has an outcome yet.
func (e *Endpoint) together(w *worker, batch []*job) (done bool, broken error) {
	frame, err := encodeRequest(concat(batch))
	if err != nil {
		return false, nil
	}
	// Half of the time that is left stays for running each alone, should one of them be what hangs.
	deadline := batch[0].deadline
	for _, j := range batch {
		if j.deadline.Before(deadline) {
			deadline = j.deadline
		}
	}
	now := time.Now()
	payload, reply, broken := e.run(w, frame, now.Add(deadline.Sub(now)/2))
	if broken != nil || reply != nil {
		return false, broken
	}
	v, err := rds.Decode(payload)
	if err != nil {
		return false, nil
	}
	rows := 0
	for _, j := range batch {
		rows += j.in.Rows
	}
	parts := make([]rds.Value, len(batch))
	at := 0
	for i, j := range batch {
		var ok bool
		if parts[i], ok = part(v, rows, at, at+j.in.Rows); !ok {
			return false, nil
		}
		at += j.in.Rows
	}
	e.stats.joined.Add(int64(len(batch)))
	if agrees, _ := e.joins.get(batch[0].key); !agrees {
		return e.compare(w, batch, parts)
	}
	for i, j := range batch {
		j.done <- outcome{value: parts[i]}
	}
	return true, nil
}

// compare runs each of the requests alone, answers with that, and remembers whether it is what they got together.
func (e *Endpoint) compare(w *worker, batch []*job, parts []rds.Value) (done bool, broken error) {
	key, agree := batch[0].key, true
	for i, j := range batch {
		out, broken := e.alone(w, j)
		if out.err == nil {
			out.value, out.err = rds.Decode(out.payload)
		}
		agree = agree && out.err == nil && sameAnswer(out.value, parts[i], j.in.Rows)
		j.done <- out
		if broken != nil {
			e.putBack(batch[i+1:])
			return true, broken
		}
	}
	if !agree {
		e.cfg.Logger.Warn("requests_not_joined", "reason", "the model answers requests that are joined differently")
	}
	e.joins.set(key, agree)
	return true, nil
}

func sameAnswer(a, b rds.Value, rows int) bool {
	x, _, errX := encodePredictions(nil, a, rows)
	y, _, errY := encodePredictions(nil, b, rows)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// concat joins the rows of requests of one key.
func concat(batch []*job) *model.Input {
	first := batch[0].in
	out := &model.Input{Shape: model.Frame, Params: first.Params, Columns: make([]*model.Column, len(first.Columns))}
	for _, j := range batch {
		out.Rows += j.in.Rows
	}
	for i := range first.Columns {
		parts := make([]*model.Column, len(batch))
		for k, j := range batch {
			parts[k] = j.in.Columns[i]
		}
		out.Columns[i] = model.Concat(parts)
	}
	return out
}

// part gives the rows from..to of an answer for rows rows, and false when it has not one finite element for each row.
func part(v rds.Value, rows, from, to int) (rds.Value, bool) {
	if n, ok := rds.Rows(v); ok {
		if n != rows {
			return nil, false
		}
		df := v.(*rds.List)
		columns := make([]rds.Value, len(df.V))
		for i, c := range df.V {
			if columns[i], ok = part(c, rows, from, to); !ok {
				return nil, false
			}
		}
		return rds.DataFrame(df.Strings("names"), columns, to-from, nil), true
	}
	if !isAtomic(v) {
		return nil, false
	}
	width := 1
	attrs := v.Attributes()
	if dim, ok := attrs.Get("dim").(*rds.Integer); ok {
		if len(dim.V) == 0 || int(dim.V[0]) != rows {
			return nil, false
		}
		width = rds.Len(v) / max(rows, 1)
		cut := append([]int32{int32(to - from)}, dim.V[1:]...)
		attrs = rds.Attrs{{Name: "dim", Value: rds.Ints(cut...)}}
	} else if attrs.Get("names") != nil {
		return nil, false
	}
	if rds.Len(v) != rows*width {
		return nil, false
	}
	switch v := v.(type) {
	case *rds.Double:
		cut := take(v.V, rows, width, from, to)
		for _, x := range cut {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, false
			}
		}
		return &rds.Double{V: cut, Attrs: attrs}, true
	case *rds.Integer:
		return &rds.Integer{V: take(v.V, rows, width, from, to), Attrs: attrs}, true
	case *rds.Logical:
		return &rds.Logical{V: take(v.V, rows, width, from, to), Attrs: attrs}, true
	case *rds.String:
		return &rds.String{V: take(v.V, rows, width, from, to), Attrs: attrs}, true
	}
	return nil, false
}

// take gives the rows from..to of a matrix that is stored by columns.
func take[T any](v []T, rows, width, from, to int) []T {
	if width == 1 {
		return v[from:to:to]
	}
	out := make([]T, 0, (to-from)*width)
	for c := range width {
		out = append(out, v[c*rows+from:c*rows+to]...)
	}
	return out
}
