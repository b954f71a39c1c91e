package endpoint

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// maxRDS bounds what an .rds file may unpack to: unlike the other formats, it is read as a whole.
const maxRDS = 4 << 30

// FormatOf gives the format of a file of rows by its name, "" when none is known for it. CSV and JSON lines may be
// compressed with gzip.
func FormatOf(name string) string {
	switch path.Ext(strings.TrimSuffix(strings.ToLower(name), ".gz")) {
	case ".csv":
		return "csv"
	case ".jsonl", ".ndjson":
		return "jsonl"
	}
	switch path.Ext(strings.ToLower(name)) {
	case ".parquet", ".pqt":
		return "parquet"
	case ".arrow", ".feather":
		return "arrow"
	case ".arrows":
		return "arrows"
	case ".rds":
		return "rds"
	}
	return ""
}

// rowSource gives the chunks of an open file.
type rowSource struct {
	model.Source
	file io.Closer
	size int64                      // bytes of a text that is not compressed
	read interface{ count() int64 } // of a compressed one: how much of it is read
	rows int64                      // of a file whose number of rows is known
}

func (s *rowSource) Close() error { return s.file.Close() }

// part is what of the file is read at a mark.
func (s *rowSource) part(at model.Mark) float64 {
	switch {
	case s.rows > 0:
		return float64(at.Rows) / float64(s.rows)
	case s.read != nil && s.size > 0:
		return min(1, float64(s.read.count())/float64(s.size))
	case s.size > 0:
		return float64(at.Bytes) / float64(s.size)
	}
	return -1
}

// open opens a file of rows at a mark.
func (b *batch) open(f *BatchFile, at model.Mark) (*rowSource, error) {
	csv := f.Format == "csv"
	if f.Stream != nil {
		return &rowSource{Source: model.NewChunks(f.Stream, csv, b.ChunkRows), file: io.NopCloser(nil)}, nil
	}
	file, err := f.Open(b.ctx)
	if err != nil {
		return nil, err
	}
	s := &rowSource{file: file, size: f.Size}
	if err := b.openAs(s, f, file, at, csv); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

func (b *batch) openAs(s *rowSource, f *BatchFile, file io.ReadSeekCloser, at model.Mark, csv bool) error {
	switch f.Format {
	case "csv", "jsonl":
		var r io.ReadSeeker = file
		if strings.HasSuffix(strings.ToLower(f.Name), ".gz") {
			gz := &gzipReader{file: file}
			s.read, r = gz, gz
		}
		c := model.NewChunks(r, csv, b.ChunkRows)
		s.Source = c
		return c.Resume(r, at)
	case "rds":
		in, err := readFrame(file)
		if err != nil {
			return err
		}
		s.rows = int64(in.Rows)
		s.Source = model.NewFrameChunks(in, b.ChunkRows, at)
		return nil
	}
	r, err := b.randomAccess(s, file)
	if err != nil {
		return err
	}
	media := map[string]string{"parquet": model.MediaParquet, "arrow": model.MediaArrowFile, "arrows": model.MediaArrowStream}[f.Format]
	s.Source, err = model.NewTypedChunks(r, f.Size, media, b.model.Signature, b.ChunkRows, at)
	if n, ok := model.RowsOf(s.Source); ok {
		s.rows = n
	}
	return err
}

// randomAccess gives a file that can be read anywhere; what comes from elsewhere is copied to one of the endpoint's own.
func (b *batch) randomAccess(s *rowSource, file io.ReadSeekCloser) (io.ReaderAt, error) {
	if r, ok := file.(*os.File); ok {
		return r, nil
	}
	defer file.Close()
	copied, err := os.CreateTemp(b.temp, "rows-")
	if err != nil {
		return nil, fmt.Errorf("copy of the rows: %w", err)
	}
	s.file = copied
	if err := os.Remove(copied.Name()); err != nil {
		return nil, fmt.Errorf("copy of the rows: %w", err)
	}
	if _, err := io.Copy(copied, file); err != nil {
		return nil, fmt.Errorf("copy of the rows: %w", err)
	}
	return copied, nil
}

// countedReader counts what is read.
type countedReader struct {
	r io.Reader
	n *int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}

// gzipReader reads a compressed file; it seeks by reading.
type gzipReader struct {
	file io.ReadSeeker
	z    *gzip.Reader
	at   int64
	raw  int64
}

func (r *gzipReader) count() int64 { return r.raw }

func (r *gzipReader) Read(p []byte) (int, error) {
	if r.z == nil {
		z, err := gzip.NewReader(&countedReader{r.file, &r.raw})
		if err != nil {
			return 0, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the file is not compressed with gzip, as its name says: %v", err)
		}
		r.z = z
	}
	n, err := r.z.Read(p)
	r.at += int64(n)
	return n, err
}

func (r *gzipReader) Seek(offset int64, _ int) (int64, error) {
	if offset < r.at {
		if _, err := r.file.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		r.z, r.at, r.raw = nil, 0, 0
	}
	_, err := io.CopyN(io.Discard, r, offset-r.at)
	return r.at, err
}

// readFrame reads a data frame of saveRDS(). Nothing in it is evaluated.
func readFrame(r io.Reader) (*model.Input, error) {
	v, err := rds.Read(r, maxRDS)
	if err != nil {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%v", err)
	}
	rows, ok := rds.Rows(v)
	df, isList := v.(*rds.List)
	if !ok || !isList {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the file holds an object of class %q; a data frame is needed", rds.Class(v)[0])
	}
	names := df.Strings("names")
	in := &model.Input{Rows: rows}
	for i, c := range df.V {
		if !isAtomic(c) || rds.Len(c) != rows || i >= len(names) {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the column %d of the data frame is a %s; vectors and factors can be predicted for", i+1, rds.Class(c)[0])
		}
		column, err := typedColumn(names[i], c, 0, rows)
		if err != nil {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "column %q of the data frame cannot be read: %v", names[i], err)
		}
		in.Columns = append(in.Columns, column)
	}
	return in, nil
}
