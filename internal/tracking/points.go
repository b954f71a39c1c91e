package tracking

import (
	"errors"
	"math"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

const (
	blockFrom = 32   // so many points of one key in one request become a block at once; fewer go to the tail
	foldAt    = 1024 // so many points in a tail become a block
)

// metricGroup is what a request logs for one metric, in the order of histories and each point once.
type metricGroup struct {
	key    string
	points []series.Point
}

// groupMetrics sorts points by key. The keys come in the order in which they are first named.
func groupMetrics(metrics []mlflow.Metric) []metricGroup {
	if len(metrics) == 0 {
		return nil
	}
	if len(metrics) == 1 {
		return []metricGroup{{metrics[0].Key, []series.Point{pointOf(&metrics[0])}}}
	}
	at := make(map[string]int, min(len(metrics), 64))
	var groups []metricGroup
	var sizes []int
	member := make([]int, len(metrics))
	for i := range metrics {
		key := metrics[i].Key
		j, ok := at[key]
		if !ok {
			j = len(groups)
			at[key] = j
			groups, sizes = append(groups, metricGroup{key: key}), append(sizes, 0)
		}
		member[i] = j
		sizes[j]++
	}
	room := make([]series.Point, len(metrics))
	for j := range groups {
		groups[j].points, room = room[:0:sizes[j]], room[sizes[j]:]
	}
	for i, j := range member {
		groups[j].points = append(groups[j].points, pointOf(&metrics[i]))
	}
	for j := range groups {
		groups[j].points = series.Sort(groups[j].points)
	}
	return groups
}

func pointOf(m *mlflow.Metric) series.Point {
	return series.Point{Step: m.Step, Time: m.Timestamp, Value: float64(m.Value)}
}

// number is a value as the tables hold it: NULL for NaN.
func number(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

// float reads what number wrote.
func float(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// span is the summary of points that the table latest holds.
type span struct {
	first, last series.Point
	min, max    float64 // NaN when there is nothing else
}

func spanOf(points []series.Point) span {
	sum := series.Summarize(points)
	s := span{first: points[0], last: points[0], min: sum.Min, max: sum.Max}
	for _, p := range points[1:] {
		if series.CompareSteps(p, s.first) < 0 {
			s.first = p
		}
		if series.CompareSteps(p, s.last) > 0 {
			s.last = p
		}
	}
	return s
}

// upsertLatest takes a span into the row of its metric. The order of values is that of package series: NaN just after 0.
const upsertLatest = `
	on conflict (run_id, key_id) do update set
		value = case when (excluded.step, excluded.ts, coalesce(excluded.value, 0), case when excluded.value is null then 1 else 0 end)
			> (latest.step, latest.ts, coalesce(latest.value, 0), case when latest.value is null then 1 else 0 end) then excluded.value else latest.value end,
		step = case when (excluded.step, excluded.ts) > (latest.step, latest.ts) then excluded.step else latest.step end,
		ts = case when (excluded.step, excluded.ts) > (latest.step, latest.ts) then excluded.ts else latest.ts end,
		vfirst = case when (excluded.first_step, excluded.first_ts, coalesce(excluded.vfirst, 0), case when excluded.vfirst is null then 1 else 0 end)
			< (latest.first_step, latest.first_ts, coalesce(latest.vfirst, 0), case when latest.vfirst is null then 1 else 0 end) then excluded.vfirst else latest.vfirst end,
		first_step = case when (excluded.first_step, excluded.first_ts) < (latest.first_step, latest.first_ts) then excluded.first_step else latest.first_step end,
		first_ts = case when (excluded.first_step, excluded.first_ts) < (latest.first_step, latest.first_ts) then excluded.first_ts else latest.first_ts end,
		vmin = case when latest.vmin is null or excluded.vmin < latest.vmin then excluded.vmin else latest.vmin end,
		vmax = case when latest.vmax is null or excluded.vmax > latest.vmax then excluded.vmax else latest.vmax end`

// writeMetrics adds points of metrics to a locked run.
func writeMetrics(tx *sqldb.Tx, keys *keyIDs, r lockedRun, metrics []mlflow.Metric) error {
	groups := groupMetrics(metrics)
	ids, err := keys.all(tx, r.exp, kindMetric, len(groups), func(i int) string { return groups[i].key })
	if err != nil {
		return err
	}
	if len(groups) == 1 {
		return writePoints(tx, r.id, ids[0], groups[0].points)
	}
	if err := widenAll(tx, r.id, ids, groups); err != nil {
		return err
	}
	var few []int
	for i, g := range groups {
		if len(g.points) < blockFrom {
			few = append(few, i)
		} else if err := insertBlock(tx, r.id, ids[i], g.points); err != nil {
			return err
		}
	}
	if len(few) < packFrom {
		for _, i := range few {
			if err := writeTail(tx, r.id, ids[i], groups[i].points); err != nil {
				return err
			}
		}
		return nil
	}
	pack := make([]series.Keyed, 0, len(metrics))
	for _, i := range few {
		for _, p := range groups[i].points {
			pack = append(pack, series.Keyed{Key: ids[i], Point: p})
		}
	}
	return writePack(tx, r.id, pack)
}

// writePoints adds points of one metric to a locked run. They are in the order of histories.
func writePoints(tx *sqldb.Tx, run, key int64, points []series.Point) error {
	if err := widenLatest(tx, run, key, spanOf(points)); err != nil {
		return err
	}
	if len(points) >= blockFrom {
		return insertBlock(tx, run, key, points)
	}
	return writeTail(tx, run, key, points)
}

// writeTail adds points of one metric to its tail.
func writeTail(tx *sqldb.Tx, run, key int64, points []series.Point) error {
	seq, err := lastSeq(tx, `select seq from tail where run_id = cast($1 as bigint) and key_id = cast($2 as bigint) order by seq desc limit 1`, run, key)
	if err != nil {
		return err
	}
	for _, p := range points {
		seq++
		_, err := tx.Exec(`insert into tail (run_id, key_id, seq, step, ts, value) values ($1, $2, $3, $4, $5, $6)`,
			run, key, seq, p.Step, p.Time, number(p.Value))
		if err != nil {
			return err
		}
	}
	if seq < foldAt {
		return nil
	}
	return fold(tx, run, key)
}

// latestColumns are the columns of the table latest as a span fills them.
var latestColumns = []string{"run_id", "key_id", "value", "step", "ts", "vmin", "vmax", "vfirst", "first_step", "first_ts"}

var widenMany = newInsertMany("latest", latestColumns, upsertLatest)

// widenAll takes the points of many metrics into the table latest.
func widenAll(tx *sqldb.Tx, run int64, keys []int64, groups []metricGroup) error {
	return widenMany.each(run, len(groups), func(args []any, i int) []any {
		s := spanOf(groups[i].points)
		return append(args, keys[i], s.last.Value, s.last.Step, s.last.Time, s.min, s.max, s.first.Value, s.first.Step, s.first.Time)
	}, func(sql string, args []any) error {
		_, err := tx.Exec(sql, args...)
		return err
	})
}

// widenLatest takes a span into a metric's row of the table latest.
func widenLatest(tx *sqldb.Tx, run, key int64, s span) error {
	_, err := tx.Exec(`
		insert into latest (run_id, key_id, value, step, ts, vmin, vmax, vfirst, first_step, first_ts)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`+upsertLatest,
		run, key, number(s.last.Value), s.last.Step, s.last.Time, number(s.min), number(s.max),
		number(s.first.Value), s.first.Step, s.first.Time)
	return err
}

// fold makes a block of a metric's tail.
func fold(tx *sqldb.Tx, run, key int64) error {
	points, err := readTail(tx, run, key)
	if err != nil {
		return err
	}
	if err := insertBlock(tx, run, key, points); err != nil {
		return err
	}
	_, err = tx.Exec(`delete from tail where run_id = $1 and key_id = $2`, run, key)
	return err
}

// readTail gives a metric's tail in the order of histories, each point once.
func readTail(tx *sqldb.Tx, run, key int64) ([]series.Point, error) {
	rows, err := tx.Query(`select step, ts, value from tail where run_id = $1 and key_id = $2 order by seq`, run, key)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var points []series.Point
	for rows.Next() {
		var p series.Point
		var v *float64
		if err := rows.Scan(&p.Step, &p.Time, &v); err != nil {
			return nil, err
		}
		p.Value = float(v)
		points = append(points, p)
	}
	return series.Sort(points), rows.Close()
}

// lastSeq gives the greatest sequence number of a metric, 0 when it has none. The query asks for the last row and not for
// max(seq), and casts its parameters: SQLite's planner looks at the values of plain ones, so it prepares such a statement
// anew for each value that is bound to it, which costs more than the statement.
func lastSeq(tx *sqldb.Tx, query string, run, key int64) (seq int64, err error) {
	err = tx.QueryRow(query, run, key).Scan(&seq)
	if errors.Is(err, sqldb.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

func insertBlock(tx *sqldb.Tx, run, key int64, points []series.Point) error {
	return storeBlock(tx, run, key, series.Summarize(points), series.Encode(nil, points))
}

// storeBlock writes a block that is made already.
func storeBlock(tx *sqldb.Tx, run, key int64, s series.Summary, data []byte) error {
	_, err := addBlock(tx, run, key, s, data)
	return err
}

// addBlock writes a block and gives its number.
func addBlock(tx *sqldb.Tx, run, key int64, s series.Summary, data []byte) (seq int64, err error) {
	seq, err = lastSeq(tx, `select seq from seg where run_id = cast($1 as bigint) and key_id = cast($2 as bigint) order by seq desc limit 1`, run, key)
	if err != nil {
		return 0, err
	}
	seq++
	_, err = tx.Exec(`
		insert into seg (run_id, key_id, seq, n, step0, step1, ts0, ts1, vmin, vmax, vfirst, vlast, data)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		run, key, seq, s.N, s.MinStep, s.MaxStep, s.MinTime, s.MaxTime, number(s.Min), number(s.Max), number(s.First), number(s.Last), data)
	return seq, err
}
