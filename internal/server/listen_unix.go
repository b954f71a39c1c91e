//go:build unix

package server

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// readable reports whether a connection waits at a listener, or something to be read on a connection.
func readable(socket any) (yes bool) {
	withDescriptor(socket, func(fd int) {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			if err != unix.EINTR {
				yes = n > 0
				return
			}
		}
	})
	return yes
}

// withDescriptor lends the descriptor of a listener or a connection that has one.
func withDescriptor(socket any, use func(fd int)) {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return
	}
	if c, err := s.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { use(int(fd)) })
	}
}
