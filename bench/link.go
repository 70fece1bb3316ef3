package bench

// role says what a connection is for.
type role uint8

const (
	subscriber role = iota
	publisher       // sends publish frames, is subscribed to nothing
	worker          // speaks RESP to Redis
	polling         // reads by long polling
	streaming       // reads from an event stream
)

// phase is how far a connection has come.
type phase uint8

const (
	dialing     phase = iota // the TCP connection is being made
	upgrading                // the HTTP request is out
	connecting               // `connect` is out
	subscribing              // `subscribe` is out
	ready
	closed
)

// link is one connection of the load generator. It belongs to the goroutine that drives the load.
type link struct {
	fd      int
	slot    int
	role    role
	phase   phase
	channel int

	in  []byte // the beginning of a frame
	out []byte // what the socket did not take

	cursors []byte // of a polling one: where it stands

	got  int64 // deliveries
	last int64 // newest stamp
}

// send writes b, or keeps what the socket has no room for.
func (f *fleet) send(l *link, b []byte) {
	if l.phase == closed {
		return
	}
	if len(l.out) > 0 {
		l.out = append(l.out, b...)
		return
	}
	n, err := writeSocket(l.fd, b)
	if err != nil {
		f.lose(l, err)
		return
	}
	if n < len(b) {
		l.out = append(l.out, b[n:]...)
		if err := f.poller.change(l.fd, l.slot, true); err != nil {
			f.lose(l, err)
		}
	}
}

// sendFrame writes one message.
func (f *fleet) sendFrame(l *link, op byte, payload []byte) {
	f.frame = appendFrame(f.frame[:0], op, payload)
	f.send(l, f.frame)
}

// drain writes what waits for room.
func (f *fleet) drain(l *link) {
	n, err := writeSocket(l.fd, l.out)
	if err != nil {
		f.lose(l, err)
		return
	}
	l.out = l.out[:copy(l.out, l.out[n:])]
	if len(l.out) == 0 {
		if err := f.poller.change(l.fd, l.slot, false); err != nil {
			f.lose(l, err)
		}
	}
}

// lose ends a connection that should not have ended.
func (f *fleet) lose(l *link, err error) {
	if l.phase == closed {
		return
	}
	closeSocket(l.fd)
	l.phase = closed
	f.lost++
	if f.trouble == nil {
		f.trouble = err
	}
}

// burst bounds what is read from one connection before the others have their turn.
const burst = 256 << 10

// receive reads what there is and handles every whole frame of it.
func (f *fleet) receive(l *link) {
	for total := 0; total < burst; {
		kept := copy(f.scratch, l.in)
		n, err := readSocket(l.fd, f.scratch[kept:])
		if err != nil {
			f.lose(l, err)
			return
		}
		if n == 0 {
			return
		}
		total += n
		f.meter.bytes += int64(n)
		used, err := f.consume(l, f.scratch[:kept+n])
		if err != nil {
			f.lose(l, err)
			return
		}
		if l.phase == closed {
			return
		}
		l.in = append(l.in[:0], f.scratch[used:kept+n]...)
		if len(l.in) == 0 && cap(l.in) > 4096 {
			l.in = nil
		}
		if kept+n < len(f.scratch) && n < 64<<10 {
			return // the socket had no more
		}
	}
}
