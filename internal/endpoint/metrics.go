package endpoint

import "sync/atomic"

// stats counts what happened.
type stats struct {
	joined   atomic.Int64 // requests that were answered together with others
	replaced atomic.Int64 // workers that others took the place of
}
