package parquet

import (
	"bytes"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/mlflow"
)

func everything(string) bool { return true }

// read gives the columns of a body whose rows take at most limit bytes.
func read(body []byte, limit int64) (columns []*frame.Column, rows int, err error) {
	s := frame.NewSheet(everything, limit)
	r, err := Open(bytes.NewReader(body), int64(len(body)), s)
	for err == nil {
		var n int
		n, err = r.Next(math.MaxInt32)
		rows += n
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return s.Columns, rows, err
}

// allocated gives how many bytes fn takes in all. It is for tests that run alone.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func refused(t *testing.T, name string, err error, want string) {
	t.Helper()
	if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}
