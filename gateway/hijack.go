package gateway

import (
	"bufio"
	"net"
	"net/http"
)

// Sizes of the buffers that coder/websocket uses for a connection. It reads frame headers through the
// first (a socket reads ahead into a borrowed buffer when there is more) and writes only control frames
// (at most 131 bytes) through the second.
const (
	readBuffer  = 64
	writeBuffer = 144
)

// smallHijacker hands out the connection with small buffers in place of the server's two of 4 KB.
type smallHijacker struct {
	http.ResponseWriter
	socket *socket
}

// Hijack implements http.Hijacker.
func (h *smallHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // coder/websocket wraps it
	}
	if err := brw.Writer.Flush(); err != nil {
		_ = conn.Close()
		return nil, nil, err //nolint:wrapcheck // coder/websocket wraps it
	}
	h.socket = newSocket(conn)
	if n := brw.Reader.Buffered(); n > 0 { // a client that did not wait for the answer
		early, _ := brw.Reader.Peek(n)
		h.socket.unread(early)
	}
	return h.socket, bufio.NewReadWriter(
		bufio.NewReaderSize(h.socket, readBuffer), bufio.NewWriterSize(h.socket, writeBuffer)), nil
}
