package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/endpoint"
)

// batchOptions are the flags of `weir models predict` that say how a file is worked through.
type batchOptions struct {
	workers, chunkRows int
	failFast           bool
}

func (b *batchOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVarP(&b.workers, "workers", "w", 0, "R processes that a batch uses; as many as CPUs, at most 4, when 0")
	f.IntVar(&b.chunkRows, "chunk-rows", 10_000, "rows of a batch that are predicted in one call")
	f.BoolVar(&b.failFast, "fail-fast", false, "end a batch at the first row that cannot be predicted")
}

const predictHelp = `Predict for a file of rows.

The output decides how. Into a .csv or .jsonl file, or - for standard output, the input (CSV or JSON lines) is streamed
through several R processes: memory does not depend on its size, the order is kept, and each row gets a line. A row that
cannot be predicted gets NA, or {"error": …}, is named on standard error, and makes the exit status 1; the others are not
affected. A model that looks across rows, as one with scale() inside does, sees --chunk-rows at a time.

Into another file, or without --output-path, the answer of the model server is written: {"predictions": [ … ]}.`

// streams reports whether the output asks for a batch, and whether it is CSV.
func streams(out, media string) (batch, csv bool) {
	switch strings.ToLower(filepath.Ext(out)) {
	case ".csv":
		return true, true
	case ".jsonl", ".ndjson":
		return true, false
	}
	return out == "-", media == mediaCSV
}

// batch predicts for a stream of rows.
func (a *app) batch(ctx context.Context, o *modelOptions, b *batchOptions, in, out, media string, csv bool) error {
	if media != mediaCSV && media != mediaLines {
		return usagef("a batch reads CSV or JSON lines: name the input .csv or .jsonl, or say --content-type csv or jsonl")
	}
	input, err := a.openRows(in)
	if err != nil {
		return err
	}
	defer input.Close()
	c, err := a.fetch(ctx, o)
	if err != nil {
		return err
	}
	c.Workers, c.Spares = b.workers, 0
	var output io.Writer = a.Stdout
	commit := func() error { return nil }
	if out != "-" {
		f, err := createWhole(a.abs(out))
		if err != nil {
			return err
		}
		defer f.discard()
		output, commit = f, f.commit
	}
	report := &batchReport{out: a.Stderr, name: a.name, live: isTerminal(a.Stderr), began: time.Now()}
	result, err := endpoint.Batch(ctx, c, endpoint.BatchOptions{
		In: input, InCSV: media == mediaCSV, Out: output, OutCSV: csv,
		ChunkRows: b.chunkRows, FailFast: b.failFast, Failed: report.failed, Progress: report.progress,
	})
	report.end(result)
	if err != nil {
		return err
	}
	if err := commit(); err != nil {
		return err
	}
	if result.Failed > 0 {
		return fmt.Errorf("%d of %d rows could not be predicted", result.Failed, result.Rows)
	}
	return nil
}

// batchReport tells on standard error how a batch goes.
type batchReport struct {
	out   io.Writer
	name  string
	live  bool // a line that is written over and over is read by a person
	began time.Time
	said  time.Time
	shown int
}

// maxShown is how many rows are named.
const maxShown = 20

func (r *batchReport) failed(row int64, why string) {
	r.shown++
	switch {
	case r.shown <= maxShown:
		r.clear()
		fmt.Fprintf(r.out, "%s: row %d: %s\n", r.name, row, why)
	case r.shown == maxShown+1:
		r.clear()
		fmt.Fprintf(r.out, "%s: more rows fail; they are counted\n", r.name)
	}
}

func (r *batchReport) clear() {
	if r.live && !r.said.IsZero() {
		fmt.Fprint(r.out, "\r\x1b[K")
	}
}

func (r *batchReport) progress(rows int64) {
	now := time.Now()
	if !r.live || now.Sub(r.said) < 200*time.Millisecond {
		return
	}
	r.said = now
	fmt.Fprintf(r.out, "\r\x1b[K%d rows, %.0f rows/s", rows, float64(rows)/now.Sub(r.began).Seconds())
}

func (r *batchReport) end(result endpoint.BatchResult) {
	if r.live {
		r.clear()
		took := time.Since(r.began)
		fmt.Fprintf(r.out, "%d rows in %s, %d of them not predicted\n", result.Rows, took.Round(time.Millisecond), result.Failed)
	}
}
