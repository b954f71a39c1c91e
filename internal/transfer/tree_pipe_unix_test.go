//go:build unix

package transfer_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that nobody writes to must not hold an import up.
func TestPipesInATreeAreNamedAndSkipped(t *testing.T) {
	t.Parallel()
	dir, run := treeOfOneRun(t)
	id := filepath.Base(run)
	for _, kind := range []string{"params", "tags", "metrics", "artifacts"} {
		writeFile(t, filepath.Join(run, kind, "whole"), "1000 1 1\n")
		if err := syscall.Mkfifo(filepath.Join(run, kind, "pipe"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	report := newWorld(t, openLite(t), t.TempDir()).run(openTree(t, dir))
	var got []string
	for _, f := range report.Faults {
		got = append(got, strings.TrimPrefix(f.Where, "run "+id+", ")+": "+f.Why)
	}
	diff(t, []string{
		"artifact pipe: it is a link or a device, not a file", "metric pipe: it is a link or a device, not a file",
		"param pipe: it is a link or a device, not a file", "tag pipe: it is a link or a device, not a file",
	}, got)
	if report.Runs.Added != 1 || report.Points != 1 || report.Files.Added != 1 {
		t.Errorf("report %+v", report)
	}
}
