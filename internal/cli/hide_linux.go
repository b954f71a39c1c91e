package cli

import "golang.org/x/sys/unix"

// hideProcess keeps other processes of this user from this one's environment, memory and files: what a model's code runs in
// has no secrets of its own, and could read those of its server in /proc. What this process starts is not hidden.
func hideProcess() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
