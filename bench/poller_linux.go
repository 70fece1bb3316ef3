package bench

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// poller is an epoll set. It belongs to one goroutine.
type poller struct {
	fd     int
	events []unix.EpollEvent
}

// readiness says what can be done with a connection.
type readiness struct {
	slot           int
	readable, room bool
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &poller{fd: fd, events: make([]unix.EpollEvent, 1024)}, nil
}

func (p *poller) close() { _ = unix.Close(p.fd) }

func interest(slot int, write bool) *unix.EpollEvent {
	e := &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(slot)} //nolint:gosec // a slot is below the limit of descriptors
	if write {
		e.Events |= unix.EPOLLOUT
	}
	return e
}

// add watches a socket for input, and for room to write where write is set.
func (p *poller) add(fd, slot int, write bool) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, slot, write)
}

// change says anew what a socket is watched for.
func (p *poller) change(fd, slot int, write bool) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, slot, write)
}

func (p *poller) control(op, fd, slot int, write bool) error {
	if err := unix.EpollCtl(p.fd, op, fd, interest(slot, write)); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// wait calls visit for each socket that is ready, after waiting at most timeout for the first. ppoll
// waits with the resolution of nanoseconds that epoll_wait lacks.
func (p *poller) wait(timeout time.Duration, visit func(readiness)) error {
	n, err := unix.EpollWait(p.fd, p.events, 0)
	if n == 0 && err == nil && timeout > 0 {
		ts := unix.NsecToTimespec(int64(timeout))
		n, err = unix.Ppoll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, &ts, nil) //nolint:gosec // a descriptor
		if n > 0 && err == nil {
			n, err = unix.EpollWait(p.fd, p.events, 0)
		}
	}
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range p.events[:n] {
		visit(readiness{
			slot: int(e.Fd), room: e.Events&unix.EPOLLOUT != 0,
			readable: e.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0,
		})
	}
	return nil
}

// dialSocket begins to connect; the socket is writable when that has succeeded or failed. A valid
// source is bound to, and its port is chosen with the destination's in mind.
func dialSocket(to netip.AddrPort, source netip.Addr) (int, error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if source.IsValid() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: source.As4()}); err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("bind %s: %w", source, err)
		}
	}
	if family == unix.AF_INET6 {
		err = unix.Connect(fd, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	} else {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", to, err)
	}
	return fd, nil
}

// socketError returns why connecting failed, or nil.
func socketError(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = unix.Errno(n)
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// readSocket returns 0 and no error when there is nothing to read now.
func readSocket(fd int, b []byte) (int, error) {
	n, err := unix.Read(fd, b)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read: %w", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// writeSocket returns how much the socket took, which may be nothing.
func writeSocket(fd int, b []byte) (int, error) {
	n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_NOSIGNAL)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("write: %w", err)
	}
	return n, nil
}

func closeSocket(fd int) { _ = unix.Close(fd) }
