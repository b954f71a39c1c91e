package sqldb

import (
	"bytes"
	"runtime"
	"sync"
)

// nesting finds a transaction that is begun inside another one's function: on SQLite it would wait for itself for ever.
// Tests switch it on; a nil *nesting checks nothing.
type nesting struct{ inside sync.Map }

// CheckNesting makes Read and Write panic when they are called from inside a transaction's function. It is for tests:
// each call then costs some microseconds. Call it before the database is used.
func (db *DB) CheckNesting() { db.nesting = new(nesting) }

// guard refuses the call when this goroutine runs a transaction already, and marks fn's run.
func (n *nesting) guard(method string, fn func(tx *Tx) error) func(tx *Tx) error {
	if n == nil {
		return fn
	}
	if outer, ok := n.inside.Load(goroutine()); ok {
		panic("sqldb: " + method + " called inside the function of a " + outer.(string) + "; pass the tx on instead")
	}
	return func(tx *Tx) error {
		id := goroutine()
		n.inside.Store(id, method)
		defer n.inside.Delete(id)
		return fn(tx)
	}
}

// goroutine gives the number in the first line of a stack trace, "goroutine 42 [running]:".
func goroutine() string {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)]
	return string(bytes.Fields(line)[1])
}
