package tracking

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
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
	text := func() string {
		size := uvarint()
		if size > uint64(len(b)) {
			bad, b = true, nil
			return ""
		}
		s := string(b[:size])
		b = b[size:]
		return s
	}
	for n := uvarint(); n > 0 && !bad; n-- {
		m := docMetric{key: int64(uvarint())}
		if len(b) < 8 {
			return d, errBadDocument
		}
		m.value = math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
		m.step, m.ts = varint(), varint()
		d.metrics = append(d.metrics, m)
	}
	for _, list := range []*[]docValue{&d.params, &d.tags} {
		for n := uvarint(); n > 0 && !bad; n-- {
			key := int64(uvarint())
			*list = append(*list, docValue{key, text()})
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
	err := queryIn(tx, `select run_id, key_id, value, step, ts from latest where run_id `, ` order by run_id, key_id`, ids, func(rows *sqldb.Rows) error {
		var id int64
		var m docMetric
		var v *float64
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
			var id int64
			var v docValue
			err := rows.Scan(&id, &v.key, &v.text)
			if d := docs[id]; table == "param" {
				d.params = append(d.params, v)
			} else {
				d.tags = append(d.tags, v)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return readInputs(tx, ids, docs)
}

// fullRuns adds their data to runs.
func (s *Store) fullRuns(tx *sqldb.Tx, runs []run) ([]mlflow.Run, error) {
	ids := make([]int64, len(runs))
	for i, r := range runs {
		ids[i] = r.id
	}
	docs, missing, err := readDocuments(tx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range missing {
		s.wantDoc(id)
	}
	names := make(map[int64]string)
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
	if err := s.keyNames(tx, names); err != nil {
		return nil, err
	}
	datasets, err := datasetsOf(tx, docs)
	if err != nil {
		return nil, err
	}
	full := make([]mlflow.Run, len(runs))
	for i, r := range runs {
		d := docs[r.id]
		full[i] = mlflow.Run{Info: r.RunInfo, Outputs: &mlflow.RunOutputs{}}
		data := &full[i].Data
		for _, m := range d.metrics {
			data.Metrics = append(data.Metrics, mlflow.Metric{Key: names[m.key], Value: mlflow.Float(m.value), Timestamp: m.ts, Step: m.step})
		}
		for _, v := range d.params {
			data.Params = append(data.Params, mlflow.KeyValue{Key: names[v.key], Value: v.text})
		}
		for _, v := range d.tags {
			data.Tags = append(data.Tags, mlflow.KeyValue{Key: names[v.key], Value: v.text})
		}
		if err := d.addInputs(&full[i], datasets); err != nil {
			return nil, err
		}
	}
	return full, nil
}

// docDelay lets a run come to rest before its document is built.
const docDelay = 3 * time.Second

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
		case <-due:
			id := queue[0].id
			queue = queue[1:]
			delete(waiting, id)
			if err := s.buildDoc(ctx, id); err != nil && ctx.Err() == nil {
				slog.Warn("run document not built", "error", err)
			}
		}
	}
}

// buildDoc builds a run's document unless it has one.
func (s *Store) buildDoc(ctx context.Context, id int64) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var n int64
		err := tx.QueryRow(`select id from run where id = $1`+tx.ForUpdate(), id).Scan(&n)
		if errors.Is(err, sqldb.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		docs := map[int64]*document{id: {}}
		if err := readRows(tx, []int64{id}, docs); err != nil {
			return err
		}
		_, err = tx.Exec(`insert into run_doc (run_id, data) values ($1, $2) on conflict do nothing`, id, docs[id].encode())
		return err
	})
}
