// Package frametest is what the tests of the formats that fill a frame.Sheet share.
package frametest

import (
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/mlflow"
)

// Source gives rows, as the readers of the formats do.
type Source interface {
	Next(most int) (rows int, err error)
}

// Read gives all columns of what open opens, whose rows take at most limit bytes.
func Read(limit int64, open func(*frame.Sheet) (Source, error)) (columns []*frame.Column, rows int, err error) {
	s := frame.NewSheet(func(string) bool { return true }, limit)
	r, err := open(s)
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

// Allocated gives how many bytes fn takes in all. It is for tests that run alone.
func Allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Refused asserts that err is a refusal with the text in it.
func Refused(t *testing.T, name string, err error, text string) {
	t.Helper()
	if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %q", name, err, text)
	}
}

// Sound asserts that what was read of any bytes is a frame, or refused.
func Sound(t *testing.T, columns []*frame.Column, rows int, err error) {
	t.Helper()
	if err != nil {
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("the code of %v", err)
		}
		return
	}
	for _, c := range columns {
		if c.Len() != rows {
			t.Errorf("column %q has %d elements for %d rows", c.Name, c.Len(), rows)
		}
	}
}
