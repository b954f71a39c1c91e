package tracking

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// repeated is a text, then another one n times with commas between, then a third.
func repeated(before, item string, n int, after string) io.Reader {
	parts := []io.Reader{strings.NewReader(before)}
	for range n - 1 {
		parts = append(parts, strings.NewReader(item+","))
	}
	return io.MultiReader(append(parts, strings.NewReader(item+after))...)
}

func TestTooLongListsAreCountedWhateverTheyHold(t *testing.T) {
	t.Parallel()
	metric := `{"key":"m","value":1,"timestamp":1}`
	for _, tc := range []struct {
		before, item string
		n            int
		after        string
		want         string
	}{
		{`{"run_id":"r","metrics":[`, metric, 1001, `]}`, "Got 1001 metrics"},
		{`{"run_id":"r","params":[`, `{"key":"k","value":"v"}`, 250, `],"metrics":[` + metric + `]}`, "Got 250 params"},
		{`{"run_id":"r","metrics":[`, metric, 1000, `,{"a":[1,{"b":"]}\"\\"}]}, 7, "x", [] , ` + metric + `]}`, "Got 1005 metrics"},
		{`{"metrics":[`, metric, 300_000, `],"run_id":"r","tags":[{"key":"k","value":"v"}]}`, "Got 300000 metrics"},
		{`{"run_id":"r","metrics":[{"key":"?","value":1,"timestamp":1},`, metric, 2000, `]}`, "for parameter 'metrics[0].name'"}, // as MLflow, names first
	} {
		for _, piece := range []int{1 << 20, 13} {
			var req mlflow.LogBatchRequest
			done, err := new(Store).scanLogBatch(api.NewBody(repeated(tc.before, tc.item, tc.n, tc.after), piece), &req)
			var refused *mlflow.Error
			if !done || !errors.As(err, &refused) || !strings.Contains(refused.Message, tc.want) || req.RunID != "r" {
				t.Errorf("%s: %v, %v, run %q", tc.before, done, err, req.RunID)
			}
		}
	}
	// A body that breaks off is refused all the same.
	for _, after := range []string{``, `,{"key":`, `,"x\`, `]`} {
		_, err := new(Store).scanLogBatch(api.NewBody(repeated(`{"run_id":"r","metrics":[`, metric, 1001, after), 99), new(mlflow.LogBatchRequest))
		if err == nil {
			t.Errorf("%q is taken", after)
		}
	}
}

// TestAMillionMetricsAreRefusedInLittleMemory does not run beside other tests, whose memory would count.
func TestAMillionMetricsAreRefusedInLittleMemory(t *testing.T) { //nolint:paralleltest // see above
	const n = 1_000_000
	i := 0
	var item []byte
	body := io.MultiReader(strings.NewReader(`{"run_id":"r","metrics":[`), readerFunc(func(p []byte) (int, error) {
		if len(item) == 0 {
			if i == n {
				return 0, io.EOF
			}
			i++
			item = fmt.Appendf(item, `{"key":"metric_%d","value":0.5,"timestamp":1700000000000,"step":%d},`, i, i)
		}
		size := copy(p, item)
		item = item[size:]
		return size, nil
	}), strings.NewReader(`{}]}`))
	var before, after runtime.MemStats
	var req mlflow.LogBatchRequest
	runtime.GC()
	runtime.ReadMemStats(&before)
	highest := uint64(0)
	watched := readerFunc(func(p []byte) (int, error) {
		if i%100_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			highest = max(highest, after.HeapAlloc)
		}
		return body.Read(p)
	})
	_, err := new(Store).scanLogBatch(api.NewBody(watched, 256<<10), &req)
	if err == nil || !strings.Contains(err.Error(), "Got 1000001 metrics") {
		t.Fatal(err)
	}
	if grown := int64(highest) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d bytes are held", grown)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
