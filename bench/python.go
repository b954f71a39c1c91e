package main

import (
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

//go:embed fill.py
var fillScript string

// fillPython makes n runs in the database of Python's server. Its REST API takes minutes for ten thousand of them, so only
// the first run of each experiment comes through it; the others are copies of their rows, with the values of their own that
// fillSome would have sent.
func (b *bench) fillPython(p *process, experiments []string, n int64) error {
	var next atomic.Int64
	if err := fillSome(p, experiments, &next, int64(len(experiments))); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(b.mlflow), "python"), "-c", fillScript,
		filepath.Join(b.dir, "mlflow.db"), strconv.FormatInt(n, 10), strings.Join(experiments, ","))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fill.py: %w: %s", err, out)
	}
	return nil
}
