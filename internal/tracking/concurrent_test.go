package tracking_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

// TestManyClientsLoseNothing has clients of two processes log to the same runs, good and bad requests mixed. Afterwards
// the store holds what was acknowledged and nothing of what was refused.
func TestManyClientsLoseNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		servers := []*server{newServer(t, sqldbtest.Open(t, uri)), newServer(t, sqldbtest.Open(t, uri))}
		const nRuns = 4
		var runs []string
		for range nRuns {
			runs = append(runs, servers[0].run("0"))
		}
		deleted := servers[0].run("0")
		ok[empty](servers[0], "POST", "runs/delete", mlflow.RunRequest{RunID: deleted})

		type acked struct {
			run int
			req mlflow.LogBatchRequest
		}
		var mu sync.Mutex
		var done []acked
		var wg sync.WaitGroup
		for client := range 32 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(client)))
				for i := range 15 {
					n := random.IntN(nRuns)
					req := mlflow.LogBatchRequest{RunID: runs[n]}
					want := 200
					switch random.IntN(10) {
					case 0:
						req.RunID, want = deleted, 400
					case 1:
						req.RunID, want = "unknown", 404
					}
					size := []int{1, 3, 100}[random.IntN(3)]
					for j := range size {
						req.Metrics = append(req.Metrics, mlflow.Metric{Key: fmt.Sprint("m", random.IntN(3)), Value: mlflow.Float(random.IntN(5)),
							Timestamp: int64(random.IntN(50)), Step: int64(i*100 + j)})
					}
					req.Params = []mlflow.KeyValue{{Key: fmt.Sprint("p", random.IntN(12)), Value: fmt.Sprint(random.IntN(3))}}
					req.Tags = []mlflow.KeyValue{{Key: fmt.Sprintf("t%d-%d", client, i), Value: "v"}}
					body, err := json.Marshal(req)
					if err != nil {
						t.Error(err)
						return
					}
					status, answer := servers[client%2].send("POST", "runs/log-batch", string(body))
					if status == 200 {
						mu.Lock()
						done = append(done, acked{n, req})
						mu.Unlock()
					}
					if (want == 200 && status != 200 && status != 400) || (want != 200 && status != want) {
						t.Errorf("%d %s, want %d", status, answer, want)
					}
				}
			})
		}
		wg.Wait()

		for n, run := range runs {
			points := make(map[string][]series.Point)
			params, tags := make(map[string]string), make(map[string]bool)
			for _, a := range done {
				if a.run != n {
					continue
				}
				for _, m := range a.req.Metrics {
					points[m.Key] = append(points[m.Key], series.Point{Step: m.Step, Time: m.Timestamp, Value: float64(m.Value)})
				}
				p := a.req.Params[0]
				if old, ok := params[p.Key]; ok && old != p.Value {
					t.Errorf("param %s was acknowledged as %s and as %s", p.Key, old, p.Value)
				}
				params[p.Key] = p.Value
				tags[a.req.Tags[0].Key] = true
			}
			got := servers[n%2].get(run)
			if len(got.Data.Params) != len(params) || len(got.Data.Tags) != len(tags)+1 || len(got.Data.Metrics) != len(points) {
				t.Errorf("run %d: %d params, %d tags, %d metrics; acknowledged %d, %d, %d", n,
					len(got.Data.Params), len(got.Data.Tags)-1, len(got.Data.Metrics), len(params), len(tags), len(points))
			}
			for _, p := range got.Data.Params {
				if params[p.Key] != p.Value {
					t.Errorf("param %s is %s, acknowledged was %s", p.Key, p.Value, params[p.Key])
				}
			}
			for key, want := range points {
				want = series.Sort(want)
				if have := history(servers[n%2], run, key, 0); !slices.EqualFunc(want, have, same) {
					t.Errorf("run %d, %s: %d points, acknowledged %d", n, key, len(have), len(want))
				}
				last := slices.MaxFunc(want, series.CompareSteps)
				if have := metricOf(got, key); have != fmt.Sprintf("%v@%d/%d", last.Value, last.Step, last.Time) {
					t.Errorf("run %d, %s: latest %s, want %v", n, key, have, last)
				}
			}
		}
	})
}
