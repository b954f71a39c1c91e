package server

import (
	"io"
	"net/http"
	"sync"

	"github.com/weir-ml/weir/internal/api"
)

// InProcess is an http.RoundTripper that calls a handler without a socket. The request's context carries the caller, so
// what runs inside the server has the permissions of whom it works for, and no more.
type InProcess struct {
	Handler http.Handler
	// Actor is used for requests whose context names nobody, as those of a job that was submitted earlier.
	Actor *api.Actor
}

// RoundTrip runs the handler and gives its answer as soon as the headers are written; the body streams.
func (t InProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if t.Actor != nil {
		ctx = api.WithActor(ctx, *t.Actor)
	}
	inner := req.Clone(ctx)
	inner.RequestURI = req.URL.RequestURI()
	inner.RemoteAddr = "in-process"
	if inner.Host == "" {
		inner.Host = req.URL.Host
	}
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	body, pipe := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: pipe, started: make(chan struct{})}
	go func() {
		var fault error = io.EOF
		defer func() {
			if v := recover(); v != nil {
				fault = io.ErrUnexpectedEOF
			}
			w.WriteHeader(http.StatusOK)
			inner.Body.Close()
			_ = pipe.CloseWithError(fault)
		}()
		t.Handler.ServeHTTP(w, inner)
	}()
	select {
	case <-w.started:
	case <-ctx.Done():
		_ = body.CloseWithError(ctx.Err())
		return nil, ctx.Err()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: -1, Request: req,
	}, nil
}

type pipeWriter struct {
	header  http.Header
	sent    http.Header // what the header was when the answer began
	status  int
	pipe    *io.PipeWriter
	once    sync.Once
	started chan struct{}
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 {
		return
	}
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.started)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// Flush has nothing to do: the pipe holds nothing back.
func (w *pipeWriter) Flush() {}
