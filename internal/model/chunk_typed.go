package model

import (
	"errors"
	"io"
	"slices"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/parquet"
)

// typedChunks cuts a file of columns into pieces.
type typedChunks struct {
	*frame.Sheet
	src  rowSource
	most int
	rows int64
}

// NewTypedChunks reads a file of one of the media types that HoldsColumns, from a mark of it on.
func NewTypedChunks(r io.ReaderAt, size int64, media string, sig *Signature, most int, at Mark) (Source, error) {
	s := frame.NewSheet(sig.wants, unpackedLimit(0))
	src, err := openColumns(r, size, media, s)
	if err != nil {
		return nil, err
	}
	if p, ok := src.(*parquet.Reader); ok {
		err = p.Skip(at.Rows)
	} else {
		for left := at.Rows; left > 0 && err == nil; {
			var n int
			n, err = src.Next(int(min(left, 100_000)))
			left -= int64(n)
			s.Take()
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &typedChunks{Sheet: s, src: src, most: most, rows: at.Rows}, nil
}

// Next gives the next piece, or io.EOF.
func (c *typedChunks) Next() (*Chunk, error) {
	in := &Input{}
	for in.Rows < c.most {
		n, err := c.src.Next(c.most - in.Rows)
		in.Rows += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if in.Rows == 0 {
		return nil, io.EOF
	}
	in.Columns = c.Take()
	first := c.rows + 1
	c.rows += int64(in.Rows)
	return &Chunk{First: first, After: Mark{Rows: c.rows}, in: in}, nil
}

// frameChunks cuts columns that are in memory already.
type frameChunks struct {
	in   *Input
	most int
	at   int
}

// NewFrameChunks cuts rows that are in memory, from a mark on.
func NewFrameChunks(in *Input, most int, at Mark) Source {
	return &frameChunks{in: in, most: most, at: int(min(at.Rows, int64(in.Rows)))}
}

func (c *frameChunks) Next() (*Chunk, error) {
	if c.at == c.in.Rows {
		return nil, io.EOF
	}
	to := min(c.at+c.most, c.in.Rows)
	out := &Chunk{First: int64(c.at + 1), After: Mark{Rows: int64(to)}, in: c.in.part(c.at, to)}
	c.at = to
	return out, nil
}

// part copies the rows from..to.
func (in *Input) part(from, to int) *Input {
	out := &Input{Shape: in.Shape, Rows: to - from, Columns: make([]*Column, len(in.Columns))}
	if in.RowNames != nil {
		out.RowNames = in.RowNames[from:to]
	}
	cut := func(n int) (int, int) { return min(from, n), min(to, n) }
	for i, c := range in.Columns {
		p := *c
		a, b := cut(len(c.Num))
		p.Num = slices.Clone(c.Num[a:b])
		a, b = cut(len(c.Str))
		p.Str = slices.Clone(c.Str[a:b])
		a, b = cut(len(c.Null))
		if p.Null = slices.Clone(c.Null[a:b]); c.Null == nil {
			p.Null = nil
		}
		p.N = to - from
		out.Columns[i] = &p
	}
	return out
}

// RowsOf gives how many rows a source has in all, and false when that is not known.
func RowsOf(s Source) (int64, bool) {
	if c, ok := s.(*typedChunks); ok {
		if p, ok := c.src.(*parquet.Reader); ok {
			return p.Rows(), true
		}
	}
	return 0, false
}
