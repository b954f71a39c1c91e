package endpoint

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// BatchOptions says what to predict for and where the predictions go.
type BatchOptions struct {
	In        io.Reader
	InCSV     bool // the rows are CSV below a header; JSON lines otherwise
	Out       io.Writer
	OutCSV    bool // the predictions are written as CSV; as JSON lines otherwise
	ChunkRows int  // rows that one call of predict gets; 10,000 when 0
	FailFast  bool // the first row without a prediction ends the batch
	// Failed is told of each row without a prediction, by its number from 1, in the order of the rows.
	Failed func(row int64, why string)
	// Progress is told how many rows are written.
	Progress func(rows int64)
}

// BatchResult counts rows.
type BatchResult struct{ Rows, Failed int64 }

// hopeless is how many rows of a batch's beginning may fail: when all of them do, so will the rest.
const hopeless = 100

// batchTimeout is for one chunk.
const batchTimeout = 30 * time.Minute

// Batch predicts for a stream of rows and writes a line for each, in their order, with memory that does not depend on
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
	b := &batch{Endpoint: e, BatchOptions: o, ctx: ctx}
	b.out = bufio.NewWriterSize(o.Out, 256<<10)
	if err := b.run(cancel); err != nil {
		return b.result, err
	}
	return b.result, b.finish()
}

// batch is a batch under way.
type batch struct {
	*Endpoint
	BatchOptions
	ctx    context.Context
	like   *model.Like // how the first chunk was read; set before others are
	out    *bufio.Writer
	header []string // of the CSV that is written, once it is known
	early  int64    // rows that failed before that
	result BatchResult
}

// piece is a chunk's way from the reader to the writer.
type piece struct {
	chunk *model.Chunk
	done  chan struct{} // closed once answers are there
	parts []answer
	err   error // ends the batch
}

// answer is what rows rows got: a value, or an error for a single row.
type answer struct {
	first int64
	rows  int
	value rds.Value
	err   error
}

// run reads, predicts and writes at the same time: a piece for each worker is predicted while others are read, and the
// writer takes them in their order.
func (b *batch) run(cancel context.CancelCauseFunc) error {
	pieces := make(chan *piece, b.cfg.Workers)
	var wg sync.WaitGroup
	var readErr error
	wg.Go(func() {
		defer close(pieces)
		readErr = b.read(pieces, &wg)
	})
	var err error
	for p := range pieces {
		if <-p.done; err != nil {
			continue // what was begun before the fault
		}
		if err = p.err; err == nil {
			err = b.write(p.parts)
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

func (b *batch) read(pieces chan<- *piece, wg *sync.WaitGroup) error {
	chunks := model.NewChunks(b.In, b.InCSV, b.ChunkRows)
	for first := true; ; first = false {
		chunk, err := chunks.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p := &piece{chunk: chunk, done: make(chan struct{})}
		work := func() {
			defer close(p.done)
			p.parts, p.err = b.predictChunk(chunk, nil)
		}
		if first { // the types of its columns hold for the others
			b.learn(chunk)
			work()
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
	if c.First <= hopeless && hopelessly(done) { // no use in trying the rest of the first chunk
		return done, nil
	}
	rows := c.Rows()
	v, err := b.predictRows(c)
	switch {
	case err == nil:
		return append(done, answer{c.First, rows, v, nil}), nil
	case b.ctx.Err() != nil:
		return done, context.Cause(b.ctx)
	case mlflow.CodeOf(err) == mlflow.CodeTemporarilyUnavailable:
		return done, err
	case rows == 1:
		return append(done, answer{c.First, 1, nil, err}), nil
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
	if c.Rows() == 1 && isAtomic(v) && rds.Len(v) > 1 && v.Attributes().Get("dim") == nil { // R drops the dimension of one row
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
	return rds.Len(v), isAtomic(v) && attribute(v, "dim") == nil
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
