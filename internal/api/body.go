package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/weir-ml/weir/mlflow"
)

// bodyPiece is how much of a large body is read at a time.
const bodyPiece = 256 << 10

// Body is a request's body. A small one is in memory whole; of a larger one a scanner reads as much as it asks for, and
// may forget what it has seen.
type Body struct {
	src   io.Reader // nil when all is read
	piece int64
	buf   *bytes.Buffer
	limit int64
	err   error // what kept the body from being read
}

// NewBody is a body that is read from r in pieces of so many bytes.
func NewBody(r io.Reader, piece int) *Body {
	return &Body{src: r, piece: int64(piece), buf: new(bytes.Buffer)}
}

// openBody begins to read the body of r into buf.
func openBody(r *http.Request, limit int64, buf *bytes.Buffer) (*Body, error) {
	b := &Body{src: http.MaxBytesReader(nil, r.Body, limit), piece: bodyPiece, buf: buf, limit: limit}
	if r.ContentLength > limit {
		return nil, b.tooLarge()
	}
	if r.ContentLength < 0 || r.ContentLength > keptBuffer {
		return b, nil
	}
	buf.Grow(int(r.ContentLength) + bytes.MinRead)
	return b, b.all()
}

func (b *Body) tooLarge() error {
	return mlflow.Errorf(mlflow.CodePayloadTooLarge, "the request body is larger than %d bytes; send it in parts", b.limit)
}

// Bytes gives what is in memory: all that was read and not discarded. It holds until the next call of More.
func (b *Body) Bytes() []byte { return b.buf.Bytes() }

// More reads on; it is false at the end of the body. What Bytes gave begins as before and is longer.
func (b *Body) More() bool {
	if b.src == nil {
		return false
	}
	n, err := b.buf.ReadFrom(io.LimitReader(b.src, b.piece))
	b.fault(err)
	if n == 0 {
		b.src = nil
	}
	return n > 0 && err == nil
}

// Discard forgets the first n bytes of what is in memory. A scanner that has done so must take or refuse the request.
func (b *Body) Discard(n int) { b.buf.Next(n) }

// all reads what is left.
func (b *Body) all() error {
	if b.src != nil {
		_, err := b.buf.ReadFrom(b.src)
		b.fault(err)
		b.src = nil
	}
	return b.err
}

func (b *Body) fault(err error) {
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		b.err = b.tooLarge()
	case err != nil:
		b.err = mlflow.Errorf(mlflow.CodeBadRequest, "the request body ended early")
	}
}
