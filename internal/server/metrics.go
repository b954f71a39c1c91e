package server

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/prom"
)

// mountMetrics offers /metrics. It is not public as /health is: a folder's server tells its numbers to who has its token.
func (s *Server) mountMetrics() {
	started := time.Now()
	api.Stream(s.router, "GET /metrics", api.List("server"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", prom.ContentType)
		w.Header().Set("Cache-Control", "no-store")
		prom.Head(w, "weir_build_info", "gauge", "Always 1; the labels say what runs.")
		fmt.Fprintf(w, "weir_build_info{version=%q,mlflow=%q,go=%q} 1\n", s.config.Version, MLflowVersion, runtime.Version())
		s.metrics.Write(w, s.router)
		s.parts.db.WriteMetrics(w)
		writeRuntime(w)
		prom.Value(w, "process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.", float64(started.UnixMilli())/1e3)
		writeProcess(w)
	})
}

// writeRuntime tells how Go's runtime does, under the names that its dashboards know.
func writeRuntime(w http.ResponseWriter) {
	wanted := []struct{ metric, name, kind, help string }{
		{"/sched/goroutines:goroutines", "go_goroutines", "gauge", "Goroutines that exist."},
		{"/sched/gomaxprocs:threads", "go_sched_gomaxprocs_threads", "gauge", "Threads that run Go code at once, at most."},
		{"/memory/classes/heap/objects:bytes", "go_memstats_heap_alloc_bytes", "gauge", "Memory of objects on the heap."},
		{"/memory/classes/total:bytes", "go_memstats_sys_bytes", "gauge", "Memory that the runtime has from the system."},
		{"/gc/heap/allocs:bytes", "go_memstats_alloc_bytes_total", "counter", "Memory that was ever allocated on the heap."},
		{"/gc/cycles/total:gc-cycles", "go_gc_cycles_total", "counter", "Garbage collections."},
	}
	samples := make([]metrics.Sample, len(wanted))
	for i := range wanted {
		samples[i].Name = wanted[i].metric
	}
	metrics.Read(samples)
	for i, m := range wanted {
		if samples[i].Value.Kind() == metrics.KindUint64 {
			prom.Value(w, m.name, m.kind, m.help, int64(samples[i].Value.Uint64()))
		}
	}
}

// writeProcess tells what the system counts for this process, where there is a /proc.
func writeProcess(w http.ResponseWriter) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	// The command's name comes second, in brackets, and may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 22 {
		return
	}
	number := func(i int) int64 { // fields are counted from 1 in proc(5), and two are cut off
		n, _ := strconv.ParseInt(fields[i-3], 10, 64)
		return n
	}
	const ticks = 100 // a second has for programs, on every architecture that Go knows
	prom.Value(w, "process_cpu_seconds_total", "counter", "Processor time, of user and system.", float64(number(14)+number(15))/ticks)
	prom.Value(w, "process_virtual_memory_bytes", "gauge", "Virtual memory.", number(23))
	prom.Value(w, "process_resident_memory_bytes", "gauge", "Resident memory.", number(24)*int64(os.Getpagesize()))
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		prom.Value(w, "process_open_fds", "gauge", "Open files and sockets.", len(open))
	}
}
