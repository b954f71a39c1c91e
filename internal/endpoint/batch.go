package endpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/model/parquet"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// BatchFile is a file of rows.
type BatchFile struct {
	Name   string // as people are told of it
	Format string // csv, jsonl, parquet, arrow, arrows or rds: FormatOf gives it
	Size   int64
	Open   func(context.Context) (io.ReadSeekCloser, error)
	Stream io.Reader // instead of Open: CSV or JSON lines that can be read once
}

// BatchOptions says what to predict for and where the predictions go.
type BatchOptions struct {
	Files     []BatchFile // their rows are one batch, in this order
	Out       io.Writer
	Format    string // csv, jsonl or parquet
	ChunkRows int    // rows that one call of predict gets; 10,000 when 0
	FailFast  bool   // the first row without a prediction ends the batch
	// Failed is told of each row without a prediction, by its number in its file from 1, in the order of the rows.
	Failed func(file string, row int64, why string)
	// Progress is told how many rows are written, and what part of the input these are: 0 to 1, negative when unknown.
	Progress func(rows int64, part float64)
	// State is that of a batch that broke off: Out goes on after its Written bytes.
	State *BatchState
	// Checkpoint is called from time to time, once everything before it has gone to Out.
	Checkpoint func(BatchState) error
}

// BatchState is how far a batch is.
type BatchState struct {
	File    int            `json:"file"` // the file that is read
	At      model.Mark     `json:"at"`   // where in it
	Result  BatchResult    `json:"result"`
	Written int64          `json:"written"` // bytes of the output
	Header  []string       `json:"header,omitempty"`
	Early   int64          `json:"early,omitempty"`
	Like    *model.Like    `json:"like,omitempty"`
	Parquet *parquet.State `json:"parquet,omitempty"`
}

// BatchResult counts rows.
type BatchResult struct {
	Rows   int64 `json:"rows"`
	Failed int64 `json:"failed"`
}

// hopeless is how many rows of a batch's beginning may fail: when all of them do, so will the rest.
const hopeless = 100

// batchTimeout is for one chunk.
const batchTimeout = 30 * time.Minute

// checkpointEvery is how much work may be lost with a batch that is killed. What Parquet writes goes out in groups, which
// a checkpoint ends; short ones are slow to read.
const (
	checkpointEvery        = 2 * time.Second
	checkpointEveryParquet = 30 * time.Second
)

// Batch predicts for the rows of files and writes a line for each, in their order, with memory that does not depend on
// their number. A chunk that fails is halved until the rows at fault are found; these get a missing prediction and are
// counted, and the others theirs.
func Batch(ctx context.Context, cfg Config, o BatchOptions) (result BatchResult, err error) {
	if o.ChunkRows <= 0 {
		o.ChunkRows = 10_000
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = batchTimeout
	}
	cfg.MaxBatchRows = 1
	e, err := New(ctx, cfg)
	if err != nil {
		return result, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, e.cancel)
	defer stop()
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	if err := e.Ready(ctx); err != nil {
		return result, err
	}
	b := newBatch(e, o, ctx)
	err = b.run(cancel)
	if err == nil {
		err = b.finish()
	} else if b.state.Result.Rows > 0 && !b.torn {
		err = errors.Join(err, b.checkpoint()) // what is done need not be done again
	}
	return b.state.Result, err
}

// batch is a batch under way.
type batch struct {
	*Endpoint
	BatchOptions
	ctx     context.Context
	like    *model.Like // how the first chunk was read; set before others are
	begun   bool        // the first chunk is predicted
	out     *bufio.Writer
	parquet *parquet.Writer // of a batch into Parquet
	state   BatchState      // of what is written
	torn    bool            // a piece is written in part
	saved   time.Time
	total   int64 // bytes of all files; 0 when unknown
	sizes   []int64
}

func newBatch(e *Endpoint, o BatchOptions, ctx context.Context) *batch {
	b := &batch{Endpoint: e, BatchOptions: o, ctx: ctx, saved: time.Now()}
	if o.State != nil {
		b.state, b.like, b.begun = *o.State, o.State.Like, true
	}
	b.out = bufio.NewWriterSize(&counting{o.Out, &b.state.Written}, 256<<10)
	if o.Format == "parquet" {
		var state parquet.State
		if b.state.Parquet != nil {
			state = *b.state.Parquet
		}
		b.parquet = parquet.NewWriter(b.out, state)
	}
	for _, f := range o.Files {
		b.sizes = append(b.sizes, f.Size)
		if b.total += f.Size; f.Stream != nil {
			b.total = 0
		}
	}
	return b
}

// counting counts what is written.
type counting struct {
	w io.Writer
	n *int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	*c.n += int64(n)
	return n, err
}

// piece is a chunk's way from the reader to the writer.
type piece struct {
	file  int
	after model.Mark
	part  float64       // of its file that is read with it; negative when unknown
	done  chan struct{} // closed once answers are there
	parts []answer
	err   error // ends the batch
}

// answer is what rows rows got: lines or columns, or an error for a single row.
type answer struct {
	first   int64
	rows    int
	names   []string
	lines   []byte
	columns []*model.Column
	err     error
}

// run reads, predicts and writes at the same time: a piece for each worker is predicted while others are read, and the
// writer takes them in their order.
func (b *batch) run(cancel context.CancelCauseFunc) error {
	pieces := make(chan *piece, b.cfg.Workers)
	var wg sync.WaitGroup
	var readErr error
	wg.Go(func() {
		defer close(pieces)
		for i := b.state.File; i < len(b.Files) && readErr == nil; i++ {
			readErr = b.readFile(i, pieces, &wg)
		}
	})
	var err error
	for p := range pieces {
		if <-p.done; err != nil {
			continue // what was begun before the fault
		}
		if err = p.err; err == nil {
			err = b.write(p)
		}
		if err != nil {
			cancel(err)
		}
	}
	wg.Wait()
	if err == nil {
		err = readErr
	}
	return err
}

// readFile sends the pieces of a file on their way.
func (b *batch) readFile(file int, pieces chan<- *piece, wg *sync.WaitGroup) error {
	f := &b.Files[file]
	var at model.Mark
	if b.State != nil && file == b.State.File {
		at = b.State.At
	}
	src, err := b.open(f, at)
	if err != nil {
		return withName(f, err)
	}
	defer src.Close()
	for {
		chunk, err := src.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return b.named(f, err)
		}
		p := &piece{file: file, after: chunk.After, part: src.part(chunk.After), done: make(chan struct{})}
		work := func() {
			defer close(p.done)
			p.parts, p.err = b.predictChunk(chunk, nil)
		}
		if !b.begun { // the types of the first chunk's columns hold for the others
			if b.learn(chunk); b.like == nil {
				b.like = &model.Like{}
			}
			work()
			b.begun = true
			if hopelessly(p.parts) {
				p.err = mlflow.Errorf(mlflow.CodeOf(p.parts[0].err), "none of the first %d rows can be predicted: %s", hopeless, why(p.parts[0].err))
			}
		} else {
			wg.Go(work)
		}
		select {
		case pieces <- p: // waits while as many are under way as there are workers
		case <-b.ctx.Done():
			<-p.done
			return context.Cause(b.ctx)
		}
	}
}

// named says which of several files is at fault.
func (b *batch) named(f *BatchFile, err error) error {
	if len(b.Files) == 1 {
		return err
	}
	return withName(f, err)
}

func withName(f *BatchFile, err error) error {
	var known *mlflow.Error
	if errors.As(err, &known) {
		return mlflow.Errorf(known.Code, "%s: %s", f.Name, known.Message)
	}
	return fmt.Errorf("%s: %w", f.Name, err)
}

// learn finds how the first chunk is to be read, by the largest part of it that can be.
func (b *batch) learn(c *model.Chunk) {
	if in, err := c.Parse(b.model.Signature, nil); err == nil {
		b.like = in.Like()
	} else if half := c.Rows() / 2; half > 0 {
		b.learn(c.Part(0, half))
		if b.like == nil {
			b.learn(c.Part(half, c.Rows()))
		}
	}
}

// why gives the words of a single row's error: without its code, and without the row's number among itself.
func why(err error) string {
	text := err.Error()
	var known *mlflow.Error
	if errors.As(err, &known) {
		text = known.Message
	}
	return strings.Replace(text, ", row 1:", ":", 1)
}

func hopelessly(parts []answer) bool {
	if len(parts) < hopeless {
		return false
	}
	for _, a := range parts[:hopeless] {
		if a.err == nil {
			return false
		}
	}
	return true
}

// predictChunk gives the answers for a chunk's rows, after those in done. The error ends the batch.
func (b *batch) predictChunk(c *model.Chunk, done []answer) ([]answer, error) {
	if err := b.ctx.Err(); err != nil {
		return done, context.Cause(b.ctx)
	}
	if !b.begun && hopelessly(done) { // no use in trying the rest of the first chunk
		return done, nil
	}
	rows := c.Rows()
	v, err := b.predictRows(c)
	switch {
	case err == nil:
		a, err := b.render(v, rows)
		a.first = c.First
		return append(done, a), err
	case b.ctx.Err() != nil:
		return done, context.Cause(b.ctx)
	case mlflow.CodeOf(err) == mlflow.CodeTemporarilyUnavailable:
		return done, err
	case rows == 1:
		return append(done, answer{first: c.First, rows: 1, err: err}), nil
	}
	if done, err = b.predictChunk(c.Part(0, rows/2), done); err != nil {
		return done, err
	}
	return b.predictChunk(c.Part(rows/2, rows), done)
}

func (b *batch) predictRows(c *model.Chunk) (rds.Value, error) {
	in, err := c.Parse(b.model.Signature, b.like)
	if err != nil {
		return nil, err
	}
	v, err := b.predict(b.ctx, in)
	if err != nil {
		return nil, b.explain(err, in)
	}
	if n, ok := rowsOf(v); ok && n == c.Rows() {
		return v, nil
	}
	if c.Rows() == 1 && isVector(v) && rds.Len(v) > 1 { // R drops the dimension of one row
		return asRow(v), nil
	}
	n, _ := rowsOf(v)
	return nil, mlflow.Errorf(mlflow.CodeInternal, "the model gives %d predictions for %d rows", n, c.Rows())
}

// rowsOf gives the number of rows that a prediction is for, and false for what has none.
func rowsOf(v rds.Value) (int, bool) {
	if n, ok := rds.Rows(v); ok {
		return n, true
	}
	if dim, ok := attribute(v, "dim").(*rds.Integer); ok && len(dim.V) == 2 {
		return int(dim.V[0]), isAtomic(v) && int(dim.V[0])*int(dim.V[1]) == rds.Len(v)
	}
	return rds.Len(v), isVector(v)
}

// asRow makes a matrix with one row of a vector.
func asRow(v rds.Value) rds.Value {
	attrs := rds.Attrs{{Name: "dim", Value: rds.Ints(1, int32(rds.Len(v)))}}
	if names := v.Attributes().Strings("names"); names != nil {
		attrs = append(attrs, rds.Attr{Name: "dimnames", Value: &rds.List{V: []rds.Value{&rds.Null{}, rds.Strings(names...)}}})
	}
	switch v := v.(type) {
	case *rds.Double:
		return &rds.Double{V: v.V, Attrs: attrs}
	case *rds.Integer:
		return &rds.Integer{V: v.V, Attrs: attrs}
	case *rds.Logical:
		return &rds.Logical{V: v.V, Attrs: attrs}
	case *rds.String:
		return &rds.String{V: v.V, Attrs: attrs}
	}
	return v
}
