package server

import (
	"errors"

	"golang.org/x/sys/unix"
)

// refuseNew has the kernel drop the packets that ask a listener for a new connection. Clients ask again after a second
// and find whoever listens then; connections that the kernel has answered for are made and wait to be accepted.
func refuseNew(listener any) error {
	// The filter sees a packet from its TCP header on; the byte at 13 holds the flags.
	const flags, syn, ack = 13, 0x02, 0x10
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
	}
	err := errors.ErrUnsupported
	withDescriptor(listener, func(fd int) {
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
	return err
}
