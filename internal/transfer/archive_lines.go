package transfer

import (
	"bufio"
	"context"
	"errors"
	"io"
)

// place is a line in the members of one kind.
type place struct{ chunk, line int }

// chunkReader reads the lines of the members of one kind.
type chunkReader struct {
	a      *Archive
	chunks []member
	at     place // of the next line
	open   io.ReadCloser
	lines  *bufio.Reader
}

func (a *Archive) lines(kind string) *chunkReader { return &chunkReader{a: a, chunks: a.chunks[kind]} }

// next gives a line; it is valid until the call after it. The end is io.EOF.
func (c *chunkReader) next() ([]byte, error) {
	for {
		if c.open == nil {
			if c.at.chunk == len(c.chunks) {
				return nil, io.EOF
			}
			r, err := c.a.open(c.chunks[c.at.chunk])
			if err != nil {
				return nil, err
			}
			c.open, c.lines = r, bufio.NewReaderSize(r, 64<<10)
		}
		line, err := readLine(c.lines)
		if err == nil {
			c.at.line++
			return line, nil
		}
		c.close()
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
		c.at = place{c.at.chunk + 1, 0}
	}
}

func (c *chunkReader) close() {
	if c.open != nil {
		c.open.Close()
		c.open = nil
	}
}

// seek goes to a line.
func (c *chunkReader) seek(to place) error {
	c.close()
	c.at = place{chunk: to.chunk}
	for c.at != to {
		if _, err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := append([]byte(nil), line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > longestLine {
			return nil, errors.New("a line is too long")
		}
		line, err = r.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

// each calls fn with every line of one kind.
func (a *Archive) each(ctx context.Context, kind string, fn func(line []byte) error) error {
	c := a.lines(kind)
	defer c.close()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := c.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(line); err != nil {
			return err
		}
	}
}
