package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// transport is one of the ways to read. What a case says of delivery holds for each of them.
type transport struct {
	name string
	open func(f *feed) source
}

// source brings the frames of one reader, in order.
type source interface {
	// frames waits for the next ones. Its error is how the transport refused, or ended.
	frames() ([]wire.Frame, error)
	// composite is that of the last frames, "" where the transport has none.
	composite() string
	close()
}

var (
	polls      = transport{"poll", openPolls}
	transports = []transport{{"websocket", openSocket}, {"sse", openStream}, polls}
)

// over runs a case over every transport.
func over(t *testing.T, test func(t *testing.T, by transport)) {
	t.Helper()
	t.Parallel()
	for _, by := range transports {
		t.Run(by.name, func(t *testing.T) {
			t.Parallel()
			test(t, by)
		})
	}
}

// feed is a reader over one transport. It sees every frame about its channels, and holds each against the
// ones before it.
type feed struct {
	t       testing.TB
	rig     *rig
	user    string
	session string
	token   string
	asked   []wire.StreamChannel
	resume  string // a composite to go on after, in place of cursors; "" for none
	receive int    // about the bytes that its socket takes before it reads; 0: the system's
	source  source
	queue   []wire.Frame
	at      positions
}

// read opens a reader of channels for user.
func (by transport) read(r *rig, user string, p *auth.Permissions, channels ...wire.StreamChannel) *feed {
	r.t.Helper()
	return by.readWith(r, &feed{user: user, token: r.token(user, p), asked: channels})
}

// readWith opens a reader as far as it is described.
func (by transport) readWith(r *rig, f *feed) *feed {
	r.t.Helper()
	f.t, f.rig, f.at = r.t, r, positionsOf(f.asked)
	if f.resume != "" {
		at, err := gateway.CursorsOf(f.resume, names(f.asked))
		require.NoError(r.t, err)
		f.at = at
	}
	if f.session == "" {
		f.session = "s-" + f.user
	}
	f.source = by.open(f)
	r.t.Cleanup(f.close)
	return f
}

func (f *feed) close() { f.source.close() }

// tryNext returns the next frame, or how the reader ended.
func (f *feed) tryNext() (wire.Frame, error) {
	f.t.Helper()
	for len(f.queue) == 0 {
		frames, err := f.source.frames()
		if err != nil {
			return wire.Frame{}, err
		}
		f.queue = frames
	}
	x := f.queue[0]
	f.queue = f.queue[1:]
	return x, f.at.take(x)
}

func (f *feed) next() wire.Frame {
	f.t.Helper()
	x, err := f.tryNext()
	require.NoError(f.t, err)
	return x
}

// expect returns the next frame, which must be of a type.
func (f *feed) expect(kind string) wire.Frame {
	f.t.Helper()
	x := f.next()
	require.Equal(f.t, kind, x.Type, "%+v", x)
	return x
}

// expectError returns the next frame, which must be an error with a code.
func (f *feed) expectError(code wire.Code) wire.Frame {
	f.t.Helper()
	x := f.expect("error")
	require.Equal(f.t, code, x.Code, x.Message)
	return x
}

// collect reads n events, none of which may be left out.
func (f *feed) collect(n int) (last broker.Cursor) {
	f.t.Helper()
	for range n {
		x := f.expect("event")
		require.Zero(f.t, x.Skipped)
		last = *x.Cursor
	}
	return last
}

// until reads until a channel is at a cursor, and returns how many events came and how many were skipped.
func (f *feed) until(channel string, end broker.Cursor) (delivered, skipped uint64) {
	f.t.Helper()
	for f.at[channel] != end {
		x := f.next()
		skipped += x.Skipped
		if x.Type == "event" {
			delivered++
		}
	}
	return delivered, skipped
}

// ending reads to the reader's end. It returns the last frame before that, and what ended it.
func (f *feed) ending() (last wire.Frame, err error) {
	f.t.Helper()
	for {
		x, err := f.tryNext()
		if err != nil {
			return last, err
		}
		last = x
	}
}

// here returns what a reader that goes on after this one asks for, whatever its transport.
func (f *feed) here() []wire.StreamChannel {
	out := make([]wire.StreamChannel, len(f.asked))
	for i, c := range f.asked {
		out[i] = wire.StreamChannel{Channel: c.Channel, Presence: c.Presence}
		if at, known := f.at[c.Channel]; known {
			out[i].Cursor = at.String()
		}
	}
	return out
}

// now, after and since are what can be asked for of a channel.
func now(channel string) wire.StreamChannel { return wire.StreamChannel{Channel: channel} }

func after(channel string, c broker.Cursor) wire.StreamChannel {
	return wire.StreamChannel{Channel: channel, Cursor: c.String()}
}

func since(channel string, t time.Time) wire.StreamChannel {
	return wire.StreamChannel{Channel: channel, Since: t.UTC().Format(time.RFC3339Nano)}
}

// names returns the names of channels.
func names(channels []wire.StreamChannel) []string {
	out := make([]string, len(channels))
	for i := range channels {
		out[i] = channels[i].Channel
	}
	return out
}

// positions are where a reader stands in its channels.
type positions map[string]broker.Cursor

// positionsOf returns the positions that a request names itself.
func positionsOf(channels []wire.StreamChannel) positions {
	p := positions{}
	for _, c := range channels {
		if at, err := broker.ParseCursor(c.Cursor); err == nil {
			p[c.Channel] = at
		}
	}
	return p
}

// take moves on with a frame, which must join on to the ones before it: the offset of an event is that of
// the last, plus 1, plus what was skipped. The first entry of a stream opens it and is not delivered.
func (p positions) take(f wire.Frame) error {
	at, known := p[f.Channel]
	wanted := max(at.Offset, 1) + f.Skipped
	switch f.Type {
	case "subscribed", "reset":
		p[f.Channel] = *f.Cursor
		return nil
	case "event":
		wanted++
	case "skip":
	default:
		return nil
	}
	if !known || f.Cursor.Offset != wanted {
		return fmt.Errorf("%s of %s at %s (skipped %d) does not join on to %s", f.Type, f.Channel, f.Cursor, f.Skipped, at)
	}
	p[f.Channel] = *f.Cursor
	return nil
}

// agree reports how a composite differs from the positions.
func (p positions) agree(composite string, channels []wire.StreamChannel) error {
	got, err := gateway.CursorsOf(composite, names(channels))
	if err != nil {
		return fmt.Errorf("%q: %w", composite, err)
	}
	for _, c := range channels {
		said, inIt := got[c.Channel]
		at, known := p[c.Channel]
		if said != at || inIt != known {
			return fmt.Errorf("of %s the composite says %v, the frames %v", c.Channel, said, at)
		}
	}
	return nil
}

// refusal is a whole request refused.
type refusal struct{ wire.Problem }

func (r refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Detail) }

// refusalOf reads the answer to a request that was refused.
func refusalOf(status int, body []byte) error {
	var p wire.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status != status {
		return fmt.Errorf("answered with %d: %.200s", status, body)
	}
	return refusal{p}
}

// smallClient is an HTTP client whose sockets take about so many bytes before they are read; 0: as many as
// the system gives them.
func (r *rig) smallClient(receive int) *http.Client {
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		if receive == 0 {
			return nil
		}
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive)
		}), err)
	}}
	return &http.Client{Transport: &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: r.roots}, ForceAttemptHTTP2: true,
	}}
}

// inTime returns a context that ends when nothing has come for long, and what must be called at the end.
func inTime() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}
