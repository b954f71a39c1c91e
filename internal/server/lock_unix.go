//go:build unix

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// tryLock takes the lock of an open file; errBusy when another process has it.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errBusy
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// detach lets a child live on when its parent's session, terminal or process group ends,
// without the files that this process inherited: R leaves its sockets open in the programs
// that it starts, and a server that held the lease of another would keep that one alive.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// openOwn opens or makes a file that only this user is to write and read. In a folder that others may write to, they could
// have put something else in its place: a link to a file of ours, or a file that they can read.
func openOwn(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a link; remove it", path)
	}
	if err != nil {
		return nil, err
	}
	if err := checkOwn(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkOwn(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || stat.Nlink > 1 {
		return fmt.Errorf("%s is not a file of its own; remove it", f.Name())
	}
	mine := int(stat.Uid) == os.Geteuid()
	if !mine && !ownsFolder(f.Name(), stat.Uid) {
		return fmt.Errorf("%s: %w", f.Name(), fs.ErrPermission)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	// Some file systems have no modes; there everything is the owner's.
	if err := f.Chmod(0o600); err != nil && !mine {
		return fmt.Errorf("%s: %w", f.Name(), fs.ErrPermission)
	}
	return nil
}

// ownsFolder tells whether the folder of a file belongs to a user too, who then may do there what he likes.
func ownsFolder(path string, uid uint32) bool {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == uid
}
