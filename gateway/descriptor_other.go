//go:build !unix

package gateway

import (
	"errors"
	"net"
	"syscall"
)

// descriptor returns nil: without non-blocking reads and writes of Unix, every connection is served as one over
// TLS is, through net.Conn.
func descriptor(net.Conn) syscall.RawConn { return nil }

func readDescriptor(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func writeDescriptor(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
