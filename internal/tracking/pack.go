package tracking

import (
	"math"
	"slices"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
)

// A request that logs few points of many metrics, as a training loop does at each step, is stored as one pack: a row of
// the table seg with packKey in place of a metric's id. As packs gather they are folded into blocks of each metric.
const (
	packKey    = 0       // ids of keys begin at 1
	packFrom   = 16      // so many metrics with few points in one request become a pack; fewer go to their tails
	packPoints = 1 << 16 // about so many points in the packs of a run are folded
	packMost   = 1024    // so many packs of a run are folded
)

// packSummary describes a pack. It has no values: they are of different metrics.
func packSummary(points []series.Keyed) series.Summary {
	nan := math.NaN()
	first := points[0]
	s := series.Summary{N: len(points), MinStep: first.Step, MaxStep: first.Step, MinTime: first.Time, MaxTime: first.Time, Min: nan, Max: nan, First: nan, Last: nan}
	for _, p := range points {
		s.MinStep, s.MaxStep = min(s.MinStep, p.Step), max(s.MaxStep, p.Step)
		s.MinTime, s.MaxTime = min(s.MinTime, p.Time), max(s.MaxTime, p.Time)
	}
	return s
}

// packsAreFull tells whether it is time to fold the packs of a run, of which the last is number seq and has n points.
func packsAreFull(seq, n int64) bool { return seq >= packMost || seq*n >= packPoints }

// writePack adds points of many metrics to a locked run.
func writePack(tx *sqldb.Tx, run int64, points []series.Keyed) error {
	seq, err := addBlock(tx, run, packKey, packSummary(points), series.EncodePack(nil, points))
	if err != nil || !packsAreFull(seq, int64(len(points))) {
		return err
	}
	return foldPacks(tx, run)
}

// foldPacks makes blocks of a run's packs; metrics that have few points in them go to their tails.
func foldPacks(tx *sqldb.Tx, run int64) error {
	keys, points, err := unpack(tx, run)
	if err != nil {
		return err
	}
	for _, key := range keys {
		write := writeTail
		if len(points[key]) >= blockFrom {
			write = insertBlock
		}
		for part := range slices.Chunk(points[key], series.MaxPoints) {
			if err := write(tx, run, key, part); err != nil {
				return err
			}
		}
	}
	return dropPacks(tx, run)
}

func dropPacks(tx *sqldb.Tx, run int64) error {
	_, err := tx.Exec(`delete from seg where run_id = $1 and key_id = $2`, run, packKey)
	return err
}

// unpack gives what is in a run's packs: the metrics, and the points of each in the order of histories and each once.
func unpack(tx *sqldb.Tx, run int64) (keys []int64, points map[int64][]series.Point, err error) {
	points = make(map[int64][]series.Point)
	var all []series.Keyed
	err = eachPack(tx, run, math.MinInt64, func(data []byte) (err error) {
		if all, err = series.DecodePack(all[:0], data); err != nil {
			return err
		}
		for _, p := range all {
			points[p.Key] = append(points[p.Key], p.Point)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for key := range points {
		keys = append(keys, key)
		points[key] = series.Sort(points[key])
	}
	slices.Sort(keys)
	return keys, points, nil
}

// readPacks gives a metric's points in the packs of its run, in the order of histories; packs that end before the time
// from are left out.
func readPacks(tx *sqldb.Tx, run, key, from int64) (points []series.Point, err error) {
	err = eachPack(tx, run, from, func(data []byte) (err error) {
		points, err = series.PickPack(points, data, key)
		return err
	})
	return series.Sort(points), err
}

// eachPack reads the packs of a run that end at the time from or later.
func eachPack(tx *sqldb.Tx, run, from int64, each func(data []byte) error) error {
	rows, err := tx.Query(`select data from seg where run_id = $1 and key_id = $2 and ts1 >= $3 order by seq`, run, packKey, from)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return err
		}
		if err := each(data); err != nil {
			return err
		}
	}
	return rows.Close()
}
