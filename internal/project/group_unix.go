//go:build unix

package project

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const sigterm = int(syscall.SIGTERM)

// ownGroup puts the child into a process group of its own, so that a signal reaches what it starts too, and a Ctrl-C of the
// terminal reaches it only through us.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func signalNumber(s os.Signal) int {
	if number, ok := s.(syscall.Signal); ok {
		return int(number)
	}
	return sigterm
}

func signalGroup(cmd *exec.Cmd, number int) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.Signal(number)) // it may have ended already
}

func killGroup(cmd *exec.Cmd) { signalGroup(cmd, int(syscall.SIGKILL)) }

// endGroup ends what the child left in its group: it is asked once more, because what bash runs in the background ignores an
// interrupt, and killed at the deadline. A nil deadline has passed.
func endGroup(cmd *exec.Cmd, deadline <-chan time.Time) {
	signalGroup(cmd, sigterm)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline != nil {
		if errors.Is(syscall.Kill(-cmd.Process.Pid, 0), syscall.ESRCH) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			deadline = nil
		}
	}
	killGroup(cmd)
}
