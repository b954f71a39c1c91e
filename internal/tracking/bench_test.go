package tracking_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

func post(b *testing.B, s *server, path, body string) {
	r := httptest.NewRequest("POST", "/api/2.0/mlflow/"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := &discard{header: http.Header{}}
	s.router.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		b.Errorf("%s: status %d", path, w.status)
	}
}

// BenchmarkLogMetric is log-metric by 16 clients, each with a run of its own, with full durability and without sockets.
func BenchmarkLogMetric(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		var client, step atomic.Int64
		b.SetParallelism(8)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			client.Add(1)
			run := s.run("0")
			for pb.Next() {
				post(b, s, "runs/log-metric", fmt.Sprintf(`{"run_id": %q, "key": "loss", "value": 0.123, "timestamp": 1700000000000, "step": %d}`, run, step.Add(1)))
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	})
}

// BenchmarkLogBatch is log-batch of 1,000 metrics, 100 points of each of ten keys, by 16 clients.
func BenchmarkLogBatch(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		var start atomic.Int64
		b.SetParallelism(8)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			run := s.run("0")
			for pb.Next() {
				at := start.Add(100)
				var body strings.Builder
				fmt.Fprintf(&body, `{"run_id": %q, "metrics": [`, run)
				for i := range 1000 {
					if i > 0 {
						body.WriteString(", ")
					}
					fmt.Fprintf(&body, `{"key": "metric_%d", "value": %v, "timestamp": %d, "step": %d}`, i%10, float32(i)/7, 1_700_000_000_000+at+int64(i/10), at+int64(i/10))
				}
				body.WriteString(`]}`)
				post(b, s, "runs/log-batch", body.String())
			}
		})
		b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "metrics/s")
	})
}

// BenchmarkSearch finds a page of 100 among 20,000 runs with 25 values each.
func BenchmarkSearch(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		exp := s.experiment("many")
		for i := range 20_000 {
			run := s.run(exp)
			var body strings.Builder
			fmt.Fprintf(&body, `{"run_id":%q,"metrics":[`, run)
			for k := range 10 {
				fmt.Fprintf(&body, `{"key":"m%d","value":%d,"timestamp":1,"step":1},`, k, (i*7919+k)%10007)
			}
			fmt.Fprintf(&body, `{"key":"last","value":1,"timestamp":1}],"params":[`)
			for k := range 10 {
				fmt.Fprintf(&body, `{"key":"p%d","value":"v%d"},`, k, (i+k)%10)
			}
			fmt.Fprintf(&body, `{"key":"last","value":"1"}]}`)
			post(b, s, "runs/log-batch", body.String())
		}
		for name, req := range map[string]string{
			"newest":          `{"experiment_ids":[%q],"max_results":100}`,
			"metric-order":    `{"experiment_ids":[%q],"max_results":100,"order_by":["metrics.m3 DESC"],"filter":"params.p1 = 'v3'"}`,
			"metric-range":    `{"experiment_ids":[%q],"max_results":100,"filter":"metrics.m2 < 20"}`,
			"page-of-1000":    `{"experiment_ids":[%q],"max_results":1000}`,
			"no-match":        `{"experiment_ids":[%q],"max_results":100,"filter":"params.p1 = 'none'"}`,
			"general-sorting": `{"experiment_ids":[%q],"max_results":100,"order_by":["min(metrics.m1)"]}`,
		} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					post(b, s, "runs/search", fmt.Sprintf(req, exp))
				}
			})
		}
	})
}

// BenchmarkHistory reads all of a million points.
func BenchmarkHistory(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		run := s.run("0")
		for chunk := range 1000 {
			var body strings.Builder
			fmt.Fprintf(&body, `{"run_id":%q,"metrics":[`, run)
			for i := range 1000 {
				if i > 0 {
					body.WriteByte(',')
				}
				k := chunk*1000 + i
				fmt.Fprintf(&body, `{"key":"m","value":%v,"timestamp":%d,"step":%d}`, float32(k)/7, 1_700_000_000_000+k, k)
			}
			body.WriteString(`]}`)
			post(b, s, "runs/log-batch", body.String())
		}
		for b.Loop() {
			r := httptest.NewRequest("GET", "/api/2.0/mlflow/metrics/get-history?metric_key=m&run_id="+run, nil)
			s.router.ServeHTTP(&discard{header: http.Header{}}, r)
		}
	})
}

// discard is a client that reads everything at once and keeps nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkGetRun reads a run with 1,000 metrics.
func BenchmarkGetRun(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		run := s.run("0")
		var body strings.Builder
		fmt.Fprintf(&body, `{"run_id":%q,"metrics":[`, run)
		for i := range 1000 {
			fmt.Fprintf(&body, `{"key":"metric_%d","value":%v,"timestamp":1,"step":1},`, i, float32(i)/7)
		}
		post(b, s, "runs/log-batch", strings.TrimSuffix(body.String(), ",")+"]}")
		for b.Loop() {
			r := httptest.NewRequest("GET", "/api/2.0/mlflow/runs/get?run_id="+run, nil)
			s.router.ServeHTTP(&discard{header: http.Header{}}, r)
		}
	})
}

// BenchmarkLogBatchKeys is log-batch of one point of each of 1,000 keys, by 16 clients.
func BenchmarkLogBatchKeys(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		b.SetParallelism(8)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			run := s.run("0")
			for step := 0; pb.Next(); step++ {
				var body strings.Builder
				fmt.Fprintf(&body, `{"run_id": %q, "metrics": [`, run)
				for i := range 1000 {
					if i > 0 {
						body.WriteString(", ")
					}
					fmt.Fprintf(&body, `{"key": "metric_%d", "value": %v, "timestamp": %d, "step": %d}`, i, 1/float64(step+1), 1_700_000_000_000+step, step)
				}
				body.WriteString(`]}`)
				post(b, s, "runs/log-batch", body.String())
			}
		})
		b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "metrics/s")
	})
}

// BenchmarkLogValues is log-batch of 100 params and 100 tags to a run that is made first, by 16 clients.
func BenchmarkLogValues(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		s := newServer(b, db)
		var lists strings.Builder
		for _, list := range []string{"params", "tags"} {
			fmt.Fprintf(&lists, `, %q: [`, list)
			for i := range 100 {
				if i > 0 {
					lists.WriteString(", ")
				}
				fmt.Fprintf(&lists, `{"key": "%s_%d", "value": "value %d"}`, list, i, i)
			}
			lists.WriteString("]")
		}
		b.SetParallelism(8)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				post(b, s, "runs/log-batch", fmt.Sprintf(`{"run_id": %q%s}`, s.run("0"), lists.String()))
			}
		})
		b.ReportMetric(200*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
