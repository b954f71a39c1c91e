package server

import (
	"io"
	"net/http"
	"time"
)

// silence is how long the body of a request may stand still.
const silence = time.Minute

// limitSilence ends requests whose body stops coming. A bound on the whole time would end large uploads instead.
func limitSilence(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			r.Body = &timedBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
		}
		next.ServeHTTP(w, r)
	})
}

type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	set     time.Time // when the deadline was last moved
}

// Read moves the deadline, at most once a second: small bodies come in one piece. After the body's end there is none,
// or it would end the handler's work.
func (b *timedBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.set) > time.Second {
		_ = b.control.SetReadDeadline(now.Add(silence))
		b.set = now
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
