package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

// monitored gives a monitor of a run with the given metrics and status, and what it logged.
func monitored(t *testing.T, status mlflow.RunStatus, metrics ...mlflow.Metric) (*systemMonitor, func() []mlflow.Metric) {
	t.Helper()
	var mu sync.Mutex
	var logged []mlflow.Metric
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "runs/get") {
			_ = json.NewEncoder(w).Encode(mlflow.RunResponse{Run: mlflow.Run{Info: mlflow.RunInfo{Status: status}, Data: mlflow.RunData{Metrics: metrics}}})
			return
		}
		var req mlflow.LogBatchRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		logged = append(logged, req.Metrics...)
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(server.Close)
	client, err := mlflow.NewClient(server.URL, mlflow.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &systemMonitor{client: client, runID: "r", prefix: "system/", samples: 1, now: func() time.Time { return time.UnixMilli(5) }}, func() []mlflow.Metric {
		mu.Lock()
		defer mu.Unlock()
		return logged
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestAShortRunHasOnePointOfSystemMetrics(t *testing.T) {
	t.Parallel()
	m, logged := monitored(t, mlflow.RunRunning)
	m.sample = func(context.Context) map[string]float64 { return map[string]float64{"b": 1.26, "a": 2} }
	if err := m.run(t.Context(), nil, closed()); err != nil {
		t.Fatal(err)
	}
	want := []mlflow.Metric{{Key: "system/a", Value: 2, Timestamp: 5}, {Key: "system/b", Value: 1.3, Timestamp: 5}}
	if diff := cmp.Diff(want, logged()); diff != "" {
		t.Error(diff)
	}
}

func TestSamplesAreAveragedAndStepsGoOnWhereTheRunWas(t *testing.T) {
	t.Parallel()
	m, logged := monitored(t, mlflow.RunRunning, mlflow.Metric{Key: "system/a", Step: 7}, mlflow.Metric{Key: "loss", Step: 90})
	m.samples = 2
	ended, tick := make(chan struct{}), make(chan time.Time)
	n := 0.0
	m.sample = func(context.Context) map[string]float64 { n++; return map[string]float64{"a": n} }
	done := make(chan error)
	go func() { done <- m.run(t.Context(), tick, ended) }()
	tick <- time.Time{}
	tick <- time.Time{}
	tick <- time.Time{} // taken only after the first two were logged
	close(ended)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := []mlflow.Metric{{Key: "system/a", Value: 1.5, Timestamp: 5, Step: 8}, {Key: "system/a", Value: 3.5, Timestamp: 5, Step: 9}}
	if diff := cmp.Diff(want, logged()); diff != "" {
		t.Error(diff)
	}
}

func TestTheWatchEndsWithTheRun(t *testing.T) {
	t.Parallel()
	m, logged := monitored(t, mlflow.RunFinished)
	m.sample = func(context.Context) map[string]float64 { return map[string]float64{"a": 1} }
	tick := make(chan time.Time, 1)
	tick <- time.Time{}
	if err := m.run(t.Context(), tick, nil); err != nil || len(logged()) > 0 {
		t.Errorf("got %v, %v", logged(), err)
	}
}

func TestThisMachineIsMeasuredUnderMLflowsNames(t *testing.T) {
	t.Parallel()
	got := newSystemSampler()(t.Context())
	for _, name := range []string{
		"cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage", "disk_usage_percentage",
		"disk_usage_megabytes", "disk_available_megabytes", "network_receive_megabytes", "network_transmit_megabytes",
	} {
		if v, ok := got[name]; !ok || v < 0 || strings.HasSuffix(name, "percentage") && v > 100 {
			t.Errorf("%s is %v, %v", name, v, ok)
		}
	}
}

func TestCardsAreMeasuredByNVIDIAsProgram(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "nvidia-smi")
	script := "#!/bin/sh\necho '1000, 4000, 35, 60.5, 121'\necho '[N/A], 4000, 5, [N/A], [N/A]'\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	gpuUse(t.Context(), program, got)
	want := map[string]float64{
		"gpu_0_memory_usage_megabytes": 1048.576, "gpu_0_memory_usage_percentage": 25, "gpu_0_utilization_percentage": 35,
		"gpu_0_power_usage_watts": 60.5, "gpu_0_power_usage_percentage": 50, "gpu_1_utilization_percentage": 5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
