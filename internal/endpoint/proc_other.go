//go:build !unix

package endpoint

import (
	"os"
	"os/exec"
)

// isolate does nothing: this system cannot pass pipes by number, so starting a worker fails before it matters.
func isolate(*exec.Cmd) {}

func killAll(p *os.Process) { _ = p.Kill() }

// widen does nothing: this system sizes its pipes itself.
func widen(*os.File) {}

// limit does nothing, and memory knows nothing: only Linux tells and bounds what another process holds.
func limit(int, int64) {}

func memory(int) int64 { return 0 }
