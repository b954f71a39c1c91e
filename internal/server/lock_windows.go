package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// tryLock takes the lock of an open file; errBusy when another process has it. Windows forbids reading what is locked,
// so the locked byte lies far behind the file's end.
func tryLock(f *os.File) error {
	place := &windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, place)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errBusy
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// detach lets a child live on when its parent's console or process group ends.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
}

// openOwn opens or makes a file in the user's own folder; Windows' folders hand their permissions down.
func openOwn(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, flags|os.O_CREATE, 0o600)
}
