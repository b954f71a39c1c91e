// Bench measures a weir binary on this machine and prints a table in markdown: each line three runs, the median.
//
//	go run ./bench -weir bin/weir [-only log] [-seconds 4]
//
// Generator and server share the machine's cores, so figures of different machines do not compare; ratios within one run do.
package main

import (
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
}

type figure struct {
	name  string
	unit  string
	value float64
}

type bench struct {
	weir    string
	seconds time.Duration
	dir     string  // a fresh folder for each run
	cpu     float64 // microseconds of the server for each request of the last load
}

var scenarios = []scenario{
	{"start", start},
	{"log-metric", logMetric},
	{"log-batch", logBatch},
	{"log-batch keys", logManyKeys},
	{"params and tags", logValues},
	{"run loop", runLoop},
	{"search in 10,000 runs", searchIn(10_000, &fewRuns)},
	{"search in 100,000 runs", searchIn(100_000, &manyRuns)},
	{"delete", deleteMany},
	{"read", plots},
	{"R", fromR},
	{"invocations", invocations},
}

func main() {
	weir := flag.String("weir", "bin/weir", "the binary to measure")
	only := flag.String("only", "", "run only scenarios whose name contains this")
	seconds := flag.Int("seconds", 4, "how long each load lasts")
	repeat := flag.Int("repeat", 3, "how often each scenario runs; the median is printed")
	flag.Parse()
	path, err := filepath.Abs(*weir)
	if err != nil {
		log.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		log.Fatal(err)
	}
	version, _ := exec.Command(path, "version").Output()
	fmt.Printf("%s, %s/%s, %d cores, binary %.1f MB\n\n", strings.TrimSpace(string(version)), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), float64(info.Size())/1e6)
	fmt.Println("| scenario | figure | median | all |")
	fmt.Println("|---|---|---|---|")
	failed := false
	for _, s := range scenarios {
		if !strings.Contains(s.name, *only) {
			continue
		}
		if err := measure(s, path, time.Duration(*seconds)*time.Second, *repeat); err != nil {
			fmt.Printf("| %s | failed | %v | |\n", s.name, err)
			failed = true
		}
	}
	closeStocks()
	if failed {
		os.Exit(1)
	}
}

func measure(s scenario, weir string, seconds time.Duration, repeat int) error {
	var order []figure
	all := map[string][]float64{}
	for range repeat {
		dir, err := os.MkdirTemp("", "weir-bench")
		if err != nil {
			return err
		}
		figures, err := s.run(&bench{weir: weir, seconds: seconds, dir: dir})
		os.RemoveAll(dir)
		if err != nil {
			return err
		}
		order = figures
		for _, f := range figures {
			all[f.name] = append(all[f.name], f.value)
		}
	}
	for _, f := range order {
		values := slices.Clone(all[f.name])
		slices.Sort(values)
		var texts []string
		for _, v := range all[f.name] {
			texts = append(texts, number(v))
		}
		fmt.Printf("| %s | %s | %s %s | %s |\n", s.name, f.name, number(values[len(values)/2]), f.unit, strings.Join(texts, ", "))
	}
	return nil
}

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
