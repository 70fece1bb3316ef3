package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// fleet is the connections of one scenario. It belongs to the goroutine that drives the load.
type fleet struct {
	server  *server
	poller  *poller
	meter   *meter
	links   []link
	answers answers

	ready   int // connections that have come as far as they shall
	lost    int
	trouble error // the first reason

	reader    role // of the connections that open makes
	subscribe bool // connections subscribe as soon as they are connected
	cursor    string
	text      []byte // reused: a message
	frame     []byte // reused: a frame
	scratch   []byte
}

// answers are what the publishing connection is told.
type answers struct {
	acked   int64
	refused int64
	problem string             // the first refusal
	cursor  string             // of the first publish
	onAck   func(id, at int64) // nil: only counted
}

var errDown = errors.New("a connection was lost")

// connectAtOnce bounds the connections under way: more would overflow a listener's backlog.
const connectAtOnce = 200

func newFleet(s *server, clients int) (*fleet, error) {
	if err := raiseFiles(clients + 64); err != nil {
		return nil, err
	}
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &fleet{
		server: s, poller: p, meter: newMeter(), subscribe: true,
		links: make([]link, 0, clients+1), scratch: make([]byte, maxFrame+64<<10),
	}, nil
}

func (f *fleet) close() {
	for i := range f.links {
		if l := &f.links[i]; l.phase != closed {
			closeSocket(l.fd)
			l.phase = closed
		}
	}
	f.poller.close()
}

func channelName(n int) string { return "bench:" + strconv.Itoa(n) }

// open connects n subscribers, spread over the channels, and waits until all are ready.
func (f *fleet) open(ctx context.Context, n, channels int) error {
	for i := 0; f.ready < n; {
		for ; i < n && i-f.ready < connectAtOnce; i++ {
			if err := f.dial(f.reader, f.server.addr, i%channels); err != nil {
				return err
			}
		}
		if err := f.progress(ctx); err != nil {
			return fmt.Errorf("client %d of %d: %w", f.ready+1, n, err)
		}
	}
	return nil
}

// openPublisher connects one more, which publishes.
func (f *fleet) openPublisher(ctx context.Context, r role) (*link, error) {
	want := f.ready + 1
	to := f.server.addr
	if r == worker {
		to = f.server.redis.addr
	}
	if err := f.dial(r, to, 0); err != nil {
		return nil, err
	}
	l := &f.links[len(f.links)-1]
	for f.ready < want {
		if err := f.progress(ctx); err != nil {
			return nil, fmt.Errorf("publisher: %w", err)
		}
	}
	return l, nil
}

// stuck is how long nothing may happen while connections are being made.
const stuck = 20 * time.Second

func (f *fleet) progress(ctx context.Context) error {
	before, since := f.ready, time.Now()
	for f.ready == before {
		if err := f.poll(100 * time.Millisecond); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if f.answers.problem != "" {
			return errors.New(f.answers.problem)
		}
		if time.Since(since) > stuck {
			return fmt.Errorf("nothing happened for %s", stuck)
		}
	}
	return nil
}

// sources is how many loopback addresses clients come from: each has some 28,000 ports.
const sources = 16

func (f *fleet) dial(r role, to netip.AddrPort, channel int) error {
	var source netip.Addr
	slot := len(f.links)
	if to.Addr().Is4() && to.Addr().IsLoopback() && r != publisher && r != worker {
		source = netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + slot%sources)})
	}
	fd, err := dialSocket(to, source)
	if err != nil {
		return err
	}
	f.links = append(f.links, link{fd: fd, slot: slot, role: r, channel: channel})
	return f.poller.add(fd, slot, true)
}

// poll handles what the sockets have, after waiting at most timeout for the first.
func (f *fleet) poll(timeout time.Duration) error {
	err := f.poller.wait(timeout, func(r readiness) {
		l := &f.links[r.slot]
		switch {
		case l.phase == closed:
			return
		case l.phase == dialing:
			f.dialled(l)
			return
		case r.room && len(l.out) > 0:
			f.drain(l)
		}
		if r.readable && l.phase != closed {
			f.receive(l)
		}
	})
	if err != nil {
		return err
	}
	if f.lost > 0 {
		return fmt.Errorf("%w: %w", errDown, f.trouble)
	}
	return nil
}

// dialled begins to talk on a new connection.
func (f *fleet) dialled(l *link) {
	err := socketError(l.fd)
	if err == nil {
		err = f.poller.change(l.fd, l.slot, false)
	}
	if err != nil {
		f.lose(l, err)
		return
	}
	if l.role == worker {
		l.phase = upgrading
		f.greetRedis(l)
		return
	}
	l.phase = upgrading
	if l.role == polling || l.role == streaming {
		f.ask(l)
		return
	}
	f.send(l, f.server.request())
}

// consume handles the whole frames at the front of b and returns how long they are.
func (f *fleet) consume(l *link, b []byte) (used int, err error) {
	switch l.role {
	case worker:
		return f.consumeReplies(l, b)
	case polling, streaming:
		return f.consumeHTTP(l, b, time.Now().UnixNano())
	case subscriber, publisher:
	}
	if l.phase == upgrading {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return 0, nil
		}
		if !bytes.HasPrefix(b, []byte("HTTP/1.1 101")) {
			return 0, fmt.Errorf("the server does not upgrade: %.200q", b[:end])
		}
		used = end + 4
		l.phase = connecting
		f.sendFrame(l, opText, f.server.connect())
	}
	now := time.Now().UnixNano()
	for l.phase != closed {
		op, payload, size, err := nextFrame(b[used:])
		if err != nil || size == 0 {
			return used, err
		}
		used += size
		switch op {
		case opText:
			f.message(l, payload, now)
		case opPing:
			f.sendFrame(l, opPong, payload)
		case opClose:
			return used, fmt.Errorf("the server closed: %q", payload)
		}
	}
	return used, nil
}

var (
	eventOpen   = []byte(`[{"type":"event"`)
	pingMessage = []byte(`[{"type":"ping"}]`)
	pongFrame   = []byte(`{"type":"pong"}`)
	connected   = []byte(`"type":"connected"`)
	subscribed  = []byte(`"type":"subscribed"`)
	resetType   = []byte(`"type":"reset"`)
	errorType   = []byte(`"type":"error"`)
)

// message handles one message.
func (f *fleet) message(l *link, payload []byte, now int64) {
	if l.phase == ready && bytes.HasPrefix(payload, eventOpen) {
		f.meter.count(l, payload, now)
		return
	}
	switch {
	case bytes.Equal(payload, pingMessage):
		f.sendFrame(l, opText, pongFrame)
		return
	case bytes.Contains(payload, errorType):
		f.answers.refused++
		if f.answers.problem == "" {
			f.answers.problem = fmt.Sprintf("the server answered %.300s", payload)
		}
	case bytes.Contains(payload, resetType):
		f.meter.resets++
	}
	switch {
	case l.phase == connecting && bytes.Contains(payload, connected):
		if l.role == publisher || !f.subscribe {
			l.phase = ready
			f.ready++
			return
		}
		f.askFor(l)
	case l.phase == subscribing && bytes.Contains(payload, subscribed):
		l.phase = ready
		f.ready++
		f.meter.count(l, payload, now) // a replay may begin in the same message
	case l.role == publisher:
		f.acknowledged(payload, now)
	case l.phase == ready:
		f.meter.count(l, payload, now)
	}
}

// askFor subscribes a connection to its channel, after the fleet's cursor if it has one.
func (f *fleet) askFor(l *link) {
	l.phase = subscribing
	f.text = append(f.text[:0], `{"type":"subscribe","id":2,"channels":[{"channel":"`...)
	f.text = append(f.text, channelName(l.channel)...)
	if f.cursor != "" {
		f.text = append(f.text, `","cursor":"`...)
		f.text = append(f.text, f.cursor...)
	}
	f.text = append(f.text, `"}]}`...)
	f.sendFrame(l, opText, f.text)
}

var publishedID = []byte(`"type":"published","id":`)

// acknowledged takes the answers to publishes in a message.
func (f *fleet) acknowledged(b []byte, now int64) {
	for {
		i := bytes.Index(b, publishedID)
		if i < 0 {
			return
		}
		b = b[i+len(publishedID):]
		end := bytes.IndexByte(b, ',')
		if end < 0 {
			return
		}
		if f.answers.acked++; f.answers.acked == 1 {
			f.answers.cursor = firstCursor(b)
		}
		if f.answers.onAck != nil {
			if id, err := strconv.ParseInt(string(b[:end]), 10, 64); err == nil {
				f.answers.onAck(id, now)
			}
		}
	}
}

func firstCursor(answer []byte) string {
	_, rest, ok := bytes.Cut(answer, []byte(`"cursor":"`))
	if !ok {
		return ""
	}
	cursor, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(cursor)
}

// connectFrame is the first frame of a client.
func connectFrame(token string) []byte {
	b, err := json.Marshal(struct {
		Type  string `json:"type"`
		ID    int    `json:"id"`
		Token string `json:"token,omitempty"`
	}{"connect", 1, token})
	if err != nil {
		panic(err) // strings and a number
	}
	return b
}
