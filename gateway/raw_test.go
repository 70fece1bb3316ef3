package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
)

// WebSocket opcodes (RFC 6455, section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// rawClient is a WebSocket peer that does only what it is told: it answers nothing, checks nothing and
// reads nothing by itself.
type rawClient struct {
	rig    *rig
	conn   net.Conn
	reader *bufio.Reader
	frames []wire.Frame
}

// dialRaw opens a WebSocket over a socket whose receive buffer has about a given size (0: the system's).
func (r *rig) dialRaw(receive int) *rawClient {
	r.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		if receive == 0 {
			return nil
		}
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive)
		}), err)
	}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, host, _ := strings.Cut(r.url, "://")
	conn, err := dialer.DialContext(ctx, "tcp", host)
	require.NoError(r.t, err)
	if r.roots != nil {
		conn = tls.Client(conn, &tls.Config{RootCAs: r.roots, ServerName: "127.0.0.1"})
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(r.t, conn.SetDeadline(time.Now().Add(3*patience)))
	_, err = fmt.Fprintf(conn, "GET /v1/ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", host)
	require.NoError(r.t, err)
	c := &rawClient{rig: r, conn: conn, reader: bufio.NewReader(conn)}
	resp, err := http.ReadResponse(c.reader, nil)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	require.Equal(r.t, http.StatusSwitchingProtocols, resp.StatusCode)
	return c
}

// connectRaw is dialRaw with a session of user.
func (r *rig) connectRaw(receive int, user string) *rawClient {
	r.t.Helper()
	c := r.dialRaw(receive)
	c.send(`{"type":"connect","token":"%s"}`, r.token(user, nil))
	require.Equal(r.t, "connected", c.next().Type)
	return c
}

// masked returns a WebSocket frame of a client, masked with zeros. first is the header's first byte.
func masked(first byte, payload []byte) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	frame = append(frame, 0, 0, 0, 0)
	return append(frame, payload...)
}

func (c *rawClient) write(first byte, payload []byte) {
	c.rig.t.Helper()
	_, err := c.conn.Write(masked(first, payload))
	require.NoError(c.rig.t, err)
}

func (c *rawClient) send(format string, args ...any) {
	c.rig.t.Helper()
	c.write(0x80|opText, fmt.Appendf(nil, format, args...))
}

// read reads one WebSocket frame.
func (c *rawClient) read() (op byte, payload []byte, err error) {
	var header [2]byte
	if _, err := io.ReadFull(c.reader, header[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(header[1])
	if size := map[uint64]int{126: 2, 127: 8}[n]; size > 0 {
		var long [8]byte
		if _, err := io.ReadFull(c.reader, long[8-size:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(long[:])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.reader, payload)
	return header[0] & 0xf, payload, err
}

// tryNext returns the next frame of the grammar; control frames are left out, a close frame is an error.
func (c *rawClient) tryNext() (wire.Frame, error) {
	for len(c.frames) == 0 {
		op, payload, err := c.read()
		switch {
		case err != nil:
			return wire.Frame{}, err
		case op == opClose:
			return wire.Frame{}, closedWith(binary.BigEndian.Uint16(payload))
		case op != opText:
			continue
		}
		if c.frames, err = wire.Message(payload); err != nil {
			return wire.Frame{}, err
		}
	}
	f := c.frames[0]
	c.frames = c.frames[1:]
	return f, nil
}

func (c *rawClient) next() wire.Frame {
	c.rig.t.Helper()
	f, err := c.tryNext()
	require.NoError(c.rig.t, err)
	return f
}

// closedWith is the code of a close frame.
type closedWith uint16

func (code closedWith) Error() string { return fmt.Sprintf("closed with %d", uint16(code)) }
