package endpoint

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolate gives a worker a process group of its own, so that it can be ended with everything that it started and a
// Ctrl-C in a terminal does not reach it, and has the kernel kill it when the thread that started it dies: an endless
// loop reads no pipe and would otherwise outlive a killed server.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killAll(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

// widen gives a pipe the largest buffer that a process without privileges may ask for; a refusal only costs time.
func widen(pipe *os.File) {
	if c, err := pipe.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
	}
}
