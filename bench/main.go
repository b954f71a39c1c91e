// Bench measures servers of MLflow's API on this machine and prints a table in markdown: each figure is the median of the
// runs, which the last column shows.
//
//	go run ./bench -weir bin/weir [-targets weir,postgres,mlflow -mlflow venv/bin/mlflow] [-only log] [-seconds 4] [-repeat 3]
//
// Generator and servers share the machine's cores, so figures of different machines do not compare; ratios within one run
// do. The targets take turns in each repetition, so that a noisy minute meets all of them.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A scenario measures once and gives what it found, as named figures.
type scenario struct {
	name string
	run  func(b *bench) ([]figure, error)
	on   []string // targets; nil is all
}

type figure struct {
	name  string
	unit  string
	value float64
}

type bench struct {
	weir    string
	mlflow  string
	target  string // one of targets
	pg      *cluster
	seconds time.Duration
	dir     string  // a fresh folder for each run
	cpu     float64 // microseconds of the server for each request of the last load
}

// The targets.
const (
	onSQLite   = "weir"
	onPostgres = "postgres"
	onPython   = "mlflow"
)

var (
	weirs = []string{onSQLite, onPostgres}
	alone = []string{onSQLite}
)

var scenarios = []scenario{
	{"start", start, nil},
	{"group commit", groupCommit, weirs},
	{"log-metric", logMetric, nil},
	{"log-batch", logBatch, nil},
	{"log-batch keys", logManyKeys, nil},
	{"params and tags", logValues, nil},
	{"run loop", runLoop, nil},
	{"search in 1,000 runs", searchIn(1_000, &someRuns), nil},
	{"search in 10,000 runs", searchIn(10_000, &fewRuns), nil},
	{"search in 500 experiments", searchSpread, weirs},
	{"search in 100,000 runs", searchIn(100_000, &manyRuns), weirs},
	{"delete", deleteMany, alone},
	{"read", plots, nil},
	{"points that come alone", lonelyPoints, weirs},
	{"all of it", allOfIt, weirs},
	{"R", fromR, alone},
	{"invocations", invocations, alone},
	{"serving", serving, alone},
	{"predict 10 M rows", batchOfRows, alone},
}

func main() {
	weir := flag.String("weir", "bin/weir", "the binary to measure")
	targets := flag.String("targets", onSQLite, "what to measure, with commas between: weir (on SQLite), postgres (weir on a private PostgreSQL), mlflow (Python's server on SQLite)")
	mlflow := flag.String("mlflow", "", "the mlflow program of the target mlflow")
	only := flag.String("only", "", "run only scenarios whose name contains this")
	seconds := flag.Int("seconds", 4, "how long each load lasts")
	repeat := flag.Int("repeat", 3, "how often each scenario runs; the median is printed")
	flag.Parse()
	if err := run(*weir, *mlflow, strings.Split(*targets, ","), *only, time.Duration(*seconds)*time.Second, *repeat); err != nil {
		log.Fatal(err)
	}
}

func run(weir, mlflow string, targets []string, only string, seconds time.Duration, repeat int) error {
	// Everything that is made lies in one folder, so that one removal is enough, whatever happens.
	all, err := os.MkdirTemp("", "weir-bench")
	if err != nil {
		return err
	}
	clean := func() { os.RemoveAll(all) }
	defer clean()
	onInterrupt(clean)
	if err := errors.Join(os.Chmod(all, 0o755), os.Setenv("TMPDIR", all)); err != nil { // PostgreSQL runs as another user
		return err
	}
	path, err := filepath.Abs(weir)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	b := bench{weir: path, seconds: seconds}
	for _, t := range targets {
		switch t {
		case onSQLite:
		case onPostgres:
			if b.pg, err = startPostgres(); err != nil {
				return err
			}
			defer b.pg.stop()
		case onPython:
			if b.mlflow, err = exec.LookPath(mlflow); err != nil {
				return fmt.Errorf("-mlflow: %w", err)
			}
		default:
			return fmt.Errorf("-targets: %q is none of %s, %s, %s", t, onSQLite, onPostgres, onPython)
		}
	}
	defer closeStocks()
	version, _ := exec.Command(path, "version").Output()
	fmt.Printf("%s, %s/%s, %d cores, binary %.1f MB; %s of %d\n\n", strings.TrimSpace(string(version)), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), float64(info.Size())/1e6, seconds, repeat)
	table := table{targets: targets}
	table.head()
	failed := 0
	for _, s := range scenarios {
		if strings.Contains(s.name, only) {
			failed += b.measure(s, &table, repeat)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d scenarios failed", failed)
	}
	return nil
}

// measure runs a scenario on each target and prints its lines.
func (b *bench) measure(s scenario, t *table, repeat int) (failed int) {
	broken := make(map[string]bool)
	for range repeat {
		for _, target := range t.targets {
			if broken[target] || (s.on != nil && !slices.Contains(s.on, target)) {
				continue
			}
			figures, err := b.once(s, target)
			if err != nil {
				broken[target] = true
				if target == onPython { // what a peer cannot do is a finding
					t.cannot(target, err)
				} else {
					fmt.Printf("| %s | failed on %s: %v |\n", s.name, target, err)
					failed++
				}
				continue
			}
			t.add(target, figures)
		}
	}
	t.print(s.name)
	return failed
}

func (b *bench) once(s scenario, target string) ([]figure, error) {
	dir, err := os.MkdirTemp("", "weir-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	mine := *b
	mine.target, mine.dir = target, dir
	return s.run(&mine)
}
