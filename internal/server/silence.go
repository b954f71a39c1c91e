package server

import (
	"io"
	"net/http"
	"time"
)

// silence is how long the body of a request may stand still, and how long a client may take nothing of an answer.
const silence = time.Minute

// LimitSilence ends requests in which nothing moves: a body that stops coming, and an answer that its client stops
// reading. A bound on the whole time would end large files instead. It stands before everything else, so that it holds
// for requests that are refused, too.
func LimitSilence(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.ContentLength != 0 {
			body := &timedBody{ReadCloser: r.Body, control: control}
			// The deadline holds from the start: a body that is refused unread is drained by the HTTP server, which would wait.
			body.extend()
			r.Body = body
		}
		answer := &timedAnswer{ResponseWriter: w, control: control, streams: r.ProtoMajor > 1}
		if !answer.streams {
			answer.begin() // the deadline of an earlier request of the connection may have passed
		}
		defer answer.begin() // for what the HTTP server still holds in its buffer
		next.ServeHTTP(answer, r)
	})
}

type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	set     time.Time // when the deadline was last moved
}

// Read moves the deadline. After the body's end there is none, or it would end the handler's work; after a fault it stays,
// for the HTTP server, which may try to drain what does not come.
func (b *timedBody) Read(p []byte) (int, error) {
	b.extend()
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// extend moves the deadline at most once a second: small bodies come in one piece.
func (b *timedBody) extend() {
	if now := time.Now(); now.Sub(b.set) > time.Second {
		_ = b.control.SetReadDeadline(now.Add(silence))
		b.set = now
	}
}

// answerPiece is how much of an answer is written under one deadline: a client that reads slowly, but reads, gets it all.
const answerPiece = 256 << 10

type timedAnswer struct {
	http.ResponseWriter
	control *http.ResponseController
	streams bool // HTTP/2, where a deadline that passes ends the stream even if nothing waits to be written
	set     time.Time
}

// Unwrap lets http.ResponseController reach what is below.
func (a *timedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *timedAnswer) Write(p []byte) (written int, err error) {
	for first := true; first || (len(p) > 0 && err == nil); first = false {
		piece := p[:min(len(p), answerPiece)]
		a.begin()
		n, fault := a.ResponseWriter.Write(piece)
		a.end()
		written, err, p = written+n, fault, p[len(piece):]
	}
	return written, err
}

// FlushError sends what is buffered; http.ResponseController calls it.
func (a *timedAnswer) FlushError() error {
	a.begin()
	defer a.end()
	return a.control.Flush()
}

// begin moves the deadline at most once a second: most answers are one piece.
func (a *timedAnswer) begin() {
	if now := time.Now(); now.Sub(a.set) > time.Second {
		_ = a.control.SetWriteDeadline(now.Add(silence))
		a.set = now
	}
}

// end takes the deadline of a stream away. That of a connection does no harm until something is written.
func (a *timedAnswer) end() {
	if a.streams {
		_ = a.control.SetWriteDeadline(time.Time{})
		a.set = time.Time{}
	}
}
