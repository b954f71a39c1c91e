package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// A stock is a store that is filled once and read by every repetition of a scenario.
type stock struct {
	once sync.Once
	dir  string
	ids  []string // what fill gave
	err  error
}

// open starts a server on the stock, filling it first when nobody has. stocks are removed by closeStocks.
func (s *stock) open(b *bench, fill func(p *process) ([]string, error)) (*process, []string, error) {
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "weir-bench-stock"); s.err != nil {
			return
		}
		stocks = append(stocks, s)
		var p *process
		if p, s.err = (&bench{weir: b.weir, dir: s.dir}).server(); s.err != nil {
			return
		}
		defer p.stop()
		s.ids, s.err = fill(p)
	})
	if s.err != nil {
		return nil, nil, s.err
	}
	p, err := (&bench{weir: b.weir, dir: s.dir}).server()
	return p, s.ids, err
}

var (
	stocks    []*stock
	fewRuns   stock
	manyRuns  stock
	manyPlots stock
)

func closeStocks() {
	for _, s := range stocks {
		os.RemoveAll(s.dir)
	}
}

// fillRuns makes n runs in the experiment "1", each with ten metrics, ten params and five tags, by 16 clients.
func fillRuns(n int64) func(p *process) ([]string, error) {
	return func(p *process) ([]string, error) {
		c, err := dial(p.host)
		if err != nil {
			return nil, err
		}
		defer c.c.Close()
		if _, err := c.post("/api/2.0/mlflow/experiments/create", []byte(`{"name":"many"}`)); err != nil {
			return nil, err
		}
		var next atomic.Int64
		var wg sync.WaitGroup
		errs := make(chan error, 16)
		for range cap(errs) {
			wg.Go(func() { errs <- fillSome(p, &next, n) })
		}
		wg.Wait()
		for range cap(errs) {
			if err := <-errs; err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
}

func fillSome(p *process, next *atomic.Int64, n int64) error {
	c, err := dial(p.host)
	if err != nil {
		return err
	}
	defer c.c.Close()
	for {
		i := next.Add(1) - 1
		if i >= n {
			return nil
		}
		run, err := c.createRun("1", i)
		if err != nil {
			return err
		}
		body := fmt.Appendf(nil, `{"run_id":"%s","metrics":[`, run)
		for k := range int64(10) {
			body = fmt.Appendf(body, `{"key":"m%d","value":%g,"timestamp":%d,"step":1},`, k, float64((i*7919+k*104729)%1_000_003)/1e6, 1700000000000+i)
		}
		body = append(body[:len(body)-1], `],"params":[`...)
		for k := range int64(10) {
			body = fmt.Appendf(body, `{"key":"p%d","value":"v%d"},`, k, (i+k)%10)
		}
		body = append(body[:len(body)-1], `],"tags":[`...)
		for k := range int64(5) {
			body = fmt.Appendf(body, `{"key":"t%d","value":"a tag of run %d"},`, k, i)
		}
		if _, err := c.post("/api/2.0/mlflow/runs/log-batch", append(body[:len(body)-1], "]}"...)); err != nil {
			return err
		}
		if _, err := c.post("/api/2.0/mlflow/runs/update", fmt.Appendf(nil, `{"run_id":"%s","status":"FINISHED","end_time":%d}`, run, 1700000000000+i)); err != nil {
			return err
		}
	}
}

// median runs one request over and over on one connection.
func (b *bench) median(p *process, do func(c *conn) error) (perSecond, p50 float64, err error) {
	return load(p.host, 1, b.seconds, func(int) func(*conn, int) error {
		return func(c *conn, _ int) error { return do(c) }
	})
}

func searchIn(runs int64, s *stock) func(b *bench) ([]figure, error) {
	return func(b *bench) ([]figure, error) {
		p, _, err := s.open(b, fillRuns(runs))
		if err != nil {
			return nil, err
		}
		defer p.stop()
		var figures []figure
		for _, q := range []struct{ name, body string }{
			{"metric and param, by the metric, page 100", `{"experiment_ids":["1"],"max_results":100,"filter":"metrics.m3 > 0.5 and params.p1 = 'v3'","order_by":["metrics.m3 DESC"]}`},
			{"metric and param, by the metric, page 1000", `{"experiment_ids":["1"],"max_results":1000,"filter":"metrics.m3 > 0.5 and params.p1 = 'v3'","order_by":["metrics.m3 DESC"]}`},
			{"metric range, by the metric ascending, page 100", `{"experiment_ids":["1"],"max_results":100,"filter":"metrics.m3 > 0.5","order_by":["metrics.m3"]}`},
			{"newest, page 1000", `{"experiment_ids":["1"],"max_results":1000}`},
			{"metric range that few match, page 100", `{"experiment_ids":["1"],"max_results":100,"filter":"metrics.m2 < 0.001"}`},
		} {
			_, p50, err := b.median(p, func(c *conn) error {
				_, err := c.post("/api/2.0/mlflow/runs/search", []byte(q.body))
				return err
			})
			if err != nil {
				return nil, err
			}
			figures = append(figures, figure{q.name + ", p50", "ms", p50})
		}
		rss, _, err := p.memory()
		return append(figures, figure{"RSS after it", "MB", rss}), err
	}
}

// fillPlots makes three runs: with 1,000 metrics, with a series of 100,000 points and with one of a million.
func fillPlots(p *process) ([]string, error) {
	c, err := dial(p.host)
	if err != nil {
		return nil, err
	}
	defer c.c.Close()
	var ids []string
	for i, points := range []int{1000, 100_000, 1_000_000} {
		run, err := c.createRun("0", 1)
		if err != nil {
			return nil, err
		}
		ids = append(ids, run)
		for at := 0; at < points; at += 1000 {
			body := fmt.Appendf(nil, `{"run_id":"%s","metrics":[`, run)
			for k := at; k < at+1000; k++ {
				key := "loss"
				if i == 0 {
					key = fmt.Sprint("metric_", k)
				}
				body = fmt.Appendf(body, `{"key":"%s","value":%g,"timestamp":%d,"step":%d},`, key, float32(k%8191)/7, 1700000000000+k, k)
			}
			if _, err := c.post("/api/2.0/mlflow/runs/log-batch", append(body[:len(body)-1], "]}"...)); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

func plots(b *bench) ([]figure, error) {
	p, ids, err := manyPlots.open(b, fillPlots)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	var figures []figure
	before, _, err := p.memory()
	if err != nil {
		return nil, err
	}
	for i, name := range []string{"", "100,000", "1,000,000"} {
		if i == 0 {
			continue
		}
		_, p50, err := b.median(p, func(c *conn) error {
			return c.get("/api/2.0/mlflow/metrics/get-history?metric_key=loss&run_id=" + ids[i])
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{"history of " + name + " points, p50", "ms", p50})
	}
	after, _, err := p.memory()
	if err != nil {
		return nil, err
	}
	figures = append(figures, figure{"RSS growth by histories", "MB", after - before})
	_, p50, err := b.median(p, func(c *conn) error {
		return c.get("/api/weir/v1/metrics/chart?metric_key=loss&buckets=1000&run_id=" + ids[2])
	})
	if err != nil {
		return nil, err
	}
	figures = append(figures, figure{"chart of 1,000,000 points in 1,000 buckets, p50", "ms", p50})
	perSecond, _, err := b.median(p, func(c *conn) error { return c.get("/api/2.0/mlflow/runs/get?run_id=" + ids[0]) })
	return append(figures, figure{"runs/get of 1,000 metrics, 1 client", "requests/s", perSecond}), err
}
