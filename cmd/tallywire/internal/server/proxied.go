package server

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/pires/go-proxyproto"
)

// proxied is a listener whose connections from trusted networks begin with the PROXY protocol, which says who
// the client is. Those without it are closed; nobody guesses. Connections from elsewhere are as they are: the
// first line of the protocol is no HTTP, so a client gains nothing by sending it.
func proxied(l net.Listener, trusted []netip.Prefix) net.Listener {
	return unwrapping{&proxyproto.Listener{
		Listener: l, ReadHeaderTimeout: readHeaderTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			peer, ok := o.Upstream.(*net.TCPAddr)
			if !ok {
				return proxyproto.REJECT, errors.Join(proxyproto.ErrInvalidUpstream, errors.New("no TCP"))
			}
			address := peer.AddrPort().Addr().Unmap().WithZone("")
			for _, network := range trusted {
				if network.Contains(address) {
					return proxyproto.REQUIRE, nil
				}
			}
			return proxyproto.SKIP, nil
		},
	}}
}

// unwrapping is a listener whose connections can be written to as the sockets that they are.
type unwrapping struct{ net.Listener }

func (l unwrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if p, ok := c.(*proxyproto.Conn); ok {
		return proxiedConn{p}, nil
	}
	return c, err
}

// proxiedConn is a connection that began with the PROXY protocol. Once a request was read nothing of it is in a
// buffer of the connection any more, so that its socket may be used directly.
type proxiedConn struct{ *proxyproto.Conn }

var errNoSocket = errors.New("no socket")

// SyscallConn implements syscall.Conn.
func (c proxiedConn) SyscallConn() (syscall.RawConn, error) {
	socket, ok := c.Raw().(syscall.Conn)
	if !ok {
		return nil, errNoSocket
	}
	return socket.SyscallConn()
}
