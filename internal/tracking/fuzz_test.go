package tracking

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// FuzzScan: what the fast reader takes, encoding/json reads as the same.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"run_id":"r","key":"k","value":1.5,"timestamp":1,"step":-2}`, `{"run_uuid":"r","run_id":"r","key":"ü","value":1e3,"timestamp":0}`,
		`{"run_id":"r","metrics":[{"key":"a","value":0,"timestamp":1}],"params":[{"key":"p","value":"v"}],"tags":[]}`, `{"run_id":"r"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var metric, plainMetric mlflow.LogMetricRequest
		piece := 1 + len(body)%5
		if ok, err := scanLogMetric(api.NewBody(bytes.NewReader(body), piece), &metric); err != nil {
			t.Fatal(err)
		} else if ok {
			var alias struct {
				RunUUID string `json:"run_uuid"`
			}
			if json.Unmarshal(body, &plainMetric) != nil || json.Unmarshal(body, &alias) != nil {
				t.Fatalf("%q is no JSON", body)
			}
			if plainMetric.RunID == "" {
				plainMetric.RunID = alias.RunUUID
			}
			if metric != plainMetric || math.IsNaN(float64(metric.Value)) {
				t.Fatalf("%q: %+v, want %+v", body, metric, plainMetric)
			}
		}
		var batch, plainBatch mlflow.LogBatchRequest
		ok, err := new(Store).scanLogBatch(api.NewBody(bytes.NewReader(body), piece), &batch)
		if ok && err == nil {
			if err := json.Unmarshal(body, &plainBatch); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			got, _ := json.Marshal(batch)
			want, _ := json.Marshal(plainBatch)
			if string(got) != string(want) {
				t.Fatalf("%q: %s, want %s", body, got, want)
			}
		}
	})
}

// FuzzDocument: no bytes make the reader of documents panic, and what it takes is written back as it was read.
func FuzzDocument(f *testing.F) {
	d := document{metrics: []docMetric{{1, 0.5, -1, 2}}, params: []docValue{{2, "v"}}, tags: []docValue{{3, ""}}}
	f.Add(d.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeDocument(b)
		if err != nil {
			return
		}
		again, err := decodeDocument(d.encode())
		if err != nil || len(again.metrics) != len(d.metrics) || len(again.params) != len(d.params) || len(again.tags) != len(d.tags) {
			t.Fatalf("%+v became %+v, %v", d, again, err)
		}
	})
}

// FuzzTokens: no token makes its reader panic, and one that it takes has the columns of the list.
func FuzzTokens(f *testing.F) {
	f.Add(encodeToken([]place{{Int: 1}, {Text: "x"}}))
	f.Fuzz(func(t *testing.T, token string) {
		if at, err := decodeToken(token, []byte("is")); err == nil && token != "" && len(at) != 2 {
			t.Fatalf("%q: %+v", token, at)
		}
		if p, err := parsePointToken(token); err == nil {
			if again, err := parsePointToken(pointToken(p)); err != nil || (again != p && p.Value == p.Value) {
				t.Fatalf("%q: %+v, %+v, %v", token, p, again, err)
			}
		}
	})
}
