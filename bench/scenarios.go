package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func start(b *bench) ([]figure, error) {
	// The first start makes the tables; a user's server has them.
	p, err := b.server()
	if err != nil {
		return nil, err
	}
	p.stop()
	p, took, err := b.spawnServer()
	if err != nil {
		return nil, err
	}
	defer p.stop()
	time.Sleep(500 * time.Millisecond)
	rss, anonymous, err := p.memory()
	return []figure{
		{"cold start to 200 on /health", "ms", float64(took.Microseconds()) / 1000},
		{"idle RSS", "MB", rss},
		{"of it anonymous", "MB", anonymous},
	}, err
}

func (c *conn) createRun(experiment string, start int64) (string, error) {
	answer, err := c.post("/api/2.0/mlflow/runs/create", fmt.Appendf(nil, `{"experiment_id":"%s","start_time":%d}`, experiment, start))
	if err != nil {
		return "", err
	}
	return between(strings.ReplaceAll(string(answer), `": "`, `":"`), `"run_id":"`)
}

// tracking has clients log to a run each, on a server of their own.
func (b *bench) tracking(clients int, work logging) (perSecond, p50 float64, err error) {
	p, err := b.server()
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	return b.trackingOn(p, clients, work)
}

// logging makes the requests of a client that logs to a run.
type logging func(run string) func(c *conn, i int) error

func (b *bench) trackingOn(p *process, clients int, work logging) (perSecond, p50 float64, err error) {
	c, err := dial(p.host)
	if err != nil {
		return 0, 0, err
	}
	defer c.c.Close()
	runs := make([]string, clients)
	for i := range runs {
		if runs[i], err = c.createRun("0", 1); err != nil {
			return 0, 0, err
		}
	}
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	perSecond, p50, err = load(p.host, clients, b.seconds, func(client int) func(*conn, int) error { return work(runs[client]) })
	if err != nil {
		return 0, 0, err
	}
	after, err := p.cpu()
	b.cpu = (after - before) / (perSecond * time.Since(begin).Seconds())
	return perSecond, p50, err
}

func logMetric(b *bench) ([]figure, error) {
	var figures []figure
	for _, clients := range []int{1, 16, 64} {
		perSecond, p50, err := b.tracking(clients, points)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{fmt.Sprintf("%d clients", clients), "requests/s", perSecond},
			figure{fmt.Sprintf("%d clients, p50", clients), "ms", p50},
			figure{fmt.Sprintf("%d clients, the server's processor time", clients), "µs/request", b.cpu})
	}
	return figures, nil
}

// points come one at a time.
func points(run string) func(*conn, int) error {
	return func(c *conn, i int) error {
		_, err := c.post("/api/2.0/mlflow/runs/log-metric",
			fmt.Appendf(nil, `{"run_id":"%s","key":"loss","value":%g,"timestamp":%d,"step":%d}`, run, 1/float64(i+1), 1700000000000+i, i))
		return err
	}
}

func logBatch(b *bench) ([]figure, error) {
	perSecond, p50, err := b.tracking(16, batches)
	return []figure{{"16 clients, batches of 1,000", "metrics/s", perSecond * 1000}, {"p50", "ms", p50}, {"the server's processor time", "µs/request", b.cpu}}, err
}

// batches are of 100 points of each of ten metrics.
func batches(run string) func(*conn, int) error {
	var body []byte
	return func(c *conn, i int) error {
		body = fmt.Appendf(body[:0], `{"run_id":"%s","metrics":[`, run)
		for point := range 1000 {
			if point > 0 {
				body = append(body, ',')
			}
			step := i*100 + point/10
			body = fmt.Appendf(body, `{"key":"m%d","value":%g,"timestamp":%d,"step":%d}`, point%10, 1/float64(step+1), 1700000000000+step, step)
		}
		_, err := c.post("/api/2.0/mlflow/runs/log-batch", append(body, "]}"...))
		return err
	}
}

// logManyKeys logs one point of each of 1,000 metrics.
func logManyKeys(b *bench) ([]figure, error) {
	perSecond, p50, err := b.tracking(16, steps)
	return []figure{{"16 clients, 1,000 keys, a point each", "metrics/s", perSecond * 1000}, {"p50", "ms", p50}, {"the server's processor time", "µs/request", b.cpu}}, err
}

// steps are of one point of each of 1,000 metrics.
func steps(run string) func(*conn, int) error {
	var body []byte
	return func(c *conn, i int) error {
		body = fmt.Appendf(body[:0], `{"run_id":"%s","metrics":[`, run)
		for key := range 1000 {
			if key > 0 {
				body = append(body, ',')
			}
			body = fmt.Appendf(body, `{"key":"m%d","value":%g,"timestamp":%d,"step":%d}`, key, 1/float64(i+1), 1700000000000+i, i)
		}
		_, err := c.post("/api/2.0/mlflow/runs/log-batch", append(body, "]}"...))
		return err
	}
}

func logValues(b *bench) ([]figure, error) {
	perSecond, _, err := b.tracking(16, newRuns)
	return []figure{{"16 clients, each time a new run", "rows/s", perSecond * 200}}, err
}

// newRuns makes a run and logs 100 params and 100 tags to it.
func newRuns(string) func(*conn, int) error {
	var rest []byte
	for _, list := range []string{"params", "tags"} {
		rest = fmt.Appendf(rest, `,"%s":[`, list)
		for i := range 100 {
			rest = fmt.Appendf(rest, `{"key":"%s_%d","value":"value %d"},`, list, i, i)
		}
		rest[len(rest)-1] = ']'
	}
	return func(c *conn, i int) error {
		run, err := c.createRun("0", 1)
		if err != nil {
			return err
		}
		_, err = c.post("/api/2.0/mlflow/runs/log-batch", append(fmt.Appendf(nil, `{"run_id":"%s"%s`, run, rest), '}'))
		return err
	}
}

func runLoop(b *bench) ([]figure, error) {
	perSecond, _, err := b.tracking(16, func(string) func(*conn, int) error {
		run := ""
		return func(c *conn, i int) (err error) {
			switch i % 4 {
			case 0:
				run, err = c.createRun("0", 1)
			case 1:
				_, err = c.post("/api/2.0/mlflow/runs/log-parameter", fmt.Appendf(nil, `{"run_id":"%s","key":"p","value":"%d"}`, run, i))
			case 2:
				_, err = c.post("/api/2.0/mlflow/runs/log-metric", fmt.Appendf(nil, `{"run_id":"%s","key":"m","value":%d,"timestamp":1}`, run, i))
			case 3:
				_, err = c.post("/api/2.0/mlflow/runs/update", fmt.Appendf(nil, `{"run_id":"%s","status":"FINISHED","end_time":2}`, run))
			}
			return err
		}
	})
	return []figure{{"create, param, metric, end; 16 clients", "requests/s", perSecond}}, err
}

// fromR runs bench/calls.R, which prints "name<TAB>unit<TAB>value" lines.
func fromR(b *bench) ([]figure, error) {
	script, err := filepath.Abs("bench/calls.R")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("Rscript", script)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "MLFLOW_BIN="+b.weir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, errs.Bytes())
	}
	var figures []figure
	for line := range strings.Lines(string(out)) {
		parts := strings.Split(strings.TrimSpace(line), "\t")
		if len(parts) != 3 {
			continue
		}
		value, err := strconv.ParseFloat(parts[2], 64)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{parts[0], parts[1], value})
	}
	if len(figures) == 0 {
		return nil, errors.New("calls.R printed no figure")
	}
	return figures, nil
}

const lmCrate = `library(mlflow)
model <- lm(mpg ~ wt + hp + qsec, mtcars)
mlflow_save_model(crate(~ stats::predict(model, .x), model), "model")`

func invocations(b *bench) ([]figure, error) {
	cmd := exec.Command("Rscript", "-e", lmCrate)
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("save the model: %w: %s", err, out)
	}
	p, ready, err := b.spawn("models", "serve", "-m", filepath.Join(b.dir, "model"), "--port", "0", "-w", "2")
	if err != nil {
		return nil, err
	}
	defer p.stop()
	figures := []figure{{"start to 200 on /health", "ms", float64(ready.Microseconds()) / 1000}}
	body := []byte(`{"dataframe_split":{"columns":["wt","hp","qsec"],"data":[[2.62,110,16.46]]}}`)
	many := []byte(`{"dataframe_split":{"columns":["wt","hp","qsec"],"data":[` + strings.Repeat("[2.62,110,16.46],", 9999) + `[2.62,110,16.46]]}}`)
	for _, c := range []struct {
		clients int
		rows    string
		body    []byte
	}{{1, "1 row", body}, {8, "1 row", body}, {64, "1 row", body}, {1, "10,000 rows", many}} {
		perSecond, p50, err := load(p.host, c.clients, b.seconds, func(int) func(*conn, int) error {
			return func(conn *conn, _ int) error {
				_, err := conn.post("/invocations", c.body)
				return err
			}
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures,
			figure{fmt.Sprintf("lm, %s, %d connections", c.rows, c.clients), "requests/s", perSecond},
			figure{fmt.Sprintf("lm, %s, %d connections, p50", c.rows, c.clients), "ms", p50})
	}
	return figures, nil
}
