package model

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"

	"github.com/weir-ml/weir/internal/model/arrow"
	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/parquet"
)

// The media types of bodies that hold typed columns.
const (
	MediaArrowStream = "application/vnd.apache.arrow.stream"
	MediaArrowFile   = "application/vnd.apache.arrow.file"
	MediaParquet     = "application/vnd.apache.parquet"
)

// HoldsColumns reports whether a body of the media type holds typed columns, which ParseColumns reads.
func HoldsColumns(media string) bool {
	return media == MediaArrowStream || media == MediaArrowFile || media == MediaParquet
}

// ParseColumns decodes a body of Arrow's IPC format or of Parquet. Types become R's as the arrow package would have it:
// whole numbers are integers where they all fit and numbers otherwise (beyond 2^53 the nearest one), a dictionary of
// texts is a factor, dates are Date, timestamps POSIXct, decimals numbers, null is NA. Columns that the signature does not name
// are not looked at; of the others a nested or binary one is refused by its name. The columns of pandas' index are dropped.
func ParseColumns(media string, body []byte, sig *Signature) (*Input, error) {
	return parseColumns(media, body, sig, unpackedLimit(len(body)))
}

func parseColumns(media string, body []byte, sig *Signature, limit int64) (*Input, error) {
	s := frame.NewSheet(sig.wants, limit)
	src, err := openColumns(bytes.NewReader(body), int64(len(body)), media, s)
	if err != nil {
		return nil, err
	}
	in := &Input{}
	sig.addDefaults(in)
	for {
		rows, err := src.Next(math.MaxInt32)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if in.Rows += rows; in.Rows > math.MaxInt32 {
			return nil, frame.Refuse("the body holds more than %d rows", math.MaxInt32)
		}
	}
	in.Columns, err = sig.applyTyped(s.Columns)
	return in, err
}

// rowSource gives the rows of a file of typed columns: arrow.Reader and parquet.Reader do.
type rowSource interface {
	Next(most int) (rows int, err error)
}

func openColumns(r io.ReaderAt, size int64, media string, s *frame.Sheet) (rowSource, error) {
	if media == MediaParquet {
		return parquet.Open(r, size, s)
	}
	return arrow.Open(io.NewSectionReader(r, 0, size), media == MediaArrowFile, s)
}

// wants reports whether a typed column is to be read at all: with a signature of names only those that it names are,
// without one all but pandas' index.
func (s *Signature) wants(name string) bool {
	if s != nil && !s.Tensor && s.named() {
		return s.column(name, 0) != nil
	}
	return !strings.HasPrefix(name, "__index_level_")
}

// unpackedLimit bounds what a compressed body of n bytes may grow to: eight times itself, and 256 MiB in any case.
func unpackedLimit(n int) int64 { return max(256<<20, 8*int64(n)) }

// applyTyped is apply for columns that came with types: what the signature calls a text may have been a factor.
func (s *Signature) applyTyped(columns []*Column) ([]*Column, error) {
	for i, c := range columns {
		spec := s.column(c.Name, i)
		if spec == nil || c.Kind != Factor || (spec.Type != "string" && spec.Type != "binary") {
			continue
		}
		c.Str = make([]string, c.N)
		for row := range c.N {
			if !c.IsNull(row) {
				c.Str[row] = c.Levels[int(c.Num[row])]
			}
		}
		c.Kind, c.Num, c.Levels = Text, nil, nil
	}
	return s.apply(columns, true)
}

// retime makes days of times and times of days.
func (spec *ColSpec) retime(c *Column) error {
	kind := spec.timeKind()
	if c.Kind == kind {
		return nil
	}
	for i := range c.Num {
		if kind == Time {
			c.Num[i] *= 86400
		} else if c.Num[i] /= 86400; c.Num[i] != math.Trunc(c.Num[i]) && !c.IsNull(i) {
			return frame.Refuse("column %q, row %d: a time of day, where the model takes a date", c.Name, i+1)
		}
	}
	c.Kind = kind
	return nil
}
