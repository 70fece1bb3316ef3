package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// streamRequest is what a poll or an event stream asks for, checked as far as that needs no store.
type streamRequest struct {
	wire.StreamRequest
	principal *auth.Principal
	wait      time.Duration
	places    []place // ordered by channel; known where the request names a cursor
}

// maxStreamBody bounds the body of a request: 1,000 channels with all they may say.
const maxStreamBody = 512 << 10

// readStream reads the request of a poll or an event stream: its query, or a body that says the same.
func (g *Gateway) readStream(e echo.Context) (*streamRequest, error) {
	p, err := g.authorise(e)
	if err != nil {
		return nil, err
	}
	r := &streamRequest{principal: p}
	if e.Request().Method == http.MethodPost {
		err = readRequest(e, maxStreamBody, &r.StreamRequest)
	} else {
		setReadDeadline(e, time.Time{}) // whatever body it has is not read
		err = r.fromQuery(newQuery(e.Request()))
	}
	if err == nil {
		err = r.check(g.options.Limits.Subscriptions)
	}
	if err != nil {
		return nil, err
	}
	r.principal = p.Of(r.Session)
	return r, nil
}

// readRequest reads a JSON body of at most limit bytes.
func readRequest(e echo.Context, limit int64, into any) error {
	body, err := readBody(e, limit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) && kind.Field != "" {
			return &wire.Error{
				Code: wire.CodeInvalidRequest, Message: kind.Field + ": is of the wrong kind",
				Path: "/" + strings.ReplaceAll(kind.Field, ".", "/"),
			}
		}
		return wire.Errorf(wire.CodeInvalidRequest, "the request body is not a JSON object")
	}
	return nil
}

// fromQuery reads `channel=NAME`, `channel=NAME@CURSOR` or `channel=NAME@TIME` (repeated), `presence=NAME`
// or `presence=NAME@VERSION` (repeated), `session`, `cursors` and `wait_ms`.
func (r *streamRequest) fromQuery(q *query) error {
	r.Session, _ = q.get("session")
	r.Cursors, _ = q.get("cursors")
	for _, v := range q.values["channel"] {
		name, at, found := strings.Cut(v, "@")
		c := wire.StreamChannel{Channel: name}
		switch {
		case !found:
		case at == "":
			q.fail(wire.CodeInvalidCursor, "channel: after @ there must be a cursor or a time")
		case strings.ContainsAny(at, "T:"):
			c.Since = at
		default:
			c.Cursor = at
		}
		r.Channels = append(r.Channels, c)
	}
	for _, v := range q.values["presence"] {
		if !r.watch(strings.Cut(v, "@")) {
			q.fail(wire.CodeInvalidRequest, "presence: must name one of the channels, and may name a version of its members")
		}
	}
	if v, given := q.get("wait_ms"); given {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			q.fail(wire.CodeInvalidRequest, "wait_ms: must be a number of milliseconds")
		}
		r.WaitMS = &n
	}
	if q.err != nil {
		return q.err
	}
	return nil
}

// watch has the members of a channel told too, and reports whether that can be.
func (r *streamRequest) watch(channel, version string, versioned bool) bool {
	var known *uint64
	if versioned {
		n, err := strconv.ParseUint(version, 10, 64)
		if err != nil {
			return false
		}
		known = &n
	}
	found := false
	for i := range r.Channels {
		if r.Channels[i].Channel == channel {
			r.Channels[i].Presence, r.Channels[i].Members, found = true, known, true
		}
	}
	return found
}

// check refuses what makes the whole request useless; what is wrong with one channel is answered for it.
func (r *streamRequest) check(most int) error {
	bad := func(message, path string) error {
		return &wire.Error{Code: wire.CodeInvalidRequest, Message: message, Path: path}
	}
	wait := int64(wire.DefaultWaitMS)
	if r.WaitMS != nil {
		wait = *r.WaitMS
	}
	switch {
	case len(r.Channels) == 0:
		return bad("channels: at least one is required", "/channels")
	case len(r.Channels) > most || len(r.Present) > most:
		return &wire.Error{
			Code: wire.CodeTooManySubscriptions, Message: "channels: more than " + strconv.Itoa(most), Path: "/channels",
		}
	case wait < 0 || wait > wire.MaxWaitMS:
		return bad("wait_ms: must be from 0 to "+strconv.Itoa(wire.MaxWaitMS), "/wait_ms")
	case len(r.Session) > wire.MaxSessionLen:
		return bad("session: is too long", "/session")
	case r.Session == "" && len(r.Present) > 0:
		return bad("session: is required for presence", "/session")
	}
	r.wait = time.Duration(wait) * time.Millisecond
	r.places = make([]place, len(r.Channels))
	for i := range r.Channels {
		c := &r.Channels[i]
		r.places[i] = place{
			channel: c.Channel, since: c.Since, presence: c.Presence, members: c.Members,
			refused: events.ValidateChannel(c.Channel) != nil,
		}
	}
	sortPlaces(r.places)
	for i := 1; i < len(r.places); i++ {
		if r.places[i].channel == r.places[i-1].channel {
			return &wire.Error{
				Code: wire.CodeInvalidRequest, Message: "channels: one is named twice", Path: "/channels",
				Channel: clip(r.places[i].channel),
			}
		}
	}
	return r.locate()
}

// locate gives the places their cursors, and the channels those of the composite.
func (r *streamRequest) locate() error {
	if r.Cursors != "" {
		if err := parseCursors(r.Cursors, r.places); err != nil {
			return &wire.Error{
				Code: wire.CodeInvalidCursor, Message: "cursors: " + err.Error() + " of these channels", Path: "/cursors",
			}
		}
	}
	for i := range r.Channels {
		c := &r.Channels[i]
		at := findPlace(r.places, c.Channel)
		switch {
		case c.Cursor != "":
			cursor, err := broker.ParseCursor(c.Cursor)
			at.cursor, at.known = cursor, err == nil // what is wrong with it is answered for the channel
		case c.Since != "":
			at.known = false
		case at.known:
			c.Cursor = at.cursor.String()
		}
	}
	return nil
}

// resume has the request go on after a composite where that has cursors, whatever it says itself.
func (r *streamRequest) resume(cursors string) error {
	at := make([]place, len(r.places))
	for i := range at {
		at[i].channel = r.places[i].channel
	}
	if err := parseCursors(cursors, at); err != nil {
		return wire.Errorf(wire.CodeInvalidCursor, "Last-Event-ID: "+err.Error()+" of these channels")
	}
	for i := range r.Channels {
		c := &r.Channels[i]
		if from := findPlace(at, c.Channel); from.known {
			c.Cursor, c.Since = from.cursor.String(), ""
			to := findPlace(r.places, c.Channel)
			to.cursor, to.known = from.cursor, true
		}
	}
	return nil
}

// located reports whether the request names what the client has: a cursor, or members that may have changed.
func (r *streamRequest) located() bool {
	return slices.ContainsFunc(r.Channels, func(c wire.StreamChannel) bool { return c.Cursor != "" || c.Since != "" || c.Presence })
}

// frame returns the request's channels as a `subscribe`.
func (r *streamRequest) frame() *wire.ClientFrame {
	f := &wire.ClientFrame{Type: wire.TypeSubscribe, Channels: make([]wire.ChannelRequest, len(r.Channels))}
	for i := range r.Channels {
		c := &r.Channels[i]
		f.Channels[i] = wire.ChannelRequest{
			Channel: c.Channel, Cursor: c.Cursor, Since: c.Since, Presence: c.Presence, Members: c.Members,
		}
	}
	return f
}
