package tracking

import (
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
)

// recheck leaves the runs for which the part of the filter is true that the database could not decide.
func (l *runList) recheck(hits []runHit) ([]runHit, error) {
	rows := make(map[int64]*texts, len(hits))
	ids := make([]int64, len(hits))
	for i, h := range hits {
		ids[i] = h.run.id
		rows[h.run.id] = runTexts(&h.run)
	}
	for _, t := range termsOf(l.inGo) {
		if t.Entity == search.Dataset {
			if err := l.readDatasets(t, ids, rows); err != nil {
				return nil, err
			}
			continue
		}
		table, ok := keyTables[t.Entity]
		if !ok {
			continue
		}
		key, ok, err := l.s.lookupKey(l.tx, keyRef{l.exp.id, table.kind, t.Key})
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if err := l.readValues(t, table.table, key, ids, rows); err != nil {
			return nil, err
		}
	}
	kept := hits[:0]
	for _, h := range hits {
		if err := l.tx.Err(); err != nil {
			return nil, err
		}
		if search.Match(l.inGo, rows[h.run.id]) {
			kept = append(kept, h)
		}
	}
	return kept, nil
}

// readValues reads what a term compares.
func (l *runList) readValues(t *search.Term, table string, key int64, ids []int64, rows map[int64]*texts) error {
	column := "value"
	if t.Entity == search.Metric {
		column = foldColumn(t.Fold)
	}
	return queryIn(l.tx, `select run_id, key_id, `+column+` from `+table+` where run_id `, ` order by run_id, key_id`, ids, func(r *sqldb.Rows) error {
		var id, k int64
		var number *float64
		var text string
		if t.Entity == search.Metric {
			if err := r.Scan(&id, &k, &number); err != nil {
				return err
			}
		} else if err := r.Scan(&id, &k, &text); err != nil {
			return err
		}
		switch {
		case k != key:
		case t.Entity == search.Metric:
			rows[id].setNumber(t.Entity, t.Key, t.Fold, float(number))
		default:
			rows[id].texts[entityKey{t.Entity, t.Key}] = []string{text}
		}
		return nil
	})
}

// runTexts gives a run's attributes as a filter sees them.
func runTexts(r *run) *texts {
	row := newTexts()
	for key, v := range map[string]string{
		"run_id": r.RunID, "run_name": r.RunName, "status": string(r.Status), "user_id": r.UserID, "artifact_uri": r.ArtifactURI,
	} {
		row.texts[entityKey{search.Attribute, key}] = []string{v}
	}
	row.setNumber(search.Attribute, "start_time", search.Latest, float64(r.StartTime))
	if r.EndTime != 0 {
		row.setNumber(search.Attribute, "end_time", search.Latest, float64(r.EndTime))
	}
	return row
}
