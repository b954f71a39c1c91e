package endpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/weir-ml/weir/internal/rds"
)

// protocolVersion is what both sides of the pipes must agree on; harness.R holds the other copy.
const protocolVersion = 1

// The kinds of a frame. A worker says hello, is told what to load, says ready, then answers predict frames.
const (
	frameHello = 1 + iota
	frameLoad
	frameReady
	framePredict
	frameResult
	frameError
)

// A frame begins with five big-endian 32-bit integers: version, id, kind, deadline (milliseconds that are left, 0 for
// none) and the length of the payload, which is an R value in R's serialization, mostly in the machine's byte order.
const (
	headerSize = 20
	maxPayload = 1 << 30
)

// errProtocol is behind faults that are not the pipe's: the worker wrote what no worker writes.
var errProtocol = errors.New("the worker broke the protocol")

// conn is the server's end of a worker's two pipes. One goroutine uses it at a time.
type conn struct {
	to     *os.File
	from   *os.File
	r      *bufio.Reader
	nextID int32
}

func newConn(to, from *os.File) *conn {
	return &conn{to: to, from: from, r: bufio.NewReaderSize(from, 32<<10)}
}

// call sends one frame and reads its answer until the deadline. frame holds room for the header before the payload.
func (c *conn) call(kind int32, frame []byte, deadline time.Time) (answer int32, payload []byte, err error) {
	if len(frame)-headerSize > maxPayload {
		return 0, nil, fmt.Errorf("a request of %d bytes is too large", len(frame)-headerSize)
	}
	c.nextID++
	left := min(max(time.Until(deadline).Milliseconds(), 1), 1<<31-1)
	for i, x := range [...]int32{protocolVersion, c.nextID, kind, int32(left), int32(len(frame) - headerSize)} {
		binary.BigEndian.PutUint32(frame[4*i:], uint32(x))
	}
	if err := c.to.SetWriteDeadline(deadline); err != nil {
		return 0, nil, err
	}
	if _, err := c.to.Write(frame); err != nil {
		return 0, nil, err
	}
	return c.read(c.nextID, deadline)
}

// read reads one frame, which must carry the id; hello carries 0.
func (c *conn) read(id int32, deadline time.Time) (kind int32, payload []byte, err error) {
	if err := c.from.SetReadDeadline(deadline); err != nil {
		return 0, nil, err
	}
	var head [headerSize]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	field := func(i int) int32 { return int32(binary.BigEndian.Uint32(head[4*i:])) }
	version, gotID, kind, n := field(0), field(1), field(2), field(4)
	switch {
	case version != protocolVersion:
		return 0, nil, fmt.Errorf("%w: version %d", errProtocol, version)
	case gotID != id:
		return 0, nil, fmt.Errorf("%w: an answer to %d instead of %d", errProtocol, gotID, id)
	case n < 0 || n > maxPayload:
		return 0, nil, fmt.Errorf("%w: a payload of %d bytes", errProtocol, n)
	}
	payload, err = readN(c.r, int(n))
	return kind, payload, err
}

// readN does not trust n: a large buffer grows with what really comes.
func readN(r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	buf := make([]byte, min(n, step))
	for done := 0; ; {
		if _, err := io.ReadFull(r, buf[done:]); err != nil {
			return nil, err
		}
		done = len(buf)
		if done == n {
			return buf, nil
		}
		grown := make([]byte, min(n, 2*done))
		copy(grown, buf)
		buf = grown
	}
}

func (c *conn) close() error { return errors.Join(c.to.Close(), c.from.Close()) }

// message is the payload of an error frame.
type message struct {
	text  string
	call  string
	trace []string
}

// decodeList decodes a payload that is a named list.
func decodeList(payload []byte) (*rds.List, error) {
	v, err := rds.Decode(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	l, ok := v.(*rds.List)
	if !ok {
		return nil, fmt.Errorf("%w: a %T where a list is expected", errProtocol, v)
	}
	return l, nil
}

// texts gives a field's strings.
func texts(l *rds.List, name string) []string {
	s, ok := l.Field(name).(*rds.String)
	if !ok {
		return nil
	}
	out := make([]string, len(s.V))
	for i := range s.V {
		out[i] = s.V[i].Text()
	}
	return out
}

func text(l *rds.List, name string) string {
	if s := texts(l, name); len(s) > 0 {
		return s[0]
	}
	return ""
}

func decodeMessage(payload []byte) (message, error) {
	l, err := decodeList(payload)
	if err != nil {
		return message{}, err
	}
	return message{text: text(l, "message"), call: text(l, "call"), trace: texts(l, "trace")}, nil
}
