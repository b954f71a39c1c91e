//go:build !unix

package project

import (
	"os"
	"os/exec"
	"time"
)

const sigterm = 15

func ownGroup(*exec.Cmd) {}

func signalNumber(s os.Signal) int {
	if s == os.Interrupt {
		return 2
	}
	return sigterm
}

// signalGroup kills: there is no gentler way to end another process here.
func signalGroup(cmd *exec.Cmd, _ int) { killGroup(cmd) }

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // it may have ended already

func endGroup(*exec.Cmd, <-chan time.Time) {}
