package model

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/weir-ml/weir/internal/model/frame"
)

// Source gives the rows of a file or stream in pieces, in their order, so that a file of any size is read in constant
// memory; io.EOF comes after the last. A piece may be parsed while others are read.
type Source interface {
	Next() (*Chunk, error)
}

// Chunks cuts a stream of CSV or JSON lines into pieces of whole rows.
type Chunks struct {
	r      *bufio.Reader
	csv    bool
	header []byte
	rows   int64
	offset int64 // bytes of the stream that were taken
	most   int
	ended  error
}

// The bytes after which a chunk ends, and those of the longest row.
const (
	chunkBytes = 4 << 20
	maxRow     = 16 << 20
)

// NewChunks reads from r; csv says that the rows are CSV below a header, otherwise they are JSON lines.
func NewChunks(r io.Reader, csv bool, rows int) *Chunks {
	return &Chunks{r: bufio.NewReaderSize(r, 256<<10), csv: csv, most: rows}
}

// Mark is a place between two rows.
type Mark struct {
	Rows  int64 `json:"rows"`  // that stand before it
	Bytes int64 `json:"bytes"` // of a text; 0 in files of columns
}

// Resume goes on at a mark of the same stream, after its header was read again.
func (c *Chunks) Resume(r io.ReadSeeker, at Mark) error {
	if at.Rows == 0 {
		return nil
	}
	if c.csv {
		if err := c.readHeader(); err != nil {
			return err
		}
	}
	if _, err := r.Seek(at.Bytes, io.SeekStart); err != nil {
		return err
	}
	c.r.Reset(r)
	c.rows, c.offset = at.Rows, at.Bytes
	return nil
}

// Chunk is a piece of a stream; First is the number of its first row, counted from 1, and After the place where it ends.
type Chunk struct {
	First  int64
	After  Mark
	csv    bool
	header []byte
	body   []byte
	ends   []int  // where each row ends in body
	in     *Input // instead, rows that came as columns
}

// Rows is the number of rows.
func (c *Chunk) Rows() int {
	if c.in != nil {
		return c.in.Rows
	}
	return len(c.ends)
}

// Part gives the rows from..to.
func (c *Chunk) Part(from, to int) *Chunk {
	if c.in != nil {
		return &Chunk{First: c.First + int64(from), in: c.in.part(from, to)}
	}
	start := 0
	if from > 0 {
		start = c.ends[from-1]
	}
	part := &Chunk{First: c.First + int64(from), csv: c.csv, header: c.header, body: c.body[start:c.ends[to-1]], ends: make([]int, to-from)}
	for i := range part.ends {
		part.ends[i] = c.ends[from+i] - start
	}
	return part
}

// Next gives the next piece, or io.EOF. A row that is too long, or a stream that breaks off, is an error after the pieces
// before it.
func (c *Chunks) Next() (*Chunk, error) {
	if c.csv && c.header == nil && c.ended == nil {
		if err := c.readHeader(); err != nil {
			return nil, err
		}
	}
	out := &Chunk{First: c.rows + 1, csv: c.csv, header: c.header}
	for c.ended == nil && len(out.ends) < c.most && len(out.body) < chunkBytes {
		before := len(out.body)
		body, err := c.row(out.body)
		if c.ended = err; err != nil && !errors.Is(err, io.EOF) {
			break
		}
		if len(bytes.TrimSpace(body[before:])) == 0 { // a blank line is no row
			continue
		}
		out.body = body
		if out.body[len(out.body)-1] != '\n' {
			out.body = append(out.body, '\n')
		}
		out.ends = append(out.ends, len(out.body))
	}
	if len(out.ends) == 0 {
		return nil, c.ended
	}
	c.rows += int64(len(out.ends))
	out.After = Mark{Rows: c.rows, Bytes: c.offset}
	return out, nil
}

func (c *Chunks) readHeader() (err error) {
	if c.header, err = c.row(nil); errors.Is(err, io.EOF) && len(c.header) == 0 {
		return frame.Refuse("the CSV input is empty: it needs a header")
	} else if err != nil {
		return err
	}
	c.header = append(bytes.TrimRight(c.header, "\r\n"), '\n')
	return nil
}

// row appends a row to dst: a line, or several when quotes hold line ends together.
func (c *Chunks) row(dst []byte) ([]byte, error) {
	start, open := len(dst), false
	for {
		line, err := c.r.ReadSlice('\n')
		dst = append(dst, line...)
		c.offset += int64(len(line))
		if len(dst)-start > maxRow {
			return dst, frame.Refuse("row %d has more than %d bytes; a quote may be open", c.rows+1, maxRow)
		}
		if c.csv && bytes.Count(line, []byte{'"'})%2 == 1 {
			open = !open
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && (!errors.Is(err, io.EOF) || len(dst) == start):
			return dst, err
		case err != nil || !open:
			return dst, nil
		}
	}
}

// Like says how a stream's first rows were read, so that the others are read alike.
type Like struct {
	Kinds    map[string]Kind `json:"kinds"`               // the types of the columns that hold a value
	RowNames bool            `json:"row_names,omitempty"` // the rows of a CSV have one field more than its header: their names
}

// Like says how the input was read.
func (in *Input) Like() *Like {
	out := &Like{Kinds: map[string]Kind{}, RowNames: in.RowNames != nil}
	for _, c := range in.Columns {
		if c.Kind != Empty && !c.AllMissing() {
			out.Kinds[c.Name] = c.Kind
		}
	}
	return out
}

// Parse decodes the rows as another piece of the stream was, when like is not nil: what was text there is text here, and
// a column without any value here has the type that it has there.
func (c *Chunk) Parse(sig *Signature, like *Like) (*Input, error) {
	var in *Input
	var err error
	if c.in != nil {
		in = c.in.part(0, c.in.Rows) // the check writes into the columns
		sig.addDefaults(in)
		in.Columns, err = sig.applyTyped(in.Columns)
		return in, err
	}
	if in = c.numbers(sig, like, 1); in != nil {
		sig.addDefaults(in)
		in.Columns, err = sig.apply(in.Columns, true)
	} else if c.csv {
		in, err = parseCSV(append(c.header[:len(c.header):len(c.header)], c.body...), sig, like)
	} else {
		in, err = ParseJSONLines(c.body, sig)
	}
	if err != nil {
		return nil, err
	}
	if like == nil {
		return in, nil
	}
	for _, col := range in.Columns {
		kind, known := like.Kinds[col.Name]
		if !known || kind == Factor || (col.Kind != Empty && (col.Kind != Logical || !col.AllMissing())) {
			continue
		}
		col.Num, col.Str = nil, nil
		if col.Become(kind); col.Null == nil {
			col.Null = make([]bool, col.N)
		}
	}
	return in, nil
}
