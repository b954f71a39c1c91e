//go:build unix

package endpoint

import (
	"io/fs"
	"os"
	"syscall"
)

// tryLock takes the lock of an open file or says that it cannot; the lock goes with the file.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// isOurs reports whether a file belongs to the user of this process.
func isOurs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}
