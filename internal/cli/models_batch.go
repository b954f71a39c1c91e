package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/endpoint"
)

// batchOptions are the flags of `models predict` that say how a file is worked through.
type batchOptions struct {
	workers, chunkRows int
	failFast, restart  bool
}

func (b *batchOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVarP(&b.workers, "workers", "w", 0, "R processes that a batch uses; as many as CPUs, at most 4, when 0")
	f.IntVar(&b.chunkRows, "chunk-rows", 10_000, "rows of a batch that are predicted in one call")
	f.BoolVar(&b.failFast, "fail-fast", false, "end a batch at the first row that cannot be predicted")
	f.BoolVar(&b.restart, "restart", false, "begin anew where a batch that broke off would go on")
}

const predictHelp = `Predict for a file of rows.

The output decides how. Into a .csv, .jsonl or .parquet file, or - for standard output, the rows are streamed through
several R processes: memory does not depend on their number, the order is kept, and each row gets a line.

The input is a file (.csv, .jsonl, either with .gz; .parquet, .arrow, .rds), a folder (all files in it, by name), an address
in an object store (s3://bucket/rows.csv, a folder there too) or an artifact (runs:/RUN/rows.csv). The output may be an
address in an object store too. Only .rds is held in memory as a whole.

A row that cannot be predicted gets NA, or {"error": …}, is named on standard error and listed with its number in
OUTPUT.failed.csv, and makes the exit status 1; the others are not affected. The output appears when it is whole. When the
command is ended before that, the same command goes on where the last whole piece was written (--restart begins anew).
A model that looks across rows, as one with scale() inside does, sees --chunk-rows at a time.

Into another file, or without --output-path, the predictions are written as JSON, as MLflow writes them: [ … ] for a model
that only R loads, {"predictions": [ … ]} for one that Python loads too.`

// batch predicts for the rows of files.
func (a *app) batch(ctx context.Context, o *modelOptions, b *batchOptions, in *batchInput, out, format string) error {
	if b.chunkRows < 1 {
		return usagef("--chunk-rows %d: a call of predict needs a row at least", b.chunkRows)
	}
	if b.workers < 0 {
		return usagef("--workers %d: a batch needs an R process at least; 0 chooses their number", b.workers)
	}
	c, err := a.fetch(ctx, o)
	if err != nil {
		return err
	}
	c.Workers, c.Spares = b.workers, 0
	report := &batchReport{out: a.Stderr, name: a.name, live: isTerminal(a.Stderr), began: time.Now(), several: len(in.files) > 1}
	options := endpoint.BatchOptions{Files: in.files, Format: format, ChunkRows: b.chunkRows, FailFast: b.failFast, Progress: report.progress, Failed: report.failed}
	if out == "-" {
		options.Out = a.Stdout
		result, err := endpoint.Batch(ctx, c, options)
		report.end(result)
		return batchError(err, result, "")
	}
	identity, err := options.Identity(&c, in.about)
	if err != nil {
		return err
	}
	f, state, err := a.createOutput(out, identity, b.restart || !in.again)
	if err != nil {
		return err
	}
	defer f.discard()
	if state != nil {
		report.before = state.Result.Rows
		fmt.Fprintf(a.Stderr, "%s: %s goes on after %d rows; --restart begins anew\n", a.name, out, state.Result.Rows)
	}
	options.Out, options.State = f, state
	if in.again {
		options.Checkpoint = f.save
	}
	var listing error
	options.Failed = func(file string, row int64, why string) {
		listing = errors.Join(listing, f.failed(file, row, why))
		report.failed(file, row, why)
	}
	result, err := endpoint.Batch(ctx, c, options)
	report.end(result)
	if err = errors.Join(err, listing); err != nil {
		if f.kept {
			fmt.Fprintf(a.Stderr, "%s: the first %d rows are predicted; the same command goes on after them\n", a.name, result.Rows)
		}
		return err
	}
	if err := f.commit(ctx); err != nil {
		return err
	}
	return batchError(nil, result, f.failedRows())
}

// batchError says how many rows have no prediction, and where they are listed.
func batchError(err error, result endpoint.BatchResult, list string) error {
	if err != nil || result.Failed == 0 {
		return err
	}
	if list != "" {
		list = "; they are listed in " + list
	}
	return fmt.Errorf("%d of %d rows could not be predicted%s", result.Failed, result.Rows, list)
}

// batchReport tells on standard error how a batch goes.
type batchReport struct {
	out     io.Writer
	name    string
	live    bool // a line that is written over and over is read by a person
	several bool // files
	began   time.Time
	before  int64 // rows of an earlier run
	said    time.Time
	shown   int
}

// maxShown is how many rows are named.
const maxShown = 20

func (r *batchReport) failed(file string, row int64, why string) {
	r.shown++
	switch {
	case r.shown <= maxShown:
		r.clear()
		if r.several {
			fmt.Fprintf(r.out, "%s: %s: row %d: %s\n", r.name, file, row, why)
		} else {
			fmt.Fprintf(r.out, "%s: row %d: %s\n", r.name, row, why)
		}
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

func (r *batchReport) progress(rows int64, part float64) {
	now := time.Now()
	if !r.live || now.Sub(r.said) < 200*time.Millisecond {
		return
	}
	r.said = now
	took := now.Sub(r.began)
	bar := ""
	if part >= 0 {
		const width = 24
		full := int(part * width)
		bar = fmt.Sprintf("[%s%s] %3.0f%%  ", strings.Repeat("#", full), strings.Repeat("-", width-full), 100*part)
	}
	line := fmt.Sprintf("%s%d rows, %.0f rows/s", bar, rows, float64(rows-r.before)/took.Seconds())
	if part > 0.01 && r.before == 0 {
		left := time.Duration(float64(took) * (1 - part) / part)
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	fmt.Fprint(r.out, "\r\x1b[K"+line)
}

func (r *batchReport) end(result endpoint.BatchResult) {
	if r.live {
		r.clear()
		took := time.Since(r.began)
		fmt.Fprintf(r.out, "%d rows in %s, %d of them not predicted\n", result.Rows, took.Round(time.Millisecond), result.Failed)
	}
}
