package tracking

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// A run's document holds its metrics, params, tags, inputs and outputs in one piece, so that a page of a search needs one
// read a run:
//
//	version | n metrics × (key, value bits, step, ts) | n params × (key, text) | n tags × (key, text)
//	| n datasets × (id, tags) | n models read × (id, step) | n models made × (id, step)
//
// with varints for numbers and lengths. It is removed by every change of the run, in the same transaction, and built
// from the rows while the run is locked, so it is never stale, whichever process did what.
const docVersion = 2

// docValue is a param or a tag.
type docValue struct {
	key  int64
	text string
}

// docMetric is the latest value of a metric.
type docMetric struct {
	key      int64
	value    float64
	step, ts int64
}

// document is a run's data with ids in place of names.
type document struct {
	metrics      []docMetric
	params, tags []docValue
	datasets     []docDataset
	inputs       []mlflow.ModelOutput // whose steps mean nothing
	outputs      []mlflow.ModelOutput
}

var errBadDocument = errors.New("a run's document cannot be read")

func (d *document) encode() []byte {
	b := []byte{docVersion}
	b = binary.AppendUvarint(b, uint64(len(d.metrics)))
	for _, m := range d.metrics {
		b = binary.AppendUvarint(b, uint64(m.key))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(m.value))
		b = binary.AppendVarint(b, m.step)
		b = binary.AppendVarint(b, m.ts)
	}
	for _, list := range [][]docValue{d.params, d.tags} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, v := range list {
			b = binary.AppendUvarint(b, uint64(v.key))
			b = binary.AppendUvarint(b, uint64(len(v.text)))
			b = append(b, v.text...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(d.datasets)))
	for _, v := range d.datasets {
		b = binary.AppendUvarint(b, uint64(v.id))
		b = binary.AppendUvarint(b, uint64(len(v.tags)))
		b = append(b, v.tags...)
	}
	for _, list := range [][]mlflow.ModelOutput{d.inputs, d.outputs} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, m := range list {
			b = binary.AppendUvarint(b, uint64(len(m.ModelID)))
			b = append(b, m.ModelID...)
			b = binary.AppendVarint(b, m.Step)
		}
	}
	return b
}

func decodeDocument(b []byte) (d document, err error) {
	if len(b) == 0 || b[0] != docVersion {
		return d, errBadDocument
	}
	b = b[1:]
	bad := false
	uvarint := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	varint := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	// All texts are parts of one copy of the document: most of it is text.
	all := string(b)
	text := func() string {
		size := uvarint()
		if size > uint64(len(b)) {
			bad, b = true, nil
			return ""
		}
		at := len(all) - len(b)
		b = b[size:]
		return all[at : at+int(size)]
	}
	// count reads how many things follow, of which each takes some bytes.
	count := func(bytes int) int {
		n := uvarint()
		if n > uint64(len(b)/bytes) {
			bad, b = true, nil
			return 0
		}
		return int(n)
	}
	if n := count(11); n > 0 {
		d.metrics = make([]docMetric, n)
	}
	for i := range d.metrics {
		m := &d.metrics[i]
		m.key = int64(uvarint())
		if len(b) < 8 {
			return d, errBadDocument
		}
		m.value = math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
		m.step, m.ts = varint(), varint()
	}
	for _, list := range []*[]docValue{&d.params, &d.tags} {
		if n := count(2); n > 0 {
			*list = make([]docValue, n)
		}
		for i := range *list {
			(*list)[i] = docValue{int64(uvarint()), text()}
		}
	}
	for n := uvarint(); n > 0 && !bad; n-- {
		id := int64(uvarint())
		d.datasets = append(d.datasets, docDataset{id, text()})
	}
	for _, list := range []*[]mlflow.ModelOutput{&d.inputs, &d.outputs} {
		for n := uvarint(); n > 0 && !bad; n-- {
			model := text()
			*list = append(*list, mlflow.ModelOutput{ModelID: model, Step: varint()})
		}
	}
	if bad {
		return d, errBadDocument
	}
	return d, nil
}

// readDocuments gives the data of runs: from their documents, and from the rows of those that have none, which are
// given too.
func readDocuments(tx *sqldb.Tx, ids []int64) (docs map[int64]*document, missing []int64, err error) {
	docs = make(map[int64]*document, len(ids))
	err = queryIn(tx, `select run_id, data from run_doc where run_id `, ``, ids, func(rows *sqldb.Rows) error {
		var id int64
		var data []byte
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		d, err := decodeDocument(data)
		if err == nil {
			docs[id] = &d
		}
		return nil // a document that cannot be read is one that is not there
	})
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		if docs[id] == nil {
			missing = append(missing, id)
			docs[id] = &document{}
		}
	}
	return docs, missing, readRows(tx, missing, docs)
}

// readRows fills empty documents from the rows of their runs.
func readRows(tx *sqldb.Tx, ids []int64, docs map[int64]*document) error {
	// What rows are scanned into is made once: a run may have thousands.
	var id int64
	var m docMetric
	var v *float64
	var text docValue
	err := queryIn(tx, `select run_id, key_id, value, step, ts from latest where run_id `, ` order by run_id, key_id`, ids, func(rows *sqldb.Rows) error {
		err := rows.Scan(&id, &m.key, &v, &m.step, &m.ts)
		m.value = float(v)
		docs[id].metrics = append(docs[id].metrics, m)
		return err
	})
	if err != nil {
		return err
	}
	for _, table := range []string{"param", "tag"} {
		err := queryIn(tx, `select run_id, key_id, value from `+table+` where run_id `, ` order by run_id, key_id`, ids, func(rows *sqldb.Rows) error {
			err := rows.Scan(&id, &text.key, &text.text)
			if d := docs[id]; table == "param" {
				d.params = append(d.params, text)
			} else {
				d.tags = append(d.tags, text)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return readInputs(tx, ids, docs)
}

// fullRuns adds their data to runs, and has the documents made that are not there.
func (s *Store) fullRuns(tx *sqldb.Tx, runs []run) ([]mlflow.Run, error) {
	full, missing, err := s.hydrate(tx, runs)
	if err != nil {
		return nil, err
	}
	for _, id := range missing {
		s.wantDoc(id)
	}
	return full, nil
}

// hydrate adds their data to runs and gives the ids of those that have no document.
func (s *Store) hydrate(tx *sqldb.Tx, runs []run) (full []mlflow.Run, missing []int64, err error) {
	ids := make([]int64, len(runs))
	for i, r := range runs {
		ids[i] = r.id
	}
	docs, missing, err := readDocuments(tx, ids)
	if err != nil {
		return nil, nil, err
	}
	names, err := s.namesIn(tx, docs)
	if err != nil {
		return nil, nil, err
	}
	datasets, err := datasetsOf(tx, docs)
	if err != nil {
		return nil, nil, err
	}
	full = make([]mlflow.Run, len(runs))
	for i, r := range runs {
		d := docs[r.id]
		full[i] = mlflow.Run{Info: r.RunInfo, Outputs: &mlflow.RunOutputs{}}
		data := &full[i].Data
		if len(d.metrics) > 0 {
			data.Metrics = make([]mlflow.Metric, len(d.metrics))
		}
		for j, m := range d.metrics {
			to := &data.Metrics[j]
			to.Key, to.Value, to.Timestamp, to.Step = names[m.key], mlflow.Float(m.value), m.ts, m.step
		}
		data.Params, data.Tags = named(d.params, names), named(d.tags, names)
		if err := d.addInputs(&full[i], datasets); err != nil {
			return nil, nil, err
		}
	}
	return full, missing, nil
}

// named puts names in place of ids.
func named(values []docValue, names map[int64]string) []mlflow.KeyValue {
	if len(values) == 0 {
		return nil
	}
	list := make([]mlflow.KeyValue, len(values))
	for i, v := range values {
		list[i] = mlflow.KeyValue{Key: names[v.key], Value: v.text}
	}
	return list
}

// namesIn gives the names of all keys in documents.
func (s *Store) namesIn(tx *sqldb.Tx, docs map[int64]*document) (map[int64]string, error) {
	most := 0
	for _, d := range docs {
		most = max(most, len(d.metrics)+len(d.params)+len(d.tags))
	}
	names := make(map[int64]string, most) // runs of one experiment have much the same keys
	for _, d := range docs {
		for _, m := range d.metrics {
			names[m.key] = ""
		}
		for _, list := range [][]docValue{d.params, d.tags} {
			for _, v := range list {
				names[v.key] = ""
			}
		}
	}
	return names, s.keyNames(tx, names)
}

const (
	docDelay = 3 * time.Second // lets a run come to rest before its document is built
	docBatch = 64              // documents that are built in one transaction
)

// wantDoc asks for a run's document. It is a cache, so a full queue loses nothing.
func (s *Store) wantDoc(id int64) {
	select {
	case s.docs <- id:
	default:
	}
}

// buildDocs builds the documents that were asked for, each some seconds later and once.
func (s *Store) buildDocs(ctx context.Context) {
	type wish struct {
		id int64
		at time.Time
	}
	var queue []wish
	waiting := make(map[int64]bool)
	for {
		var due <-chan time.Time
		if len(queue) > 0 {
			due = time.After(time.Until(queue[0].at))
		}
		select {
		case <-ctx.Done():
			return
		case id := <-s.docs:
			if !waiting[id] {
				waiting[id] = true
				queue = append(queue, wish{id, time.Now().Add(docDelay)})
			}
		case now := <-due:
			var ids []int64
			for len(queue) > 0 && len(ids) < docBatch && !queue[0].at.After(now) {
				ids = append(ids, queue[0].id)
				delete(waiting, queue[0].id)
				queue = queue[1:]
			}
			if err := s.buildDocsOf(ctx, ids); err != nil && ctx.Err() == nil {
				slog.Warn("run documents not built", "error", err)
			}
		}
	}
}

// buildDocsOf builds the documents of the runs that have none.
func (s *Store) buildDocsOf(ctx context.Context, ids []int64) error {
	slices.Sort(ids) // the order in which other writers lock runs
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		docs := make(map[int64]*document, len(ids))
		var found []int64
		err := queryIn(tx, `select id from run where not exists (select 1 from run_doc d where d.run_id = run.id) and id `,
			` order by id`+tx.ForUpdate(), ids, func(rows *sqldb.Rows) error {
				var id int64
				err := rows.Scan(&id)
				found = append(found, id)
				docs[id] = &document{}
				return err
			})
		if err != nil {
			return err
		}
		if err := readRows(tx, found, docs); err != nil {
			return err
		}
		for _, id := range found {
			if _, err := tx.Exec(`insert into run_doc (run_id, data) values ($1, $2) on conflict do nothing`, id, docs[id].encode()); err != nil {
				return err
			}
		}
		return nil
	})
}
