package parquet

import (
	"io"

	"github.com/weir-ml/weir/internal/model/frame"
)

// Reader gives the rows of a file, page by page.
type Reader struct {
	*frame.Sheet
	r     io.ReaderAt
	size  int64
	file  *fileMeta
	which []int // the file's columns that are read
	group int   // the next row group
	left  int64 // rows of the present one that are to come
	pages []*pageReader
}

// Open reads the footer of a file of size bytes and adds the columns that the sheet wants to it. What is no Parquet is
// INVALID_PARAMETER_VALUE, here and in Next.
func Open(r io.ReaderAt, size int64, s *frame.Sheet) (*Reader, error) {
	file, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	f := &Reader{Sheet: s, r: r, size: size, file: file}
	for i := range file.columns {
		c := &file.columns[i]
		if !s.Wants(c.name) {
			continue
		}
		kind, ok := c.kind()
		if !ok {
			return nil, frame.RefuseType(c.name, c.describe())
		}
		if err := s.Add(c.name, kind); err != nil {
			return nil, err
		}
		f.which = append(f.which, i)
	}
	return f, nil
}

// Rows gives how many rows the footer says there are.
func (f *Reader) Rows() int64 { return f.file.rows }

// Skip passes over the first rows; whole row groups are not read.
func (f *Reader) Skip(rows int64) error {
	for rows > 0 {
		if f.left == 0 && f.group < len(f.file.groups) && f.file.groups[f.group].rows <= rows {
			rows -= f.file.groups[f.group].rows
			f.group++
			continue
		}
		n, err := f.Next(int(min(rows, 100_000)))
		if err != nil {
			return err
		}
		f.Take()
		rows -= int64(n)
	}
	return nil
}

// Next appends at most most rows to the sheet's columns and says how many; at the end it gives io.EOF.
func (f *Reader) Next(most int) (rows int, err error) {
	defer frame.Recover(&err)
	for f.left == 0 {
		if f.group == len(f.file.groups) {
			return 0, io.EOF
		}
		g := &f.file.groups[f.group]
		f.group++
		f.left, f.pages = g.rows, f.pages[:0]
		for _, which := range f.which {
			c := &f.file.columns[which]
			f.pages = append(f.pages, f.openChunk(c, &g.chunks[c.leaf], g.rows))
		}
	}
	rows = int(min(int64(most), f.left))
	for i, p := range f.pages {
		f.Spend(9 * int64(rows))
		for need := rows; need > 0; {
			need -= p.read(i, need)
		}
	}
	f.left -= int64(rows)
	return rows, nil
}
