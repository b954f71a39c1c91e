package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// bodyPiece is how much of a large body is read at a time.
const bodyPiece = 256 << 10

// Body is a request's body. A small one is in memory whole; of a larger one a scanner reads as much as it asks for, and
// may forget what it has seen.
type Body struct {
	src    io.Reader // nil when all is read
	piece  int64
	buf    *bytes.Buffer
	limit  int64
	length int64  // what is announced of a large body, 0 when that is nothing
	enter  func() // claims memory for a body of unknown length once it turns out to be large
	err    error  // what kept the body from being read
}

// NewBody is a body that is read from r in pieces of so many bytes.
func NewBody(r io.Reader, piece int) *Body {
	return &Body{src: r, piece: int64(piece), buf: new(bytes.Buffer)}
}

// openBody begins to read the body of r into buf. What a large one takes is claimed.
func openBody(r *http.Request, limit int64, buf *bytes.Buffer, held *claim) (*Body, error) {
	b := &Body{src: http.MaxBytesReader(nil, r.Body, limit), piece: bodyPiece, buf: buf, limit: limit}
	switch n := r.ContentLength; {
	case n > limit:
		return nil, b.tooLarge()
	case n < 0:
		b.enter = func() {
			b.enter = nil
			if b.err = held.read(r.Context(), limit); b.err == nil {
				b.src = &paced{Reader: b.src, begin: time.Now()}
			}
		}
		return b, nil
	case n > keptBuffer:
		b.length = n
		err := held.read(r.Context(), n)
		b.src = &paced{Reader: b.src, begin: time.Now()}
		return b, err
	default:
		buf.Grow(int(n) + bytes.MinRead)
		return b, b.all()
	}
}

func (b *Body) tooLarge() error {
	return mlflow.Errorf(mlflow.CodePayloadTooLarge, "the request body is larger than %d bytes; send it in parts", b.limit)
}

// Bytes gives what is in memory: all that was read and not discarded. It holds until the next call of More.
func (b *Body) Bytes() []byte { return b.buf.Bytes() }

// More reads on; it is false at the end of the body. What Bytes gave begins as before and is longer.
func (b *Body) More() bool {
	if b.src == nil || b.err != nil {
		return false
	}
	if b.length > 0 && b.buf.Available() < bytes.MinRead && b.buf.Cap() >= wholeFrom {
		b.whole()
	}
	return b.read(b.piece)
}

// wholeFrom is the size from which the buffer of a body takes its last size at once: doubled it would be held twice while it
// is copied. A scanner that forgets what it has seen does not come so far.
const wholeFrom = 4 << 20

// whole makes room for all that is announced.
func (b *Body) whole() {
	if rest := b.length - int64(b.buf.Len()); rest > 0 {
		b.buf.Grow(int(rest) + bytes.MinRead)
	}
}

// read reads at most n bytes; it is false when there were none.
func (b *Body) read(n int64) bool {
	if b.enter != nil && b.buf.Len() >= keptBuffer {
		if b.enter(); b.err != nil {
			return false
		}
	}
	got, err := b.buf.ReadFrom(io.LimitReader(b.src, n))
	b.fault(err)
	if got == 0 {
		b.src = nil
	}
	return got > 0 && err == nil
}

// Discard forgets the first n bytes of what is in memory. A scanner that has done so must take or refuse the request.
func (b *Body) Discard(n int) { b.buf.Next(n) }

// all reads what is left.
func (b *Body) all() error {
	for b.enter != nil && b.src != nil && b.err == nil {
		b.read(b.piece) // it may turn out to be large
	}
	if b.src == nil || b.err != nil {
		return b.err
	}
	if b.length > 0 {
		b.whole()
	}
	_, err := b.buf.ReadFrom(b.src)
	b.fault(err)
	b.src = nil
	return b.err
}

func (b *Body) fault(err error) {
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		b.err = b.tooLarge()
	case errors.Is(err, errTooSlow):
		b.err = errTooSlow
	case err != nil:
		b.err = mlflow.Errorf(mlflow.CodeBadRequest, "the request body ended early")
	}
}
