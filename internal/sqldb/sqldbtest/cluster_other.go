//go:build !unix

package sqldbtest

import "testing"

type cluster struct{}

var volatile, durable cluster

// databaseURI fails: the private server is started only on Unix.
func databaseURI(tb testing.TB, _ *cluster) string {
	tb.Helper()
	tb.Fatal("the tests start a private PostgreSQL server only on Unix")
	return ""
}
