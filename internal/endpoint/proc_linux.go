package endpoint

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate gives a worker a process group of its own, so that it can be ended with everything that it started and a
// Ctrl-C in a terminal does not reach it, and has the kernel kill it when the thread that started it dies: an endless
// loop reads no pipe and would otherwise outlive a killed server.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killAll(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
