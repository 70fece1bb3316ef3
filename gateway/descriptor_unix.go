//go:build unix

package gateway

import (
	"net"
	"syscall"
)

// descriptor returns access to the descriptor of a plain socket, nil where c is none.
func descriptor(c net.Conn) syscall.RawConn {
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// readDescriptor reads what has come, without waiting.
func readDescriptor(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }

// writeDescriptor writes what the socket takes, without waiting.
func writeDescriptor(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }
