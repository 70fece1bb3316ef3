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
	raw syscall.RawConn // nil where the connection is not a plain socket (TLS)

	mu sync.Mutex // held while a frame is being written

	// Owned by the goroutine that reads.
	ahead      []byte // read ahead of a busy peer, from aheadPool
	aheadStart int
	aheadEnd   int
	busy       bool
}

// aheadSize is how much is read at once from a peer that fills the small buffer of its connection.
const aheadSize = 16 << 10

var aheadPool = sync.Pool{New: func() any { b := make([]byte, aheadSize); return &b }}

func newSocket(c net.Conn) *socket {
	s := &socket{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	return s
}

// unread puts back what was read before the socket was made.
func (s *socket) unread(p []byte) {
	s.ahead = *aheadPool.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	s.aheadStart, s.aheadEnd = 0, copy(s.ahead, p)
}

// Read implements net.Conn. A peer that sends much is read through a larger, borrowed buffer.
func (s *socket) Read(p []byte) (int, error) {
	if s.aheadStart == s.aheadEnd {
		if s.ahead != nil && !s.busy {
			b := s.ahead[:aheadSize]
			s.ahead = nil
			aheadPool.Put(&b)
		}
		if !s.busy || len(p) >= aheadSize {
			n, err := s.Conn.Read(p)
			s.busy = n == len(p)
			return n, err //nolint:wrapcheck // io.Reader
		}
		if s.ahead == nil {
			s.ahead = *aheadPool.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
		}
		n, err := s.Conn.Read(s.ahead)
		s.aheadStart, s.aheadEnd = 0, n
		s.busy = n > len(p)
		if err != nil && n == 0 {
			return 0, err //nolint:wrapcheck // io.Reader
		}
	}
	n := copy(p, s.ahead[s.aheadStart:s.aheadEnd])
	s.aheadStart += n
	return n, nil
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
			w.n, w.err = syscall.Write(int(fd), w.frame)
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
	wroteFail         // the connection is broken
)

// tryWrite writes as much of a frame as the socket takes at once, and returns the rest. After wroteSome
// the caller must call finish.
func (w *writer) tryWrite(s *socket, frame []byte) (rest []byte, result written) {
	if !s.mu.TryLock() {
		return frame, wroteBusy
	}
	if s.raw == nil {
		return frame, wroteSome
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

// finish writes the rest of a frame after wroteSome, waiting for the socket at most timeout.
func (s *socket) finish(rest []byte, timeout time.Duration) error {
	defer s.mu.Unlock()
	_, err := s.writeWithin(rest, timeout)
	return err
}
