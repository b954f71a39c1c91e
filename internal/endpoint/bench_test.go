package endpoint

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkInvocations measures one row for lm over HTTP, with the load generator in the same process:
//
//	go test -run xxx -bench Invocations -benchtime 5s ./internal/endpoint
func BenchmarkInvocations(b *testing.B) {
	const row = `{"dataframe_split":{"columns":["wt","hp","qsec"],"data":[[2.5,100,17]]}}`
	many := `{"dataframe_split":{"columns":["wt","hp","qsec"],"data":[` + strings.Repeat("[2.5,100,17],", 9999) + `[2.5,100,17]]}}`
	for _, c := range []struct {
		name    string
		clients int
		body    string
	}{{"1", 1, row}, {"8", 8, row}, {"10000rows", 1, many}} {
		b.Run(c.name, func(b *testing.B) { benchmarkInvocations(b, c.clients, c.body) })
	}
}

func benchmarkInvocations(b *testing.B, clients int, body string) {
	e, err := New(b.Context(), Config{Dir: filepath.Join(modelsDir, "lm"), Workers: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close(b.Context())
	if err := e.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(e.Handler())
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	work := make(chan struct{})
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	for range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var took []time.Duration
			for range work {
				began := time.Now()
				resp, err := client.Post(server.URL+"/invocations", "application/json", strings.NewReader(body))
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Errorf("status %d", resp.StatusCode)
				}
				took = append(took, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		}()
	}
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.StopTimer()
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}
