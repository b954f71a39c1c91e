//go:build unix

package artifact

import "syscall"

// nonblock opens a pipe at once instead of waiting for its other end.
const nonblock = syscall.O_NONBLOCK
