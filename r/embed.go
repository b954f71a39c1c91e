// Package rpkg carries the sources of the R package mlflow inside the binary,
// so that `weir r install` works on a machine without a network.
package rpkg

import "embed"

// FS holds what `R CMD INSTALL` needs and nothing else: no tests.
//
//go:embed DESCRIPTION NAMESPACE all:R all:man all:inst
var FS embed.FS
