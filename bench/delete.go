package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// deleteMany deletes and restores the experiment with 100,000 runs while 16 clients log metrics to runs of another one:
// nobody is to notice. What counts is the slowest request in a hundred of those that ran meanwhile.
func deleteMany(b *bench) ([]figure, error) {
	p, _, err := manyRuns.open(b, fillRuns(100_000))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	l, err := startLoggers(p, 16)
	if err != nil {
		return nil, err
	}
	admin, err := dial(p.host)
	if err != nil {
		return nil, err
	}
	defer admin.c.Close()
	figures := []figure{}
	quiet := time.Now()
	time.Sleep(b.seconds / 2)
	figures = append(figures, figure{"log-metric p99 beside nothing", "ms", l.worst(quiet, time.Now())})
	for _, action := range []string{"delete", "restore"} {
		begin := time.Now()
		if _, err := admin.post("/api/2.0/mlflow/experiments/"+action, []byte(`{"experiment_id":"1"}`)); err != nil {
			return nil, err
		}
		end := time.Now()
		figures = append(figures, figure{action + " of 100,000 runs", "s", end.Sub(begin).Seconds()},
			figure{"log-metric p99 beside the " + action, "ms", l.worst(begin, end)})
	}
	return figures, l.stop()
}

// loggers are clients that log one metric after the other.
type loggers struct {
	mu    sync.Mutex
	calls []call
	err   error
	quit  chan struct{}
	group sync.WaitGroup
}

// call is one answered request.
type call struct {
	at   time.Time
	took time.Duration
}

func startLoggers(p *process, n int) (*loggers, error) {
	l := &loggers{quit: make(chan struct{})}
	for range n {
		c, err := dial(p.host)
		if err != nil {
			return nil, err
		}
		run, err := c.createRun("0", 1)
		if err != nil {
			return nil, err
		}
		l.group.Go(func() {
			defer c.c.Close()
			var mine []call
			var err error
			for i := 0; err == nil; i++ {
				select {
				case <-l.quit:
					l.mu.Lock()
					l.calls = append(l.calls, mine...)
					l.mu.Unlock()
					return
				default:
				}
				at := time.Now()
				_, err = c.post("/api/2.0/mlflow/runs/log-metric", fmt.Appendf(nil, `{"run_id":"%s","key":"loss","value":%d,"timestamp":%d,"step":%d}`, run, i, i, i))
				if mine = append(mine, call{at, time.Since(at)}); len(mine) == 64 {
					l.mu.Lock()
					l.calls = append(l.calls, mine...)
					l.mu.Unlock()
					mine = mine[:0]
				}
			}
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
		})
	}
	return l, nil
}

// worst gives the 99th percentile, in milliseconds, of the requests that ran between two times.
func (l *loggers) worst(begin, end time.Time) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var took []time.Duration
	for _, c := range l.calls {
		if c.at.Before(end) && c.at.Add(c.took).After(begin) {
			took = append(took, c.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(took[len(took)*99/100].Microseconds()) / 1000
}

func (l *loggers) stop() error {
	close(l.quit)
	l.group.Wait()
	return l.err
}
