package tracking

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
)

// applyBatch applies operations on PostgreSQL, where each statement is a round trip: it reads the touched runs and
// params first, refuses bad operations in memory, and writes the rest with one statement a table. All of those travel
// together with the commit: two round trips log a metric of any number of runs.
func (s *Store) applyBatch(tx *sqldb.Tx, ops []*logOp) []error {
	b := &logBatch{s: s, tx: tx, ops: ops, errs: make([]error, len(ops)), keys: make(map[keyRef]int64)}
	for _, step := range []func() error{b.lockRuns, b.findModels, b.findKeys, b.checkParams, b.writeParams, b.writeMetrics, b.writeModelMetrics, b.writeTags} {
		if err := step(); err != nil {
			b.errs[0] = err // a fault of the database: the queue repeats the operations one by one
			return b.errs
		}
	}
	for i, op := range ops {
		if b.errs[i] == nil {
			op.fresh = b.fresh
		}
		b.errs[i] = sqldb.Refused(b.errs[i])
	}
	return b.errs
}

// logBatch is a batch under way. Arrays that its queries look up stand behind a select: of a plain one PostgreSQL's planner
// sees the length, takes it for a reason to make a plan for each call, and that takes longer than the query.
type logBatch struct {
	s    *Store
	tx   *sqldb.Tx
	ops  []*logOp
	errs []error // what an operation is refused for
	runs map[string]lockedRun
	// the logged models that metrics name, by their public ids
	models map[string]lockedRun
	keys   map[keyRef]int64
	fresh  map[keyRef]int64
	// params that are to be written
	params map[cell]string
}

// cell is the place of a metric, param or tag of one run.
type cell struct{ run, key int64 }

// accepted calls f for each operation that was not refused.
func (b *logBatch) accepted(f func(i int, op *logOp, r lockedRun)) {
	for i, op := range b.ops {
		if b.errs[i] == nil {
			f(i, op, b.runs[op.run])
		}
	}
}

// lockRuns takes the runs in the order of their ids, so that two batches never wait for each other in a circle.
func (b *logBatch) lockRuns() error {
	b.runs = make(map[string]lockedRun)
	var uuids []string
	for _, op := range b.ops {
		if _, ok := b.runs[op.run]; !ok {
			b.runs[op.run] = lockedRun{}
			uuids = append(uuids, op.run)
		}
	}
	rows, err := b.tx.Query(`
		select uuid, id, exp_id, deleted from run where uuid = any (array (select unnest(cast($1 as text[])))) order by id for update`, uuids)
	if err != nil {
		return err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var uuid string
		var r lockedRun
		if err := rows.Scan(&uuid, &r.id, &r.exp, &r.deleted); err != nil {
			return err
		}
		b.runs[uuid] = r
		ids = append(ids, r.id)
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for i, op := range b.ops {
		switch r := b.runs[op.run]; {
		case r.id == 0:
			b.errs[i] = runNotFound(op.run)
		case r.deleted:
			b.errs[i] = notActive("run", op.run)
		}
	}
	return b.tx.Later(`delete from run_doc where run_id = any (array (select unnest(cast($1 as bigint[]))))`, ids)
}

// findKeys finds the ids of all names and makes those that do not exist, in a fixed order for the same reason.
func (b *logBatch) findKeys() error {
	var missing []keyRef
	want := func(ref keyRef) {
		if _, ok := b.keys[ref]; ok {
			return
		}
		id, ok := b.s.keys.id(ref)
		if b.keys[ref] = id; !ok {
			missing = append(missing, ref)
		}
	}
	b.accepted(func(_ int, op *logOp, r lockedRun) {
		for i := range op.metrics {
			m := &op.metrics[i]
			want(keyRef{r.exp, kindMetric, m.Key})
			if m.ModelID != "" {
				want(keyRef{b.models[m.ModelID].exp, kindMetric, m.Key})
			}
		}
		for _, p := range op.params {
			want(keyRef{r.exp, kindParam, p.Key})
		}
		for _, t := range op.tags {
			want(keyRef{r.exp, kindTag, t.Key})
		}
	})
	if len(missing) == 0 {
		return nil
	}
	slices.SortFunc(missing, func(x, y keyRef) int {
		return cmp.Or(cmp.Compare(x.exp, y.exp), cmp.Compare(x.kind, y.kind), cmp.Compare(x.name, y.name))
	})
	exps, kinds, names := make([]int64, len(missing)), make([]int64, len(missing)), make([]string, len(missing))
	for i, ref := range missing {
		exps[i], kinds[i], names[i] = ref.exp, int64(ref.kind), ref.name
	}
	const wanted = `unnest(cast($1 as bigint[]), cast($2 as bigint[]), cast($3 as text[])) as w (exp_id, kind, name)`
	find := func() error {
		rows, err := b.tx.Query(`
			select k.id, k.exp_id, k.kind, k.name from `+wanted+`
			join key k on k.exp_id = w.exp_id and k.kind = w.kind and k.name = w.name collate "C"`, exps, kinds, names)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			var ref keyRef
			if err := rows.Scan(&id, &ref.exp, &ref.kind, &ref.name); err != nil {
				return err
			}
			b.fresh[ref], b.keys[ref] = id, id
		}
		return rows.Close()
	}
	b.fresh = make(map[keyRef]int64)
	if err := find(); err != nil || len(b.fresh) == len(missing) {
		return err
	}
	if _, err := b.tx.Exec(`insert into key (exp_id, kind, name) select * from `+wanted+` on conflict do nothing`, exps, kinds, names); err != nil {
		return err
	}
	return find()
}

// checkParams refuses operations that change a param, also one of an earlier operation in the batch.
func (b *logBatch) checkParams() error {
	b.params = make(map[cell]string)
	have := make(map[cell]string)
	var runs, keys []int64
	b.accepted(func(_ int, op *logOp, r lockedRun) {
		for _, p := range op.params {
			runs, keys = append(runs, r.id), append(keys, b.keys[keyRef{r.exp, kindParam, p.Key}])
		}
	})
	if len(runs) == 0 {
		return nil
	}
	rows, err := b.tx.Query(`
		select p.run_id, p.key_id, p.value from unnest(cast($1 as bigint[]), cast($2 as bigint[])) as w (run_id, key_id)
		join param p on p.run_id = w.run_id and p.key_id = w.key_id`, runs, keys)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c cell
		var value string
		if err := rows.Scan(&c.run, &c.key, &value); err != nil {
			return err
		}
		have[c] = value
	}
	if err := rows.Close(); err != nil {
		return err
	}
	b.accepted(func(i int, op *logOp, r lockedRun) {
		var changed []changedParam
		for _, p := range op.params {
			if old, ok := have[b.cell(r, kindParam, p.Key)]; ok && old != p.Value {
				changed = append(changed, changedParam{p.Key, old, p.Value})
			}
		}
		if changed != nil {
			b.errs[i] = paramsChanged(op, changed)
			return
		}
		for _, p := range op.params {
			c := b.cell(r, kindParam, p.Key)
			if _, ok := have[c]; !ok {
				have[c], b.params[c] = p.Value, p.Value
			}
		}
	})
	return nil
}

func (b *logBatch) cell(r lockedRun, kind int, name string) cell {
	return cell{r.id, b.keys[keyRef{r.exp, kind, name}]}
}

// cells makes columns of a map, for unnest.
func cells[V any](m map[cell]V) (runs, keys []int64, values []V) {
	for c, v := range m {
		runs, keys, values = append(runs, c.run), append(keys, c.key), append(values, v)
	}
	return runs, keys, values
}

func (b *logBatch) writeParams() error {
	if len(b.params) == 0 {
		return nil
	}
	runs, keys, values := cells(b.params)
	return b.tx.Later(`
		insert into param (run_id, key_id, value)
		select * from unnest(cast($1 as bigint[]), cast($2 as bigint[]), cast($3 as text[]))`, runs, keys, values)
}

// writeTags writes the last value of each tag; a run's name follows its tag.
func (b *logBatch) writeTags() error {
	tags, names := make(map[cell]string), make(map[cell]string)
	b.accepted(func(_ int, op *logOp, r lockedRun) {
		for _, t := range op.tags {
			if t.Key == tagRunName {
				t.Value = truncate(t.Value, maxRunName)
				names[cell{run: r.id}] = t.Value
			}
			tags[b.cell(r, kindTag, t.Key)] = t.Value
		}
	})
	if len(tags) == 0 {
		return nil
	}
	runs, keys, values := cells(tags)
	err := b.tx.Later(`
		insert into tag (run_id, key_id, value)
		select * from unnest(cast($1 as bigint[]), cast($2 as bigint[]), cast($3 as text[]))
		on conflict (run_id, key_id) do update set value = excluded.value`, runs, keys, values)
	if err != nil || len(names) == 0 {
		return err
	}
	runs, _, values = cells(names)
	return b.tx.Later(`
		update run set name = w.name from unnest(cast($1 as bigint[]), cast($2 as text[])) as w (id, name) where run.id = w.id`, runs, values)
}

// writeMetrics writes the points of all operations, joined by run and metric.
func (b *logBatch) writeMetrics() error {
	points := make(map[cell][]series.Point)
	var order []cell
	b.accepted(func(_ int, op *logOp, r lockedRun) {
		for i := range op.metrics {
			m := &op.metrics[i]
			c := b.cell(r, kindMetric, m.Key)
			if points[c] == nil {
				order = append(order, c)
			}
			points[c] = append(points[c], pointOf(m))
		}
	})
	if len(order) == 0 {
		return nil
	}
	var blocks, few []cell
	fewOf := make(map[int64]int) // by run
	for _, c := range order {
		points[c] = series.Sort(points[c])
		if len(points[c]) >= blockFrom {
			blocks = append(blocks, c)
		} else {
			few = append(few, c)
			fewOf[c.run]++
		}
	}
	if err := b.writeLatest(order, points); err != nil {
		return err
	}
	if err := b.writeBlocks(blocks, points); err != nil {
		return err
	}
	var tails []cell
	packs := make(map[cell][]series.Keyed)
	for _, c := range few {
		if fewOf[c.run] < packFrom {
			tails = append(tails, c)
			continue
		}
		of := cell{c.run, packKey}
		for _, p := range points[c] {
			packs[of] = append(packs[of], series.Keyed{Key: c.key, Point: p})
		}
	}
	if err := b.writeTails(tails, points); err != nil {
		return err
	}
	return b.writePacks(packs)
}

func (b *logBatch) writeLatest(order []cell, points map[cell][]series.Point) error {
	n := len(order)
	runs, keys := make([]int64, n), make([]int64, n)
	steps, times, firstSteps, firstTimes := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	values, low, high, first := make([]*float64, n), make([]*float64, n), make([]*float64, n), make([]*float64, n)
	for i, c := range order {
		s := spanOf(points[c])
		runs[i], keys[i] = c.run, c.key
		values[i], steps[i], times[i] = number(s.last.Value), s.last.Step, s.last.Time
		low[i], high[i] = number(s.min), number(s.max)
		first[i], firstSteps[i], firstTimes[i] = number(s.first.Value), s.first.Step, s.first.Time
	}
	return b.tx.Later(`
		insert into latest (run_id, key_id, value, step, ts, vmin, vmax, vfirst, first_step, first_ts)
		select * from unnest(cast($1 as bigint[]), cast($2 as bigint[]), cast($3 as double precision[]), cast($4 as bigint[]), cast($5 as bigint[]),
			cast($6 as double precision[]), cast($7 as double precision[]), cast($8 as double precision[]), cast($9 as bigint[]), cast($10 as bigint[]))`+
		upsertLatest, runs, keys, values, steps, times, low, high, first, firstSteps, firstTimes)
}

// lastSeq gives the greatest sequence number of each cell in seg or tail.
func (b *logBatch) lastSeq(table string, list []cell) (map[cell]int64, error) {
	runs, keys := make([]int64, len(list)), make([]int64, len(list))
	for i, c := range list {
		runs[i], keys[i] = c.run, c.key
	}
	rows, err := b.tx.Query(`
		select w.run_id, w.key_id, coalesce((select max(seq) from `+table+` t where t.run_id = w.run_id and t.key_id = w.key_id), 0)
		from unnest((select cast($1 as bigint[])), (select cast($2 as bigint[]))) as w (run_id, key_id)`, runs, keys)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := make(map[cell]int64, len(list))
	for rows.Next() {
		var c cell
		var seq int64
		if err := rows.Scan(&c.run, &c.key, &seq); err != nil {
			return nil, err
		}
		last[c] = seq
	}
	return last, rows.Close()
}

// segRows are rows for the table seg.
type segRows struct {
	ints   [8][]int64
	floats [4][]*float64
	data   [][]byte
}

func (rows *segRows) add(c cell, seq int64, s series.Summary, data []byte) {
	for i, v := range []int64{c.run, c.key, seq, int64(s.N), s.MinStep, s.MaxStep, s.MinTime, s.MaxTime} {
		rows.ints[i] = append(rows.ints[i], v)
	}
	for i, v := range []float64{s.Min, s.Max, s.First, s.Last} {
		rows.floats[i] = append(rows.floats[i], number(v))
	}
	rows.data = append(rows.data, data)
}

func (rows *segRows) insert(tx *sqldb.Tx) error {
	return tx.Later(`
		insert into seg (run_id, key_id, seq, n, step0, step1, ts0, ts1, vmin, vmax, vfirst, vlast, data)
		select * from unnest(cast($1 as bigint[]), cast($2 as bigint[]), cast($3 as bigint[]), cast($4 as bigint[]), cast($5 as bigint[]), cast($6 as bigint[]),
			cast($7 as bigint[]), cast($8 as bigint[]), cast($9 as double precision[]), cast($10 as double precision[]),
			cast($11 as double precision[]), cast($12 as double precision[]), cast($13 as bytea[]))`,
		rows.ints[0], rows.ints[1], rows.ints[2], rows.ints[3], rows.ints[4], rows.ints[5], rows.ints[6], rows.ints[7],
		rows.floats[0], rows.floats[1], rows.floats[2], rows.floats[3], rows.data)
}

func (b *logBatch) writeBlocks(list []cell, points map[cell][]series.Point) error {
	if len(list) == 0 {
		return nil
	}
	last, err := b.lastSeq("seg", list)
	if err != nil {
		return err
	}
	var rows segRows
	for _, c := range list {
		for part := range slices.Chunk(points[c], series.MaxPoints) {
			last[c]++
			rows.add(c, last[c], series.Summarize(part), series.Encode(nil, part))
		}
	}
	return rows.insert(b.tx)
}

// writePacks writes what runs log for many metrics; a run whose packs are full has them folded.
func (b *logBatch) writePacks(packs map[cell][]series.Keyed) error {
	if len(packs) == 0 {
		return nil
	}
	list := slices.Collect(maps.Keys(packs))
	last, err := b.lastSeq("seg", list)
	if err != nil {
		return err
	}
	var rows segRows
	var full []cell
	for _, c := range list {
		for part := range slices.Chunk(packs[c], packPoints) {
			last[c]++
			rows.add(c, last[c], packSummary(part), series.EncodePack(nil, part))
		}
		if packsAreFull(last[c], int64(len(packs[c]))) {
			full = append(full, c)
		}
	}
	if err := rows.insert(b.tx); err != nil {
		return err
	}
	for _, c := range full {
		if err := b.foldPacks(c.run); err != nil {
			return err
		}
	}
	return nil
}

func (b *logBatch) foldPacks(run int64) error {
	keys, byKey, err := unpack(b.tx, run)
	if err != nil {
		return err
	}
	var blocks, tails []cell
	points := make(map[cell][]series.Point, len(keys))
	for _, key := range keys {
		c := cell{run, key}
		points[c] = byKey[key]
		if len(points[c]) >= blockFrom {
			blocks = append(blocks, c)
		} else {
			tails = append(tails, c)
		}
	}
	if err := b.writeBlocks(blocks, points); err != nil {
		return err
	}
	if err := b.writeTails(tails, points); err != nil {
		return err
	}
	return dropPacks(b.tx, run)
}
