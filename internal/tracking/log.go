package tracking

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// logOp adds validated metrics, params and tags to one run, all or none.
type logOp struct {
	run     string
	metrics []mlflow.Metric
	params  []mlflow.KeyValue
	tags    []mlflow.KeyValue
	single  bool             // log-parameter, whose message about a changed value differs
	fresh   map[keyRef]int64 // keys that the operation met, to be remembered after the commit
}

// log applies the operation and waits for the commit.
func (s *Store) log(ctx context.Context, op *logOp) (*mlflow.Empty, error) {
	if err := s.logs.Do(ctx, op); err != nil {
		return nil, err
	}
	s.keys.add(op.fresh)
	return &mlflow.Empty{}, nil
}

// LogMetric adds a point to a metric of an active run.
func (s *Store) LogMetric(ctx context.Context, req *mlflow.LogMetricRequest) (*mlflow.Empty, error) {
	m := mlflow.Metric{Key: req.Key, Value: req.Value, Timestamp: req.Timestamp, Step: req.Step,
		ModelID: req.ModelID, DatasetName: req.DatasetName, DatasetDigest: req.DatasetDigest}
	if err := validateMetric(&m, ""); err != nil {
		return nil, err
	}
	metrics := []mlflow.Metric{m}
	if err := mayEditModels(ctx, metrics); err != nil {
		return nil, err
	}
	return s.log(ctx, &logOp{run: req.RunID, metrics: metrics})
}

// LogParam logs a param of an active run once: the same value again changes nothing, another value is refused.
func (s *Store) LogParam(ctx context.Context, req *mlflow.LogParamRequest) (*mlflow.Empty, error) {
	if err := validateKey(req.Key, "key", "Param key"); err != nil {
		return nil, err
	}
	value, err := s.cut(req.Value, "Param value", maxParamValue)
	if err != nil {
		return nil, err
	}
	return s.log(ctx, &logOp{run: req.RunID, params: []mlflow.KeyValue{{Key: req.Key, Value: value}}, single: true})
}

// SetTag sets or replaces a tag of an active run; the tag mlflow.runName also renames the run.
func (s *Store) SetTag(ctx context.Context, req *mlflow.SetTagRequest) (*mlflow.Empty, error) {
	if err := validateKey(req.Key, "key", "key"); err != nil {
		return nil, err
	}
	value, err := s.cut(req.Value, "Tag value", maxTagValue)
	if err != nil {
		return nil, err
	}
	return s.log(ctx, &logOp{run: req.RunID, tags: []mlflow.KeyValue{{Key: req.Key, Value: value}}})
}

// DeleteTag removes a tag of an active run; the run's name stays when its tag goes.
func (s *Store) DeleteTag(ctx context.Context, req *mlflow.DeleteTagRequest) (*mlflow.Empty, error) {
	return &mlflow.Empty{}, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		r, err := lockActiveRun(tx, req.RunID)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`
			delete from tag where run_id = $1 and key_id in (select id from key where exp_id = $2 and kind = $3 and name = $4)`,
			r.id, r.exp, kindTag, req.Key)
		if err == nil && n == 0 {
			return notFound("No tag with name: %s in run with id %s", req.Key, req.RunID)
		}
		return err
	})
}

// LogBatch adds metrics, params and tags to an active run, all or none.
func (s *Store) LogBatch(ctx context.Context, req *mlflow.LogBatchRequest) (*mlflow.Empty, error) {
	if err := s.validateBatch(req, excess{}); err != nil {
		return nil, err
	}
	if err := mayEditModels(ctx, req.Metrics); err != nil {
		return nil, err
	}
	return s.log(ctx, &logOp{run: req.RunID, metrics: req.Metrics, params: req.Params, tags: req.Tags})
}

// excess is how much of a batch was counted and not kept because its lists are too long.
type excess struct{ metrics, params, tags int }

// validateBatch checks a batch in MLflow's order and cuts its values. What is over comes to what is in req.
func (s *Store) validateBatch(req *mlflow.LogBatchRequest, over excess) (err error) {
	if err := validateRunID(req.RunID); err != nil {
		return err
	}
	for i := range req.Metrics {
		if err := validateMetric(&req.Metrics[i], ""); err != nil {
			return validateMetric(&req.Metrics[i], "metrics["+strconv.Itoa(i)+"].")
		}
	}
	for i := range req.Params {
		p := &req.Params[i]
		if err := validateKey(p.Key, "key", "Param key"); err != nil {
			return validateKey(p.Key, "params["+strconv.Itoa(i)+"].key", "Param key")
		}
		if p.Value, err = s.cut(p.Value, "Param value", maxParamValue); err != nil {
			return err
		}
	}
	for i := range req.Tags {
		t := &req.Tags[i]
		if err := validateKey(t.Key, "key", "key"); err != nil {
			at := "tags[" + strconv.Itoa(i) + "].key"
			return validateKey(t.Key, at, at)
		}
		if t.Value, err = s.cut(t.Value, "Tag value", maxTagValue); err != nil {
			return err
		}
	}
	metrics, params, tags := len(req.Metrics)+over.metrics, len(req.Params)+over.params, len(req.Tags)+over.tags
	for _, part := range []struct {
		what    string
		n, most int
	}{
		{"metrics", metrics, maxBatchMetrics},
		{"params", params, maxBatchParams},
		{"tags", tags, maxBatchTags},
		{"metrics, params, and tags", metrics + params + tags, maxBatch},
	} {
		if part.n > part.most {
			return invalid("A batch logging request can contain at most %d %s. Got %d %s. Please split up %s across multiple requests and try again.",
				part.most, part.what, part.n, part.what, part.what)
		}
	}
	return duplicateParams(req.Params)
}

func duplicateParams(params []mlflow.KeyValue) error {
	if len(params) < 2 {
		return nil
	}
	seen := make(map[string]int, len(params))
	var twice []string
	for _, p := range params {
		if seen[p.Key]++; seen[p.Key] == 2 {
			twice = append(twice, p.Key)
		}
	}
	if twice == nil {
		return nil
	}
	return invalid("Duplicate parameter keys have been submitted: %s. Please ensure the request contains only one param value per param key.", pyList(twice))
}

// applyLogs applies waiting operations: one by one on SQLite, in set statements on PostgreSQL.
func (s *Store) applyLogs(tx *sqldb.Tx, ops []*logOp) []error {
	if tx.Dialect() == sqldb.SQLite {
		return []error{s.applyLog(tx, ops[0])} // the queue gives one at a time
	}
	return s.applyBatch(tx, ops)
}

// applyLog applies one operation.
func (s *Store) applyLog(tx *sqldb.Tx, op *logOp) error {
	keys := keyIDs{cache: &s.keys}
	r, err := lockActiveRun(tx, op.run)
	if err != nil {
		return err
	}
	if err := writeParams(tx, &keys, r, op); err != nil {
		return err
	}
	if len(op.metrics) > 0 {
		if err := writeMetrics(tx, &keys, r, op.metrics); err != nil {
			return err
		}
		if err := writeModelMetrics(tx, &keys, r.id, op.metrics); err != nil {
			return err
		}
	}
	if err := writeTags(tx, &keys, r, op.tags); err != nil {
		return err
	}
	op.fresh = keys.fresh
	return nil
}

var (
	insertParams = newInsertMany("param", []string{"run_id", "key_id", "value"}, "on conflict do nothing")
	upsertTags   = newInsertMany("tag", []string{"run_id", "key_id", "value"}, "on conflict (run_id, key_id) do update set value = excluded.value")
)

// writeParams adds params to a locked run; it refuses to change one.
func writeParams(tx *sqldb.Tx, keys *keyIDs, r lockedRun, op *logOp) error {
	if len(op.params) == 0 {
		return nil
	}
	ids, err := keys.all(tx, r.exp, kindParam, len(op.params), func(i int) string { return op.params[i].Key })
	if err != nil {
		return err
	}
	added := int64(0)
	err = insertParams.each(r.id, len(ids), func(args []any, i int) []any { return append(args, ids[i], op.params[i].Value) },
		func(sql string, args []any) error {
			n, err := tx.Exec(sql, args...)
			added += n
			return err
		})
	if err != nil || added == int64(len(ids)) {
		return err
	}
	var changed []changedParam
	for i, p := range op.params {
		var old string
		if err := tx.QueryRow(`select value from param where run_id = $1 and key_id = $2`, r.id, ids[i]).Scan(&old); err != nil {
			return err
		}
		if old != p.Value {
			changed = append(changed, changedParam{p.Key, old, p.Value})
		}
	}
	if changed != nil {
		return paramsChanged(op, changed)
	}
	return nil
}

// writeTags sets tags of a locked run; of tags that come twice the last one counts.
func writeTags(tx *sqldb.Tx, keys *keyIDs, r lockedRun, tags []mlflow.KeyValue) error {
	if len(tags) == 0 {
		return nil
	}
	ids, err := keys.all(tx, r.exp, kindTag, len(tags), func(i int) string { return tags[i].Key })
	if err != nil {
		return err
	}
	value := func(i int) string {
		if tags[i].Key == tagRunName {
			return truncate(tags[i].Value, maxRunName)
		}
		return tags[i].Value
	}
	for i := range tags {
		if tags[i].Key == tagRunName {
			if _, err := tx.Exec(`update run set name = $1 where id = $2`, value(i), r.id); err != nil {
				return err
			}
		}
	}
	return upsertTags.each(r.id, len(ids), func(args []any, i int) []any { return append(args, ids[i], value(i)) },
		func(sql string, args []any) error {
			_, err := tx.Exec(sql, args...)
			return err
		})
}

// changedParam is a param that was to get another value.
type changedParam struct{ key, old, new string }

func paramsChanged(op *logOp, changed []changedParam) error {
	if c := changed[0]; op.single {
		return invalid("Changing param values is not allowed. Param with key='%s' was already logged with value='%s' for run ID='%s'. Attempted logging new value '%s'.",
			c.key, c.old, op.run, c.new)
	}
	list := make([]string, len(changed))
	for i, c := range changed {
		list[i] = fmt.Sprintf("{'key': %s, 'old_value': %s, 'new_value': %s}", pyQuote(c.key), pyQuote(c.old), pyQuote(c.new))
	}
	return invalid("Changing param values is not allowed. Params were already logged='[%s]' for run ID='%s'.", strings.Join(list, ", "), op.run)
}

// isUser tells whether an error is an answer to the caller and not a fault of the database.
func isUser(err error) bool { return errors.As(err, new(*mlflow.Error)) }
