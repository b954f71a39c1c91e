package tracking

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
)

// CheckCounts says what Check has looked at.
type CheckCounts struct {
	Experiments  int64 `json:"experiments"`
	Runs         int64 `json:"runs"`
	LoggedModels int64 `json:"logged_models"`
	Metrics      int64 `json:"metrics"` // of all runs
	Points       int64 `json:"points"`
	// Unfinished is what a gc that was broken off has left, and Importing the runs of a broken import: both are in order,
	// and go on with the next gc and import.
	Unfinished int64 `json:"unfinished"`
	Importing  int64 `json:"importing"`
}

// Check compares what tracking keeps twice: each metric's latest, first, least and greatest value with all of its points,
// each block's summary with its content, and rows with the rows that they belong to. It calls found with each fault. It
// may run beside servers; a run is looked at as it is at one moment.
func Check(ctx context.Context, db *sqldb.DB, found func(what string)) (n CheckCounts, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		n = CheckCounts{}
		for query, dst := range map[string]*int64{
			`select count(*) from experiment`:   &n.Experiments,
			`select count(*) from run`:          &n.Runs,
			`select count(*) from logged_model`: &n.LoggedModels,
			`select count(*) from doomed`:       &n.Unfinished,
			`select count(*) from run_import`:   &n.Importing,
		} {
			if err := tx.QueryRow(query).Scan(dst); err != nil {
				return err
			}
		}
		return checkOwners(tx, found)
	})
	if err != nil {
		return n, err
	}
	for last := int64(0); ; {
		var runs []checkedRun
		var faults []string
		var metrics, points int64
		err := db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			faults, metrics, points = nil, 0, 0
			if runs, err = nextRuns(tx, last); err != nil || len(runs) == 0 {
				return err
			}
			c := &headCheck{tx: tx, runs: runs, found: func(what string) { faults = append(faults, what) }}
			if err = c.run(); err == nil {
				err = c.checkDocuments()
			}
			metrics, points = int64(len(c.heads)), c.points
			return err
		})
		if err != nil || len(runs) == 0 {
			return n, err
		}
		last = runs[len(runs)-1].id
		n.Metrics += metrics
		n.Points += points
		for _, f := range faults {
			found(f)
		}
	}
}

// checkOwners finds rows that belong to nothing.
func checkOwners(tx *sqldb.Tx, found func(string)) error {
	type rule struct{ what, query string }
	var rules []rule
	for _, table := range []string{"seg", "tail", "latest", "param", "tag", "run_dataset", "run_model", "run_doc", "run_import"} {
		rules = append(rules, rule{"rows of " + table + " belong to no run", `
			select count(*) from ` + table + ` x where not exists (select 1 from run r where r.id = x.run_id)
			and not exists (select 1 from doomed d where d.kind = 1 and d.id = x.run_id)`})
	}
	for _, table := range []string{"model_param", "model_tag", "model_metric"} {
		rules = append(rules, rule{"rows of " + table + " belong to no logged model", `
			select count(*) from ` + table + ` x where not exists (select 1 from logged_model l where l.id = x.model_id)
			and not exists (select 1 from doomed d where d.kind = 2 and d.id = x.model_id)`})
	}
	for table, kind := range map[string]int{"latest": kindMetric, "param": kindParam, "tag": kindTag} {
		rules = append(rules, rule{"rows of " + table + " have a name that is not one of their experiment's", fmt.Sprintf(`
			select count(*) from %s x join run r on r.id = x.run_id
			where not exists (select 1 from key k where k.id = x.key_id and k.exp_id = r.exp_id and k.kind = %d)`, table, kind)})
	}
	rules = append(rules,
		rule{"uses of datasets name no dataset", `select count(*) from run_dataset x where not exists (select 1 from dataset d where d.id = x.dataset_id)`},
		rule{"runs are deleted without a time, or have one though they are active", `
			select count(*) from run where deleted = 0 and deleted_at is not null`},
		rule{"names of experiments' keys belong to no experiment", `select count(*) from key k where not exists (select 1 from experiment e where e.id = k.exp_id)`},
	)
	for _, r := range rules {
		var n int64
		if err := tx.QueryRow(r.query).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			found(fmt.Sprintf("%d %s", n, r.what))
		}
	}
	return nil
}

// checkedRuns is how many runs are looked at in one transaction.
const checkedRuns = 200

type checkedRun struct {
	id   int64
	uuid string
}

func nextRuns(tx *sqldb.Tx, after int64) (list []checkedRun, err error) {
	rows, err := tx.Query(`select id, uuid from run where id > $1 order by id limit $2`, after, checkedRuns)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r checkedRun
		if err := rows.Scan(&r.id, &r.uuid); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Close()
}

// headCheck compares the values that runs show with those of their points.
type headCheck struct {
	tx     *sqldb.Tx
	runs   []checkedRun
	found  func(string)
	heads  map[cell]span // of the table latest
	points int64
}

func (c *headCheck) run() error {
	if err := c.readHeads(); err != nil {
		return err
	}
	seen := make(map[cell]span)
	if err := c.readBlocks(seen); err != nil {
		return err
	}
	if err := c.readTails(seen); err != nil {
		return err
	}
	names := make(map[int64]string)
	for _, r := range c.runs {
		names[r.id] = r.uuid
	}
	importing, err := ids(c.tx, `select run_id from run_import`)
	if err != nil {
		return err
	}
	for _, id := range importing {
		delete(names, id) // half a run may have anything
	}
	for at, head := range c.heads {
		uuid, ok := names[at.run]
		if !ok {
			continue
		}
		points, has := seen[at]
		switch {
		case !has:
			c.found(fmt.Sprintf("run %s shows a value of metric %s, which has no points", uuid, c.keyName(at.key)))
		case !sameSpan(head, points):
			c.found(fmt.Sprintf("run %s shows other values of metric %s than its points have: %s, not %s", uuid, c.keyName(at.key), head, points))
		}
	}
	for at := range seen {
		if _, has := c.heads[at]; !has && names[at.run] != "" {
			c.found(fmt.Sprintf("run %s has points of metric %s and shows none", names[at.run], c.keyName(at.key)))
		}
	}
	return nil
}

// checkDocuments compares the documents from which searches are answered with what they are made of.
func (c *headCheck) checkDocuments() error {
	stored := make(map[int64][]byte)
	low, high := c.bounds()
	rows, err := c.tx.Query(`select run_id, data from run_doc where run_id between $1 and $2`, low, high)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data []byte
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		stored[id] = data
	}
	if err := rows.Close(); err != nil {
		return err
	}
	docs := make(map[int64]*document)
	var ids []int64
	for _, r := range c.runs {
		if stored[r.id] != nil {
			ids = append(ids, r.id)
			docs[r.id] = &document{}
		}
	}
	if err := readRows(c.tx, ids, docs); err != nil {
		return err
	}
	for _, r := range c.runs {
		// One of an older version is as good as none.
		if data := stored[r.id]; len(data) > 0 && data[0] == docVersion && !bytes.Equal(docs[r.id].encode(), data) {
			c.found(fmt.Sprintf("run %s has a document that is not what its rows say", r.uuid))
		}
	}
	return nil
}

func (c *headCheck) keyName(id int64) string {
	var name string
	if err := c.tx.QueryRow(`select name from key where id = $1`, id).Scan(&name); err != nil {
		return fmt.Sprintf("number %d", id)
	}
	return name
}

// bounds are the ids between which the runs lie.
func (c *headCheck) bounds() (low, high int64) { return c.runs[0].id, c.runs[len(c.runs)-1].id }

func (c *headCheck) readHeads() error {
	c.heads = make(map[cell]span)
	low, high := c.bounds()
	rows, err := c.tx.Query(`
		select run_id, key_id, value, step, ts, vmin, vmax, vfirst, first_step, first_ts from latest where run_id between $1 and $2`, low, high)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at cell
		var s span
		var value, vmin, vmax, vfirst *float64
		err := rows.Scan(&at.run, &at.key, &value, &s.last.Step, &s.last.Time, &vmin, &vmax, &vfirst, &s.first.Step, &s.first.Time)
		if err != nil {
			return err
		}
		s.last.Value, s.first.Value, s.min, s.max = float(value), float(vfirst), float(vmin), float(vmax)
		c.heads[at] = s
	}
	return rows.Close()
}

func (c *headCheck) readBlocks(seen map[cell]span) error {
	low, high := c.bounds()
	rows, err := c.tx.Query(`
		select run_id, key_id, seq, n, step0, step1, ts0, ts1, vmin, vmax, vfirst, vlast, data from seg where run_id between $1 and $2`, low, high)
	if err != nil {
		return err
	}
	defer rows.Close()
	var points []series.Point
	var packed []series.Keyed
	for rows.Next() {
		var at cell
		var seq int64
		var s series.Summary
		var vmin, vmax, vfirst, vlast *float64
		var data []byte
		err := rows.Scan(&at.run, &at.key, &seq, &s.N, &s.MinStep, &s.MaxStep, &s.MinTime, &s.MaxTime, &vmin, &vmax, &vfirst, &vlast, &data)
		if err != nil {
			return err
		}
		s.Min, s.Max, s.First, s.Last = float(vmin), float(vmax), float(vfirst), float(vlast)
		if at.key == packKey {
			packed = c.readPack(packed[:0], at.run, seq, s, data, seen)
			continue
		}
		where := fmt.Sprintf("block %d of metric number %d of run number %d", seq, at.key, at.run)
		if points, err = series.Decode(points[:0], data); err != nil {
			c.found(fmt.Sprintf("%s cannot be read: %v", where, err))
			continue
		}
		if len(points) == 0 {
			c.found(where + " is empty")
			continue
		}
		if got := series.Summarize(points); !sameSummary(got, s) {
			c.found(fmt.Sprintf("%s has another summary than its points", where))
		}
		c.points += int64(len(points))
		widen(seen, at, spanOf(points))
	}
	return rows.Close()
}

// readPack reads what holds points of many metrics; it gives its memory back.
func (c *headCheck) readPack(points []series.Keyed, run, seq int64, s series.Summary, data []byte, seen map[cell]span) []series.Keyed {
	where := fmt.Sprintf("pack %d of run number %d", seq, run)
	points, err := series.DecodePack(points, data)
	if err != nil {
		c.found(fmt.Sprintf("%s cannot be read: %v", where, err))
		return points
	}
	if got := packSummary(points); !sameSummary(got, s) {
		c.found(fmt.Sprintf("%s has another summary than its points", where))
	}
	c.points += int64(len(points))
	for _, p := range points {
		widen(seen, cell{run, p.Key}, spanOf([]series.Point{p.Point}))
	}
	return points
}

func (c *headCheck) readTails(seen map[cell]span) error {
	low, high := c.bounds()
	rows, err := c.tx.Query(`select run_id, key_id, step, ts, value from tail where run_id between $1 and $2`, low, high)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at cell
		var p series.Point
		var v *float64
		if err := rows.Scan(&at.run, &at.key, &p.Step, &p.Time, &v); err != nil {
			return err
		}
		p.Value = float(v)
		c.points++
		widen(seen, at, spanOf([]series.Point{p}))
	}
	return rows.Close()
}

// widen takes a span into that of its metric.
func widen(seen map[cell]span, at cell, s span) {
	have, ok := seen[at]
	if !ok {
		seen[at] = s
		return
	}
	if series.CompareSteps(s.first, have.first) < 0 {
		have.first = s.first
	}
	if series.CompareSteps(s.last, have.last) > 0 {
		have.last = s.last
	}
	if s.min < have.min || math.IsNaN(have.min) {
		have.min = s.min
	}
	if s.max > have.max || math.IsNaN(have.max) {
		have.max = s.max
	}
	seen[at] = have
}

func sameSpan(a, b span) bool {
	return series.CompareSteps(a.first, b.first) == 0 && series.CompareSteps(a.last, b.last) == 0 &&
		series.CompareValues(a.min, b.min) == 0 && series.CompareValues(a.max, b.max) == 0
}

func sameSummary(a, b series.Summary) bool {
	return a.N == b.N && a.MinStep == b.MinStep && a.MaxStep == b.MaxStep && a.MinTime == b.MinTime && a.MaxTime == b.MaxTime &&
		series.CompareValues(a.Min, b.Min) == 0 && series.CompareValues(a.Max, b.Max) == 0 &&
		series.CompareValues(a.First, b.First) == 0 && series.CompareValues(a.Last, b.Last) == 0
}

// String shows a span in a fault.
func (s span) String() string {
	return fmt.Sprintf("first %v at step %d, latest %v at step %d, least %v, greatest %v",
		s.first.Value, s.first.Step, s.last.Value, s.last.Step, s.min, s.max)
}
