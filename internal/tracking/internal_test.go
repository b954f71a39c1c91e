package tracking

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

var sameFloats = cmp.Comparer(func(a, b mlflow.Float) bool {
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b)) || (a != a && b != b)
})

func open(t testing.TB, db *sqldb.DB) *Store {
	t.Helper()
	s, err := New(db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestADocumentReadsBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var d document
		for range rapid.IntRange(0, 4).Draw(r, "metrics") {
			d.metrics = append(d.metrics, docMetric{rapid.Int64Min(0).Draw(r, "key"), rapid.Float64().Draw(r, "value"), rapid.Int64().Draw(r, "step"), rapid.Int64().Draw(r, "ts")})
		}
		for _, list := range []*[]docValue{&d.params, &d.tags} {
			for range rapid.IntRange(0, 4).Draw(r, "n") {
				*list = append(*list, docValue{rapid.Int64Min(0).Draw(r, "key"), rapid.String().Draw(r, "text")})
			}
		}
		b := d.encode()
		got, err := decodeDocument(b)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(d, got, cmp.AllowUnexported(document{}, docMetric{}, docValue{}), cmpopts.EquateNaNs()); diff != "" {
			r.Fatal(diff)
		}
		if cut := rapid.IntRange(0, len(b)-1).Draw(r, "cut"); cut > 0 {
			// A document that is cut off is refused or, cut at a border of its lists, is never read beyond its end.
			if _, err := decodeDocument(b[:cut]); err == nil {
				r.Fatalf("%d of %d bytes are a document", cut, len(b))
			}
		}
	})
}

func TestADocumentIsNeverStaleAlsoForAnotherProcess(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		dbs := []*sqldb.DB{sqldbtest.Open(t, uri), sqldbtest.Open(t, uri)}
		a, b := open(t, dbs[0]), open(t, dbs[1])
		ctx := t.Context()
		created, err := a.CreateRun(ctx, &mlflow.CreateRunRequest{RunName: "n"})
		if err != nil {
			t.Fatal(err)
		}
		run := created.Run.Info.RunID
		var id int64
		docs := func() (n int) {
			t.Helper()
			if err := dbs[1].Read(ctx, func(tx *sqldb.Tx) error {
				if err := tx.QueryRow(`select id from run where uuid = $1`, run).Scan(&id); err != nil {
					return err
				}
				return tx.QueryRow(`select count(*) from run_doc where run_id = $1`, id).Scan(&n)
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		docs()
		change := map[string]func(s *Store, i int) error{
			"log-metric": func(s *Store, i int) error {
				_, err := s.LogMetric(ctx, &mlflow.LogMetricRequest{RunID: run, Key: "m", Value: mlflow.Float(i), Step: int64(i)})
				return err
			},
			"log-param": func(s *Store, i int) error {
				_, err := s.LogParam(ctx, &mlflow.LogParamRequest{RunID: run, Key: fmt.Sprint("p", i), Value: "v"})
				return err
			},
			"log-batch": func(s *Store, i int) error {
				_, err := s.LogBatch(ctx, &mlflow.LogBatchRequest{RunID: run, Tags: []mlflow.KeyValue{{Key: "t", Value: fmt.Sprint(i)}}})
				return err
			},
			"set-tag": func(s *Store, i int) error {
				_, err := s.SetTag(ctx, &mlflow.SetTagRequest{RunID: run, Key: "s", Value: fmt.Sprint(i)})
				return err
			},
			"delete-tag": func(s *Store, _ int) error {
				_, err := s.DeleteTag(ctx, &mlflow.DeleteTagRequest{RunID: run, Key: "s"})
				return err
			},
			"update": func(s *Store, i int) error {
				_, err := s.UpdateRun(ctx, &mlflow.UpdateRunRequest{RunID: run, RunName: fmt.Sprint("n", i)})
				return err
			},
			"log-model": func(s *Store, _ int) error {
				_, err := s.LogModel(ctx, &mlflow.LogModelRequest{RunID: run, ModelJSON: `{"run_id":"r","artifact_path":"a","utc_time_created":"t","flavors":{}}`})
				return err
			},
		}
		i := 0
		for _, name := range []string{"log-metric", "log-param", "log-batch", "set-tag", "delete-tag", "update", "log-model"} {
			for _, s := range []*Store{a, b} {
				i++
				if name == "delete-tag" {
					if err := change["set-tag"](s, i); err != nil {
						t.Fatal(err)
					}
				}
				if err := a.buildDocsOf(ctx, []int64{id}); err != nil {
					t.Fatal(err)
				}
				if docs() != 1 {
					t.Fatalf("before %s there is no document", name)
				}
				if err := change[name](s, i); err != nil {
					t.Fatal(err)
				}
				fromRows, err := b.GetRun(ctx, &mlflow.RunRequest{RunID: run})
				if err != nil {
					t.Fatal(err)
				}
				if docs() != 0 {
					t.Errorf("%s leaves the old document", name)
				}
				if err := b.buildDocsOf(ctx, []int64{id}); err != nil {
					t.Fatal(err)
				}
				fromDoc, err := a.GetRun(ctx, &mlflow.RunRequest{RunID: run})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(fromRows, fromDoc); diff != "" {
					t.Errorf("after %s the document differs from the rows: %s", name, diff)
				}
			}
		}
	})
}

// TestTheFastReaderAnswersAsTheGeneralDecoderDoes sends the same bodies to both.
func TestTheFastReaderAnswersAsTheGeneralDecoderDoes(t *testing.T) {
	t.Parallel()
	type call struct {
		Metric *mlflow.LogMetricRequest
		Batch  *mlflow.LogBatchRequest
	}
	build := func(fast bool, got *call) *api.Router {
		rt := &api.Router{}
		metric := func(_ context.Context, req *mlflow.LogMetricRequest) (*mlflow.Empty, error) {
			got.Metric = req
			return &mlflow.Empty{}, nil
		}
		batch := func(_ context.Context, req *mlflow.LogBatchRequest) (*mlflow.Empty, error) {
			got.Batch = req
			return &mlflow.Empty{}, nil
		}
		run := api.Edit(api.Resource{Kind: "run", Field: "run_id"})
		if fast {
			api.HandleScan(rt, "POST mlflow/runs/log-metric", run, scanLogMetric, metric)
			api.HandleScan(rt, "POST mlflow/runs/log-batch", run, new(Store).scanLogBatch, batch)
		} else {
			api.Handle(rt, "POST mlflow/runs/log-metric", run, metric)
			api.Handle(rt, "POST mlflow/runs/log-batch", run, batch)
		}
		return rt
	}
	var got [2]call
	routers := [2]*api.Router{build(false, &got[0]), build(true, &got[1])}
	scanned := 0
	compare := func(r interface {
		Fatalf(string, ...any)
	}, path, body string,
	) {
		got = [2]call{}
		var answers [2]string
		for i, rt := range routers {
			req := httptest.NewRequest("POST", "/api/2.0/mlflow/runs/"+path, strings.NewReader(body))
			req.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, req)
			answers[i] = fmt.Sprint(w.Code, " ", w.Body)
		}
		if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
			r.Fatalf("%s %s: %s", path, body, diff)
		}
		if diff := cmp.Diff(got[0], got[1], cmpopts.EquateEmpty(), sameFloats); diff != "" {
			r.Fatalf("%s %s: %s", path, body, diff)
		}
		for _, piece := range []int{1 << 20, 7, 1} { // the scanner does not see where a piece ends
			metric, err := scanLogMetric(api.NewBody(strings.NewReader(body), piece), new(mlflow.LogMetricRequest))
			batch, batchErr := new(Store).scanLogBatch(api.NewBody(strings.NewReader(body), piece), new(mlflow.LogBatchRequest))
			if err != nil || batchErr != nil {
				r.Fatalf("%s: %v, %v", body, err, batchErr)
			}
			if metric || batch {
				scanned++
			}
		}
	}
	for _, body := range []string{
		``, `{}`, `[]`, `{"run_id":"r"}`, `{"run_id":"r",}`, `{"run_id":"r"} x`, `{"run_id":"r","metrics":[{}]}`, `{"run_id":"r","metrics":[null]}`,
		`{"run_id":"r","metrics":null,"params":[],"tags":[{"key":"k","value":null}]}`, `{"run_id":"","run_uuid":"u"}`,
		`{"run_id":"a","run_uuid":"b","key":"k","value":1,"timestamp":1}`, `{"run_uuid":"b","key":"k","value":1,"timestamp":1}`,
		`{"run_uuid":"b","key":"k","value":01,"timestamp":1}`, `{"run_uuid":"b","key":"k","value":1.,"timestamp":1}`,
		`{"run_uuid":"b","key":"k","value":1e999,"timestamp":1}`, `{"run_uuid":"b","key":"k","value":-0,"timestamp":9223372036854775808}`,
		`{"run_id":"r","key":"k","value":1,"value":2,"timestamp":1}`, "{\"run_id\":\"r\",\"key\":\"\xff\",\"value\":1,\"timestamp\":1}",
		"{\"run_id\":\"r\",\"key\":\"ü\x01\",\"value\":1,\"timestamp\":1}", `{"run_id":"r","key":"\u00fc\"","value":1,"timestamp":1}`,
		`{"run_id":"r","params":[{"key":"k","value":"v","value":"w"}]}`, `{"run_id":"r","tags":[{"value":"w"}]}`, `{"run_id":"r","run_id":"s"}`,
	} {
		compare(t, "log-metric", body)
		compare(t, "log-batch", body)
	}
	value := rapid.SampledFrom([]string{`1`, `-1.5e-3`, `0`, `1E+2`, `"NaN"`, `"1"`, `NaN`, `null`, `true`, `1e400`, `{}`, `12345678901234567890`, `1.0`})
	text := rapid.SampledFrom([]string{`"k"`, `"a b"`, `""`, `"ü"`, `"\n"`, `"a\u0000"`, `5`, `null`, `"\ud800"`})
	pair := func(r *rapid.T, names []string, v *rapid.Generator[string]) string {
		return fmt.Sprintf("%q%s:%s", rapid.SampledFrom(names).Draw(r, "name"), rapid.SampledFrom([]string{"", " ", "\n"}).Draw(r, "space"), v.Draw(r, "value"))
	}
	object := func(r *rapid.T, must []string, more []string) string {
		var parts []string
		for _, m := range must {
			if rapid.IntRange(0, 9).Draw(r, "leave out") > 0 {
				parts = append(parts, m)
			}
		}
		for range rapid.IntRange(0, 1).Draw(r, "more") {
			parts = append(parts, more...)
		}
		return "{" + strings.Join(rapid.Permutation(parts).Draw(r, "order"), ",") + "}"
	}
	number := rapid.Custom(func(r *rapid.T) string {
		if rapid.IntRange(0, 3).Draw(r, "odd") == 0 {
			return value.Draw(r, "value")
		}
		b, _ := json.Marshal(rapid.Float64Range(-1e18, 1e18).Draw(r, "float"))
		return string(b)
	})
	whole := rapid.Custom(func(r *rapid.T) string {
		if rapid.IntRange(0, 5).Draw(r, "odd") == 0 {
			return value.Draw(r, "value")
		}
		return fmt.Sprint(rapid.Int64().Draw(r, "integer"))
	})
	name := rapid.Custom(func(r *rapid.T) string {
		if rapid.IntRange(0, 5).Draw(r, "odd") == 0 {
			return text.Draw(r, "text")
		}
		return `"name"`
	})
	metric := func(r *rapid.T, more ...string) string {
		return object(r, append([]string{pair(r, []string{"key"}, name), pair(r, []string{"value"}, number), pair(r, []string{"timestamp"}, whole)}, more...),
			[]string{pair(r, []string{"step", "other", "value", "model_id"}, whole)})
	}
	rapid.Check(t, func(r *rapid.T) {
		compare(r, "log-metric", metric(r, pair(r, []string{"run_id", "run_uuid"}, name)))
		var metrics, params []string
		for range rapid.IntRange(0, 3).Draw(r, "metrics") {
			metrics = append(metrics, metric(r))
		}
		for range rapid.IntRange(0, 3).Draw(r, "params") {
			params = append(params, object(r, []string{pair(r, []string{"key"}, name), pair(r, []string{"value"}, name)}, []string{pair(r, []string{"x", "key"}, text)}))
		}
		compare(r, "log-batch", object(r, []string{pair(r, []string{"run_id"}, name), `"metrics":[` + strings.Join(metrics, " , ") + `]`, `"params":[` + strings.Join(params, ",") + "]"},
			[]string{pair(r, []string{"tags", "run_uuid"}, text)}))
	})
	if scanned < 10 {
		t.Errorf("the fast reader read only %d bodies", scanned)
	}
}

func TestPlacesOfTokensReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		at := []place{{Int: rapid.Int64().Draw(r, "int")}, {Text: rapid.StringMatching(`[^\x00]*`).Draw(r, "text")}, {Class: rapid.IntRange(0, 2).Draw(r, "class")}}
		if f := rapid.Float64().Draw(r, "float"); at[2].Class == classValue {
			v := placeScan{f: &f}
			at[2] = v.place()
		}
		got, err := decodeToken(encodeToken(at), []byte("isf"))
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(at, got, cmp.AllowUnexported(place{})); diff != "" {
			r.Fatal(diff)
		}
	})
}

func TestPointTokensReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		p := series.Point{Step: rapid.Int64().Draw(r, "step"), Time: rapid.Int64().Draw(r, "time"), Value: rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), 0.1, -5e-324}).Draw(r, "value")}
		got, err := parsePointToken(pointToken(p))
		if err != nil || series.Compare(p, got) != 0 {
			r.Fatalf("%v became %v, %v", p, got, err)
		}
	})
}
