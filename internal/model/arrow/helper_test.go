package arrow

import (
	"bytes"
	"strings"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/frame/frametest"
)

// read gives the columns of a body whose rows take at most limit bytes.
func read(body []byte, limit int64) (columns []*frame.Column, rows int, err error) {
	return frametest.Read(limit, func(s *frame.Sheet) (frametest.Source, error) {
		return Open(bytes.NewReader(body), strings.HasPrefix(string(body), magic), s)
	})
}
