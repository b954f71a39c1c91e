package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
)

// plotted are the sizes of the series that are read. Python's server gets no larger one than it fills and reads in seconds.
func (b *bench) plotted() []int {
	if b.target == onPython {
		return []int{100_000}
	}
	return []int{100_000, 1_000_000}
}

// fillPlots makes a run with 1,000 metrics, then one for each series.
func fillPlots(b *bench, p *process) ([]string, error) {
	c, err := dial(p.host)
	if err != nil {
		return nil, err
	}
	defer c.c.Close()
	var ids []string
	for i, points := range append([]int{1000}, b.plotted()...) {
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
	return b.reads(p, ids)
}

// reads reads what fillPlots made.
func (b *bench) reads(p *process, ids []string) ([]figure, error) {
	before, _, err := p.memory()
	if err != nil {
		return nil, err
	}
	var figures []figure
	for i, points := range b.plotted() {
		_, p50, err := b.median(p, func(c *conn) error {
			return c.get("/api/2.0/mlflow/metrics/get-history?metric_key=loss&run_id=" + ids[i+1])
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{fmt.Sprintf("history of %d points, p50", points), "ms", p50})
	}
	after, _, err := p.memory()
	if err != nil {
		return nil, err
	}
	figures = append(figures, figure{"RSS growth by histories", "MB", after - before})
	if b.target != onPython {
		_, p50, err := b.median(p, func(c *conn) error {
			return c.get("/api/weir/v1/metrics/chart?metric_key=loss&buckets=1000&run_id=" + ids[2])
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{"chart of 1000000 points in 1,000 buckets, p50", "ms", p50})
	}
	perSecond, _, err := b.median(p, func(c *conn) error { return c.get("/api/2.0/mlflow/runs/get?run_id=" + ids[0]) })
	return append(figures, figure{"runs/get of 1,000 metrics, 1 client", "requests/s", perSecond}), err
}

// lonelyPoints logs 100,000 points of one metric, each in a request of its own as a training loop does for hours, and says
// what they take and how fast they are read.
func lonelyPoints(b *bench) ([]figure, error) {
	const n = 100_000
	p, err := b.server()
	if err != nil {
		return nil, err
	}
	defer func() { p.stop() }()
	c, err := dial(p.host)
	if err != nil {
		return nil, err
	}
	defer c.c.Close()
	run, err := c.createRun("0", 1)
	if err != nil {
		return nil, err
	}
	var next atomic.Int64
	errs := make(chan error, 16)
	for range cap(errs) {
		go func() { errs <- logAlone(p, run, &next, n) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	var figures []figure
	if b.target == onSQLite {
		p.stop() // the log is folded into the file
		size := int64(0)
		files, _ := filepath.Glob(b.dir + "/weir.db*")
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				size += info.Size()
			}
		}
		figures = append(figures, figure{"size of the store", "bytes/point", float64(size) / n})
		if p, err = b.server(); err != nil {
			return nil, err
		}
	}
	_, p50, err := b.median(p, func(c *conn) error {
		return c.get("/api/2.0/mlflow/metrics/get-history?metric_key=loss&run_id=" + run)
	})
	return append(figures, figure{fmt.Sprintf("history of %d points, p50", n), "ms", p50}), err
}

func logAlone(p *process, run string, next *atomic.Int64, n int64) error {
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
		_, err := c.post("/api/2.0/mlflow/runs/log-metric",
			fmt.Appendf(nil, `{"run_id":"%s","key":"loss","value":%g,"timestamp":%d,"step":%d}`, run, float32(i%8191)/7, 1700000000000+i*37, i))
		if err != nil {
			return err
		}
	}
}

// allOfIt does everything on one server that has 100,000 runs, and says what memory it holds then.
func allOfIt(b *bench) ([]figure, error) {
	p, ids, err := manyRuns.open(b, fillRuns(100_000))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	short := *b
	short.seconds = b.seconds / 4
	for _, work := range []logging{points, batches, steps, newRuns} {
		if _, _, err := short.trackingOn(p, 16, work); err != nil {
			return nil, err
		}
	}
	if _, err := short.searches(p, ids); err != nil {
		return nil, err
	}
	plots, err := fillPlots(b, p)
	if err != nil {
		return nil, err
	}
	if _, err := short.reads(p, plots); err != nil {
		return nil, err
	}
	rss, anonymous, err := p.memory()
	return []figure{{"RSS after it", "MB", rss}, {"of it anonymous", "MB", anonymous}}, err
}
