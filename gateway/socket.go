package gateway

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// socket is the network connection under a WebSocket. coder/websocket does the handshake, reads, and
// writes control frames through it; data frames are written by tryWrite. Both hold mu for a whole
// frame, so that frames never mix.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil where the connection is not a plain socket (TLS, Windows)

	mu sync.Mutex // held while a frame is being written

	// Owned by the goroutine that reads.
	ahead *aheadBuffer // what was read ahead, from aheadPool, or nil
	full  bool         // the last read filled its buffer
}

// aheadSize is how much is read at once from a peer that fills the small buffer of its connection.
const aheadSize = 16 << 10

// aheadBuffer holds data[start:end], read by do.
type aheadBuffer struct {
	data       [aheadSize]byte
	start, end int
	n          int
	err        error
	do         func(fd uintptr) bool
}

var aheadPool = sync.Pool{New: func() any {
	b := &aheadBuffer{}
	b.do = func(fd uintptr) bool {
		b.n, b.err = readDescriptor(fd, b.data[:])
		return true // whatever came of it: reading ahead does not wait
	}
	return b
}}

func newSocket(c net.Conn) *socket { return &socket{Conn: c, raw: descriptor(c)} }

// unread puts back what was read before the socket was made.
func (s *socket) unread(p []byte) {
	s.ahead = aheadPool.Get().(*aheadBuffer) //nolint:forcetypeassert // the pool holds nothing else
	s.ahead.start, s.ahead.end = 0, copy(s.ahead.data[:], p)
}

// Read implements net.Conn. When the last read filled p there is probably more: that is read ahead into
// a borrowed buffer, which is never held while waiting for the peer.
func (s *socket) Read(p []byte) (int, error) {
	if s.ahead == nil && s.full && len(p) < aheadSize && s.raw != nil {
		s.readAhead()
	}
	if s.ahead == nil {
		n, err := s.Conn.Read(p)
		s.full = n == len(p)
		return n, err //nolint:wrapcheck // io.Reader
	}
	n := copy(p, s.ahead.data[s.ahead.start:s.ahead.end])
	if s.ahead.start += n; s.ahead.start == s.ahead.end {
		aheadPool.Put(s.ahead)
		s.ahead = nil
	}
	return n, nil
}

// readAhead reads what the peer has sent already, if anything.
func (s *socket) readAhead() {
	b := aheadPool.Get().(*aheadBuffer) //nolint:forcetypeassert // the pool holds nothing else
	b.start, b.end = 0, 0
	err := s.raw.Read(b.do)
	if err == nil && b.err == nil && b.n > 0 {
		b.end = b.n
		s.ahead = b
		return
	}
	s.full = false // nothing, the end, or an error, which the next Read will meet
	aheadPool.Put(b)
}

// drop closes the connection at once. What TLS says at the end of a connection is left out: a peer that does not
// read would have the caller wait for it.
func (s *socket) drop() {
	if t, ok := s.Conn.(interface{ NetConn() net.Conn }); ok {
		_ = t.NetConn().Close()
		return
	}
	_ = s.Conn.Close()
}

// Write implements net.Conn for control frames.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeWithin(p, controlTimeout)
}

// writeWithin writes p within a time and leaves no deadline behind, which a later tryWrite would meet.
func (s *socket) writeWithin(p []byte, timeout time.Duration) (int, error) {
	_ = s.SetWriteDeadline(time.Now().Add(timeout))
	n, err := s.Conn.Write(p)
	if err == nil {
		err = s.SetWriteDeadline(time.Time{})
	}
	return n, err //nolint:wrapcheck // io.Writer
}

const controlTimeout = 5 * time.Second

// writer does non-blocking writes. It belongs to one goroutine.
type writer struct {
	frame []byte
	n     int
	err   error
	do    func(fd uintptr) bool
}

func newWriter() *writer {
	w := &writer{}
	w.do = func(fd uintptr) bool {
		for {
			w.n, w.err = writeDescriptor(fd, w.frame)
			if !errors.Is(w.err, syscall.EINTR) {
				return true
			}
		}
	}
	return w
}

type written uint8

const (
	wroteAll  written = iota
	wroteSome         // the socket is full; it stays locked until finish
	wroteBusy         // another frame is being written; nothing was done
	wroteNone         // the connection is no plain socket: whoever writes may have to wait; it stays locked until finish
	wroteFail         // the connection is broken
)

// tryWrite writes as much of a frame as the socket takes at once, and returns the rest. After wroteSome
// or wroteNone the caller must call finish.
func (w *writer) tryWrite(s *socket, frame []byte) (rest []byte, result written) {
	if !s.mu.TryLock() {
		return frame, wroteBusy
	}
	if s.raw == nil {
		return frame, wroteNone
	}
	w.frame = frame
	err := s.raw.Write(w.do)
	w.frame = nil
	switch {
	case err != nil:
	case w.err == nil && w.n == len(frame):
		s.mu.Unlock()
		return nil, wroteAll
	case w.err == nil:
		return frame[w.n:], wroteSome
	case errors.Is(w.err, syscall.EAGAIN):
		return frame, wroteSome
	}
	s.mu.Unlock()
	return nil, wroteFail
}

// finish writes the rest of a frame after wroteSome or wroteNone, waiting for the socket at most timeout.
func (s *socket) finish(rest []byte, timeout time.Duration) error {
	defer s.mu.Unlock()
	_, err := s.writeWithin(rest, timeout)
	return err
}
