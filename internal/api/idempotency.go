package api

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// maxIdempotencyKey is the longest Idempotency-Key in characters.
const maxIdempotencyKey = 255

// Idempotency names a request that its client may send again because it did not see the answer: by the header
// Idempotency-Key, as in the IETF's draft "The Idempotency-Key HTTP Header Field". The zero value names none. A handler
// that makes something passes it on to sqldb's WriteOnce, which has the same struct.
type Idempotency struct {
	ID   []byte // a digest of who asks, for which route, under which key
	Body []byte // a digest of the request
}

// IdempotencyOf gives what names the request of a handler's context.
func IdempotencyOf(ctx context.Context) Idempotency {
	if again, _ := ctx.Value(idempotencyKey).(*Idempotency); again != nil {
		return *again
	}
	return Idempotency{}
}

// withIdempotency reads the header. A request without it that was made inside another one, in the same process, does not
// take over that one's.
func withIdempotency(r *http.Request) (*http.Request, *Idempotency, error) {
	values := r.Header["Idempotency-Key"]
	var again *Idempotency
	if len(values) > 0 {
		key := values[0]
		printable := !strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' })
		if len(values) > 1 || key == "" || len(key) > maxIdempotencyKey || !printable {
			return r, nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"the header Idempotency-Key must be one text of 1 to %d printable ASCII characters", maxIdempotencyKey)
		}
		id := sha256.Sum256([]byte(ActorOf(r.Context()).Name + "\x00" + r.Method + "\x00" + r.URL.Path + "\x00" + key))
		again = &Idempotency{ID: id[:]}
	} else if r.Context().Value(idempotencyKey) == nil {
		return r, nil, nil
	}
	return r.WithContext(context.WithValue(r.Context(), idempotencyKey, again)), again, nil
}

// sum notes the request's body.
func (i *Idempotency) sum(body []byte) {
	if i == nil {
		return
	}
	digest := sha256.Sum256(body)
	i.Body = digest[:]
}
