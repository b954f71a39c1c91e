package endpoint

import "sync/atomic"

// stats counts what happened.
type stats struct {
	joined atomic.Int64 // requests that were answered together with others
}
