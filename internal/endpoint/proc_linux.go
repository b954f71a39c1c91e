package endpoint

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
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

// limit has a worker leave no core files, which would hold the model and the data, and bounds its memory to twice what
// it is to be replaced at: R then raises an error instead of having the system end another process.
func limit(pid int, maxMemory int64) {
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	if maxMemory > 0 {
		_ = unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: 2 * uint64(maxMemory), Max: 2 * uint64(maxMemory)}, nil)
	}
}

// memory gives the resident bytes of a process, 0 when they cannot be known.
func memory(pid int) int64 {
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}
