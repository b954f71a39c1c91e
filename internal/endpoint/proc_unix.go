//go:build unix && !linux

package endpoint

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate gives a worker a process group of its own, so that it can be ended with everything that it started and a
// Ctrl-C in a terminal does not reach it. The end of its pipe ends it when the server is killed.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killAll(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

// widen does nothing: this system sizes its pipes itself.
func widen(*os.File) {}

// limit does nothing, and memory knows nothing: only Linux tells and bounds what another process holds.
func limit(int, int64) {}

func memory(int) int64 { return 0 }
