package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/model/arrow"
	"github.com/weir-ml/weir/internal/model/frame"
)

// The R code of the scenarios: models and bare figures, plumber's server, and the batch with data.table.
var (
	//go:embed serving.R
	servingR string
	//go:embed plumber.R
	plumberR string
	//go:embed batch.R
	batchR string
)

// inR runs a script in the run's folder and gives the figures that it prints, by their names.
func (b *bench) inR(name, script string, args ...string) (map[string]float64, error) {
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(script), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("Rscript", append([]string{name}, args...)...)
	cmd.Dir = b.dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, errs.Bytes())
	}
	figures := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		if parts := strings.Split(strings.TrimSpace(line), "\t"); len(parts) == 3 {
			if figures[parts[0]], err = strconv.ParseFloat(parts[2], 64); err != nil {
				return nil, err
			}
		}
	}
	return figures, nil
}

// rate is what a load found.
type rate struct{ perSecond, p50, p99 float64 } // the latter in milliseconds

// pressed sends a body over n connections for a time, after a second to warm up.
func pressed(host string, n int, d time.Duration, contentType, accept string, body []byte) (rate, error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		times []time.Duration
		first error
	)
	begin := time.Now()
	warm := begin.Add(time.Second)
	for range n {
		wg.Go(func() {
			var mine []time.Duration
			err := func() error {
				c, err := dial(host)
				if err != nil {
					return err
				}
				defer c.c.Close()
				head := fmt.Sprintf("POST /invocations HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n", host, contentType, accept, len(body))
				for time.Since(warm) < d {
					start := time.Now()
					c.out = append(append(c.out[:0], head...), body...)
					if err := c.call(io.Discard); err != nil {
						return err
					}
					if start.After(warm) {
						mine = append(mine, time.Since(start))
					}
				}
				return nil
			}()
			mu.Lock()
			defer mu.Unlock()
			times = append(times, mine...)
			first = errors.Join(first, err)
		})
	}
	wg.Wait()
	if first != nil {
		return rate{}, first
	}
	if len(times) == 0 {
		return rate{}, errors.New("no request ended in time")
	}
	slices.Sort(times)
	at := func(q float64) float64 {
		return float64(times[min(len(times)-1, int(q*float64(len(times))))].Microseconds()) / 1000
	}
	return rate{float64(len(times)) / d.Seconds(), at(0.5), at(0.99)}, nil
}

const (
	asJSON = "application/json"
	asCSV  = "text/csv"
)

// carBodies are rows of the lm as JSON, CSV and Arrow.
func carBodies(rows int) (json, csv, stream []byte, err error) {
	json = []byte(`{"dataframe_split":{"columns":["wt","hp","qsec"],"data":[` + strings.Repeat("[2.62,110,16.46],", rows-1) + `[2.62,110,16.46]]}}`)
	csv = []byte("wt,hp,qsec\n" + strings.Repeat("2.62,110,16.46\n", rows))
	var columns []*model.Column
	for _, c := range []struct {
		name  string
		kind  model.Kind
		value float64
	}{{"wt", model.Double, 2.62}, {"hp", model.Integer, 110}, {"qsec", model.Double, 16.46}} {
		columns = append(columns, frame.NewColumn(c.name, c.kind, slices.Repeat([]float64{c.value}, rows), nil, nil, nil))
	}
	var out bytes.Buffer
	err = arrow.Write(&out, columns, rows, false)
	return json, csv, out.Bytes(), err
}

// serving measures one row, many rows and slow models beside bare R and beside plumber, and prints how they compare.
// A load shares the cores with R and with the server: what limits is said in the figure's name.
func serving(b *bench) ([]figure, error) {
	bare, err := b.inR("serving.R", strings.ReplaceAll(servingR, `"data.table"`, `"no big file"`))
	if err != nil {
		return nil, err
	}
	json, csv, arrow, err := carBodies(10_000)
	if err != nil {
		return nil, err
	}
	one, _, _, err := carBodies(1)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := exec.Command("Rscript", "-e", "1").Run(); err != nil {
		return nil, err
	}
	emptyR := time.Since(begin)
	figures := []figure{{"bare Rscript -e 1", "ms", float64(emptyR.Microseconds()) / 1000}}
	weir := map[int]rate{}
	load := func(name string, each func(p *process, ready time.Duration) error) error {
		p, ready, err := b.spawn("models", "serve", "-m", filepath.Join(b.dir, name), "--port", "0", "-w", "2")
		if err != nil {
			return err
		}
		defer p.stop()
		return each(p, ready)
	}
	add := func(name, unit string, value float64) { figures = append(figures, figure{name, unit, value}) }
	err = load("lm", func(p *process, ready time.Duration) error {
		add("start to 200 on /health (R's start)", "ms", float64(ready.Microseconds())/1000)
		for _, n := range []int{1, 8, 64} {
			r, err := pressed(p.host, n, b.seconds, asJSON, asJSON, one)
			if err != nil {
				return err
			}
			weir[n] = r
			name := fmt.Sprintf("lm, 1 row, %d connections", n)
			add(name, "requests/s", r.perSecond)
			add(name+", p50", "ms", r.p50)
			add(name+", p99", "ms", r.p99)
		}
		add("lm, 1 row, bare predict", "ms", bare["lm, 1 row"])
		add("lm, 1 row, above bare predict (two pipes, HTTP)", "ms", weir[1].p50-bare["lm, 1 row"])
		add("lm, 10,000 rows, bare predict", "ms", bare["lm, 10,000 rows"])
		for _, c := range []struct {
			name, contentType, accept string
			body                      []byte
		}{{"JSON", asJSON, asJSON, json}, {"CSV", asCSV, asJSON, csv}, {"Arrow in and out", model.MediaArrowStream, model.MediaArrowStream, arrow}} {
			r, err := pressed(p.host, 1, b.seconds, c.contentType, c.accept, c.body)
			if err != nil {
				return err
			}
			add("lm, 10,000 rows, "+c.name+", p50", "ms", r.p50)
			add("lm, 10,000 rows, "+c.name+", of bare predict", "×", r.p50/bare["lm, 10,000 rows"])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name, limit string
		body        string
	}{
		{"slow", "50 ms of sleep in each of 2 workers", string(one)},
		{"glm", "predict.glm", `{"dataframe_records":[{"wt":2.62,"cyl":"6","gear":"4"}]}`},
		{"ranger", "predict.ranger", string(one)},
	} {
		if _, err := os.Stat(filepath.Join(b.dir, m.name)); err != nil {
			continue
		}
		err := load(m.name, func(p *process, _ time.Duration) error {
			for _, n := range []int{1, 8} {
				r, err := pressed(p.host, n, b.seconds, asJSON, asJSON, []byte(m.body))
				if err != nil {
					return err
				}
				add(fmt.Sprintf("%s, 1 row, %d connections (%s)", m.name, n, m.limit), "requests/s", r.perSecond)
				if base, ok := bare[m.name+", 1 row"]; ok && n == 1 {
					add(m.name+", 1 row, above bare predict", "ms", r.p50-base)
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	beside, err := plumber(b, one, weir)
	return append(figures, beside...), err
}

// plumber measures the same model behind plumber; without the package there is nothing to measure.
func plumber(b *bench, one []byte, weir map[int]rate) ([]figure, error) {
	if exec.Command("Rscript", "-e", "stopifnot(requireNamespace('plumber', quietly = TRUE))").Run() != nil {
		fmt.Fprintln(os.Stderr, "plumber is not installed (r-cran-plumber): nothing is measured beside it")
		return nil, nil
	}
	if err := os.WriteFile(filepath.Join(b.dir, "plumber.R"), []byte(plumberR), 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	host := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(host)
	cmd := exec.Command("Rscript", "plumber.R", port)
	cmd.Dir = b.dir
	p, err := begun(cmd)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	p.host = host
	if err := p.ready(time.Minute); err != nil {
		return nil, err
	}
	var figures []figure
	for _, n := range []int{1, 8, 64} {
		r, err := pressed(host, n, b.seconds, asJSON, asJSON, one)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("plumber, lm, 1 row, %d connections", n)
		figures = append(figures,
			figure{name, "requests/s", r.perSecond}, figure{name + ", p50", "ms", r.p50},
			figure{fmt.Sprintf("lm, 1 row, %d connections: weir / plumber", n), "×", weir[n].perSecond / r.perSecond})
	}
	return figures, nil
}

// batchOfRows predicts for ten million rows of CSV with two workers, and with data.table in one process for each core.
func batchOfRows(b *bench) ([]figure, error) {
	if exec.Command("Rscript", "-e", "stopifnot(requireNamespace('data.table', quietly = TRUE))").Run() != nil {
		return nil, errors.New("data.table is not installed (r-cran-data.table)")
	}
	if _, err := b.inR("serving.R", servingR); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "batch.R"), []byte(batchR), 0o600); err != nil {
		return nil, err
	}
	const parts = 2
	begin := time.Now()
	var running []*exec.Cmd
	for part := range parts {
		cmd := exec.Command("Rscript", "batch.R", strconv.Itoa(part+1), strconv.Itoa(parts))
		cmd.Dir = b.dir
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		running = append(running, cmd)
	}
	var err error
	var cpuR time.Duration
	for _, cmd := range running {
		err = errors.Join(err, cmd.Wait())
		cpuR += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if err != nil {
		return nil, err
	}
	bare := time.Since(begin)
	begin = time.Now()
	cmd := exec.Command(b.weir, "models", "predict", "-m", "lm", "-i", "big.csv", "-o", "out.csv", "-w", strconv.Itoa(parts))
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	took := time.Since(begin)
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	figures := []figure{
		{"data.table, one process for each core", "s", bare.Seconds()},
		{"data.table, processor time", "s", cpuR.Seconds()},
		{"weir, 2 workers", "s", took.Seconds()},
		// Both of a process that has ended hold for the ones that it has waited for, too.
		{"weir, processor time with its workers", "s", (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()},
		{"speed of weir / data.table (predict.lm and the cores limit both)", "×", bare.Seconds() / took.Seconds()},
	}
	if usage != nil {
		figures = append(figures, figure{"weir, most memory of one of its processes", "MB", float64(usage.Maxrss) / 1024})
	}
	return figures, nil
}
