package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A stock is a store of each target that is filled once and read by every repetition of a scenario.
type stock struct{ filled map[string]*filling }

type filling struct {
	dir string
	ids []string // what fill gave
	err error
}

// filler writes to a server and gives what readers need to know of that.
type filler func(b *bench, p *process) ([]string, error)

// open starts a server on the stock, filling it first when nobody has. Stocks are removed by closeStocks.
func (s *stock) open(b *bench, fill filler) (*process, []string, error) {
	f := s.filled[b.target]
	if f == nil {
		if s.filled == nil {
			s.filled = make(map[string]*filling)
			stocks = append(stocks, s)
		}
		f = &filling{}
		s.filled[b.target] = f
		f.ids, f.err = f.fill(b, fill)
	}
	if f.err != nil {
		return nil, nil, f.err
	}
	p, err := b.in(f.dir).server()
	return p, f.ids, err
}

func (f *filling) fill(b *bench, fill filler) (ids []string, err error) {
	if f.dir, err = os.MkdirTemp("", "weir-bench-stock"); err != nil {
		return nil, err
	}
	p, err := b.in(f.dir).server()
	if err != nil {
		return nil, err
	}
	defer p.stop()
	return fill(b.in(f.dir), p)
}

// in is the same bench in another folder.
func (b *bench) in(dir string) *bench {
	other := *b
	other.dir = dir
	return &other
}

var (
	stocks                                             []*stock
	someRuns, fewRuns, manyRuns, spreadRuns, manyPlots stock
)

func closeStocks() {
	for _, s := range stocks {
		for _, f := range s.filled {
			os.RemoveAll(f.dir)
		}
	}
}

// fillRuns makes n runs in the experiment "1", each with ten metrics, ten params and five tags, by 16 clients.
func fillRuns(n int64) filler { return fillSpread(n, 1) }

// fillSpread makes n runs in so many experiments in turn, the first of which is "1".
func fillSpread(n, experiments int64) filler {
	return func(b *bench, p *process) ([]string, error) {
		c, err := dial(p.host)
		if err != nil {
			return nil, err
		}
		defer c.c.Close()
		ids := make([]string, experiments)
		for i := range ids {
			answer, err := c.post("/api/2.0/mlflow/experiments/create", fmt.Appendf(nil, `{"name":"many %d"}`, i))
			if err != nil {
				return nil, err
			}
			if ids[i], err = between(strings.ReplaceAll(string(answer), `": "`, `":"`), `"experiment_id":"`); err != nil {
				return nil, err
			}
		}
		if b.target == onPython {
			return ids, b.fillPython(p, ids, n)
		}
		var next atomic.Int64
		var wg sync.WaitGroup
		errs := make(chan error, 16)
		for range cap(errs) {
			wg.Go(func() { errs <- fillSome(p, ids, &next, n) })
		}
		wg.Wait()
		for range cap(errs) {
			if err := <-errs; err != nil {
				return nil, err
			}
		}
		return ids, nil
	}
}

func fillSome(p *process, experiments []string, next *atomic.Int64, n int64) error {
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
		run, err := c.createRun(experiments[i%int64(len(experiments))], i)
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

// median runs one request over and over on one connection; b.cpu then says what the server used for each.
func (b *bench) median(p *process, do func(c *conn) error) (perSecond, p50 float64, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	perSecond, p50, err = load(p.host, 1, b.seconds, func(int) func(*conn, int) error {
		return func(c *conn, _ int) error { return do(c) }
	})
	if err != nil {
		return 0, 0, err
	}
	after, err := p.cpu()
	b.cpu = (after - before) / (perSecond * time.Since(begin).Seconds())
	return perSecond, p50, err
}

func searchIn(runs int64, s *stock) func(b *bench) ([]figure, error) {
	return func(b *bench) ([]figure, error) {
		p, ids, err := s.open(b, fillRuns(runs))
		if err != nil {
			return nil, err
		}
		defer p.stop()
		figures, err := b.searches(p, ids)
		if err != nil {
			return nil, err
		}
		rss, _, err := p.memory()
		return append(figures, figure{"RSS after it", "MB", rss}), err
	}
}

// searchSpread searches 500 experiments with 20 runs each at once.
func searchSpread(b *bench) ([]figure, error) {
	p, ids, err := spreadRuns.open(b, fillSpread(10_000, 500))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	return b.searches(p, ids)
}

func (b *bench) searches(p *process, experiments []string) ([]figure, error) {
	var figures []figure
	list := `"` + strings.Join(experiments, `","`) + `"`
	for _, q := range []struct{ name, body string }{
		{"metric and param, by the metric, page 100", `"max_results":100,"filter":"metrics.m3 > 0.5 and params.p1 = 'v3'","order_by":["metrics.m3 DESC"]`},
		{"metric and param, by the metric, page 1000", `"max_results":1000,"filter":"metrics.m3 > 0.5 and params.p1 = 'v3'","order_by":["metrics.m3 DESC"]`},
		{"metric range, by the metric ascending, page 100", `"max_results":100,"filter":"metrics.m3 > 0.5","order_by":["metrics.m3"]`},
		{"newest, page 1000", `"max_results":1000`},
		{"metric range that few match, page 100", `"max_results":100,"filter":"metrics.m2 < 0.001"`},
	} {
		_, p50, err := b.median(p, func(c *conn) error {
			answer, err := c.post("/api/2.0/mlflow/runs/search", []byte(`{"experiment_ids":[`+list+`],`+q.body+`}`))
			if err == nil && !bytes.Contains(answer, []byte(`"artifact_uri"`)) {
				err = fmt.Errorf("a search that finds nothing: %s", q.name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{q.name + ", p50", "ms", p50}, figure{q.name + ", processor time", "ms", b.cpu / 1000})
	}
	return figures, nil
}
