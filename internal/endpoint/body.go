package endpoint

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// bodyPause is how long a body may stop before the request is given up: one that never ends would hold its connection
// and what has come of it for ever.
const bodyPause = 30 * time.Second

// readBody reads the body of a request, of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		// A client that sends before it looks would see a broken connection instead of the answer.
		if !strings.EqualFold(r.Header.Get("Expect"), "100-continue") && r.ContentLength <= 4*limit {
			_, _ = io.Copy(io.Discard, &patient{http.NewResponseController(w), r.Body})
		}
		return nil, tooLarge(limit)
	}
	control := http.NewResponseController(w)
	body := &patient{control, http.MaxBytesReader(w, r.Body, limit)}
	// The connection is watched while R predicts: that must not run into the deadline of the last read.
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	if n := r.ContentLength; n >= 0 && n <= 1<<20 {
		buf := make([]byte, n)
		_, err := io.ReadFull(body, buf)
		return buf, bodyFault(err, limit)
	}
	buf, err := io.ReadAll(body)
	return buf, bodyFault(err, limit)
}

func bodyFault(err error, limit int64) error {
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		return tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return mlflow.Errorf(mlflow.CodeBadRequest, "the body did not go on for %s", bodyPause)
	}
	return mlflow.Errorf(mlflow.CodeBadRequest, "the body cannot be read: %v", err)
}

// patient waits for each piece of a body, but not for ever. Writers without a connection have no deadlines.
type patient struct {
	control *http.ResponseController
	body    io.Reader
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(bodyPause))
	return p.body.Read(b)
}
