package cli

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/mlflow"
)

// systemGrace is how long the last sample of a session that has ended may take.
const systemGrace = 3 * time.Second

// systemCommand samples the machine while an R session is in a run, under the names of MLflow's system metrics. R itself
// cannot do so: it is busy with the fit that somebody wants to watch.
func (a *app) systemCommand() *cobra.Command {
	var interval float64
	var samples int
	var node string
	cmd := &cobra.Command{
		Use:   "sysmon RUN_ID",
		Short: "Log processor, memory, disk, network and GPU use to a run, until the session or the run ends",
		Args:  oneArg,
	}
	f := cmd.Flags()
	f.Float64Var(&interval, "interval", 10, "seconds between samples")
	f.IntVar(&samples, "samples", 1, "samples that are averaged into one point")
	f.StringVar(&node, "node-id", "", "name of this machine, in front of the metrics' names")
	env(cmd, "interval", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL")
	env(cmd, "samples", "MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING")
	env(cmd, "node-id", "MLFLOW_SYSTEM_METRICS_NODE_ID")
	watch := a.session(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if interval <= 0 || samples < 1 {
			return usagef("--interval and --samples must be positive, got %v and %d", interval, samples)
		}
		// An interrupt at R's prompt reaches its children, too; it is not meant for them.
		ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
		defer cancel()
		t, err := a.open(ctx)
		if err != nil {
			return err
		}
		defer t.close()
		m := &systemMonitor{client: t.Client, runID: args[0], prefix: "system/", samples: samples, now: time.Now, sample: newSystemSampler()}
		if node != "" {
			m.prefix += node + "/"
		}
		tick := time.NewTicker(time.Duration(interval * float64(time.Second)))
		defer tick.Stop()
		return m.run(ctx, tick.C, watch(ctx))
	}
	return a.trackingFlags(cmd)
}

// systemMonitor logs samples to one run.
type systemMonitor struct {
	client  *mlflow.Client
	runID   string
	prefix  string
	samples int
	now     func() time.Time
	sample  func(context.Context) map[string]float64

	step   int64
	sums   map[string]float64
	counts map[string]int
	taken  int
}

// run takes a sample at each tick and one at the end, so that a short run has a point as well.
func (m *systemMonitor) run(ctx context.Context, tick <-chan time.Time, ended <-chan struct{}) error {
	run, err := m.client.GetRun(ctx, m.runID)
	if err != nil {
		return err
	}
	// A run that somebody goes on with keeps its points in order.
	for _, metric := range run.Data.Metrics {
		if strings.HasPrefix(metric.Key, m.prefix) {
			m.step = max(m.step, metric.Step+1)
		}
	}
	for {
		select {
		case <-ended:
			last, cancel := context.WithTimeout(ctx, systemGrace)
			defer cancel()
			m.add(m.sample(last))
			return m.log(last)
		case <-tick:
		}
		m.add(m.sample(ctx))
		if m.taken < m.samples {
			continue
		}
		if run, err := m.client.GetRun(ctx, m.runID); err == nil && run.Info.Status != mlflow.RunRunning {
			return nil
		}
		// A server that is away for a while costs points, not the watch.
		_ = m.log(ctx)
	}
}

func (m *systemMonitor) add(values map[string]float64) {
	if m.sums == nil {
		m.sums, m.counts = map[string]float64{}, map[string]int{}
	}
	for key, value := range values {
		m.sums[key] += value
		m.counts[key]++
	}
	m.taken++
}

func (m *systemMonitor) log(ctx context.Context) error {
	req := &mlflow.LogBatchRequest{RunID: m.runID}
	at := m.now().UnixMilli()
	for key, sum := range m.sums {
		req.Metrics = append(req.Metrics, mlflow.Metric{
			Key: m.prefix + key, Value: mlflow.Float(math.Round(sum/float64(m.counts[key])*10) / 10), Timestamp: at, Step: m.step,
		})
	}
	slices.SortFunc(req.Metrics, func(a, b mlflow.Metric) int { return strings.Compare(a.Key, b.Key) })
	m.sums, m.counts, m.taken = nil, nil, 0
	m.step++
	return m.client.LogBatch(ctx, req)
}

// newSystemSampler gives a function that measures this machine. What a platform cannot tell is left out. Network use
// counts from here on.
func newSystemSampler() func(context.Context) map[string]float64 {
	const mega = 1e6
	network := func() (received, sent float64, ok bool) {
		all, err := net.IOCounters(false)
		if err != nil || len(all) == 0 {
			return 0, 0, false
		}
		return float64(all[0].BytesRecv) / mega, float64(all[0].BytesSent) / mega, true
	}
	received, sent, _ := network()
	_, _ = cpu.Percent(0, false)          // the first sample counts from here on, too
	smi, _ := exec.LookPath("nvidia-smi") // most machines have none
	return func(ctx context.Context) map[string]float64 {
		out := map[string]float64{}
		if used, err := cpu.PercentWithContext(ctx, 0, false); err == nil && len(used) == 1 {
			out["cpu_utilization_percentage"] = used[0]
		}
		if m, err := mem.VirtualMemoryWithContext(ctx); err == nil && m.Total > 0 {
			out["system_memory_usage_megabytes"] = float64(m.Used) / mega
			out["system_memory_usage_percentage"] = 100 * float64(m.Used) / float64(m.Total)
		}
		if d, err := disk.UsageWithContext(ctx, string(filepath.Separator)); err == nil {
			out["disk_usage_percentage"] = d.UsedPercent
			out["disk_usage_megabytes"] = float64(d.Used) / mega
			out["disk_available_megabytes"] = float64(d.Free) / mega
		}
		if r, s, ok := network(); ok {
			out["network_receive_megabytes"] = r - received
			out["network_transmit_megabytes"] = s - sent
		}
		if smi != "" {
			gpuUse(ctx, smi, out)
		}
		return out
	}
}

// gpuUse asks NVIDIA's own program: its library would need cgo.
func gpuUse(ctx context.Context, program string, out map[string]float64) {
	said, err := exec.CommandContext(ctx, program,
		"--query-gpu=memory.used,memory.total,utilization.gpu,power.draw,enforced.power.limit", "--format=csv,noheader,nounits").Output()
	if err != nil {
		return
	}
	rows := csv.NewReader(strings.NewReader(string(said)))
	rows.TrimLeadingSpace = true
	table, err := rows.ReadAll()
	if err != nil {
		return
	}
	const mebi = 1.048576 // the program counts in MiB, MLflow in MB
	for i, row := range table {
		number := func(column int) (float64, bool) { // "[N/A]" where a card does not tell
			if column >= len(row) {
				return 0, false
			}
			v, err := strconv.ParseFloat(strings.TrimSpace(row[column]), 64)
			return v, err == nil
		}
		name := func(what string) string { return fmt.Sprintf("gpu_%d_%s", i, what) }
		used, ok := number(0)
		if total, known := number(1); ok && known && total > 0 {
			out[name("memory_usage_megabytes")] = used * mebi
			out[name("memory_usage_percentage")] = 100 * used / total
		}
		if busy, ok := number(2); ok {
			out[name("utilization_percentage")] = busy
		}
		watts, ok := number(3)
		if ok {
			out[name("power_usage_watts")] = watts
		}
		if limit, known := number(4); ok && known && limit > 0 {
			out[name("power_usage_percentage")] = 100 * watts / limit
		}
	}
}
