package gateway

import (
	"bytes"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/internal/vet"
	"github.com/tallywire/tallywire/namespace"
)

// publish handles `publish`. It does not wait for the store: the answer follows, and the next publish
// of the connection is appended after this one.
func (s *session) publish(f *wire.ClientFrame) {
	g, c := s.conn.gateway, s.conn
	p, bad := g.prepare(s.principal.Load(), f.Channel, f.Event, f.Ack)
	if bad != nil {
		s.fail(f.ID, bad)
		return
	}
	if p.ID == "" && s.batch != "" {
		p.ID = "tallywire/" + s.principal.Load().User + "/" + s.batch + "/" + strconv.Itoa(s.nth)
	}
	id := append([]byte(nil), f.ID...)
	c.begin(1)
	g.options.Broker.Publish(background(), p, func(r broker.Receipt, err error) {
		if err == nil {
			g.counters.Published.Add(1)
		}
		c.end(func(b []byte) []byte {
			if err != nil {
				return wire.AppendError(b, id, storeError(err))
			}
			return wire.AppendPublished(b, id, r)
		})
	})
}

// signal handles `signal`: an event for those who listen now. It is answered only when it fails, or
// when it has an id.
func (s *session) signal(f *wire.ClientFrame) {
	g, c := s.conn.gateway, s.conn
	p, bad := g.prepare(s.principal.Load(), f.Channel, f.Event, "")
	if bad != nil {
		s.fail(f.ID, bad)
		return
	}
	p.ID, p.Ephemeral = "", true
	id := append([]byte(nil), f.ID...)
	c.begin(1)
	g.options.Broker.Publish(background(), p, func(r broker.Receipt, err error) {
		switch {
		case err != nil:
			c.end(func(b []byte) []byte { return wire.AppendError(b, id, storeError(err)) })
		case len(id) > 0:
			c.end(func(b []byte) []byte { return wire.AppendPublished(b, id, r) })
		default:
			c.endQuietly()
		}
	})
}

// prepare validates and authorises a publish, whatever transport it came by. The publication does not
// share memory with raw.
func (g *Gateway) prepare(who *auth.Principal, channel string, raw []byte, ack string) (broker.Publication, *wire.Error) {
	var p broker.Publication
	if err := events.ValidateChannel(channel); err != nil {
		return p, &wire.Error{Code: wire.CodeInvalidChannel, Message: err.Error(), Path: "/channel", Channel: clip(channel)}
	}
	if !who.May(auth.Publish, channel) {
		return p, &wire.Error{
			Code: wire.CodeForbidden, Message: "the token does not allow to publish to this channel", Channel: clip(channel),
		}
	}
	switch namespace.Ack(ack) {
	case "", namespace.AckStored, namespace.AckReplicated:
		p.Ack = namespace.Ack(ack)
	default:
		return p, &wire.Error{Code: wire.CodeInvalidFrame, Message: "ack: must be stored or replicated", Path: "/ack"}
	}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 {
		return p, &wire.Error{Code: wire.CodeInvalidEvent, Message: "event: is required", Path: ""}
	}
	env, bad := g.check(channel, raw)
	if bad != nil {
		return p, bad
	}
	p.Channel, p.Vetted = clip(channel), true
	if p.Event = withSource(raw, env, who); len(p.Event) > events.MaxEventBytes {
		return p, &wire.Error{
			Code: wire.CodeInvalidEvent, Message: "too large with the source that the gateway adds", Channel: p.Channel,
		}
	}
	if env.ID != "" {
		source := env.Source
		if source == "" {
			source = who.User
		}
		p.ID = source + "/" + env.ID
	}
	return p, nil
}

// check validates an event for a channel.
func (g *Gateway) check(channel string, raw []byte) (events.Envelope, *wire.Error) {
	env, err := vet.Event(raw, g.options.Namespaces.For(channel), g.options.Registry)
	if err == nil {
		return env, nil
	}
	e := invalidEvent(err)
	e.Channel = clip(channel)
	return env, e
}

// withSource returns a copy of an event, with the publisher as its source when it names none: who
// published what stays visible in the log.
func withSource(raw []byte, env events.Envelope, who *auth.Principal) []byte {
	if env.Source != "" {
		return append([]byte(nil), raw...)
	}
	out := make([]byte, 0, len(raw)+len(who.User)+16)
	if bytes.Contains(raw, []byte(`"source"`)) { // perhaps null, which stands for none; a name occurs once
		if null := gjson.GetBytes(raw, "source"); null.Exists() {
			out = append(out, raw[:null.Index]...)
			out = wire.AppendString(out, who.User)
			return append(out, raw[null.Index+len(null.Raw):]...)
		}
	}
	out = append(out, `{"source":`...)
	out = wire.AppendString(out, who.User)
	out = append(out, ',')
	return append(out, raw[1:]...) // a valid event has at least its type
}
