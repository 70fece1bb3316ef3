package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

var (
	_ inspect.Local   = (*Gateway)(nil)
	_ inspect.Drainer = (*Gateway)(nil)
)

// Overview implements inspect.Local.
func (g *Gateway) Overview() inspect.Overview {
	n, h := &g.counters, g.hub.Counters()
	ready, reason := g.Ready()
	o := inspect.Overview{
		Gateway: g.options.ID, Version: g.options.Version, Start: g.started, Now: time.Now(),
		Ready: ready, Reason: reason, Draining: g.draining.Load(),
		RoundTripUS: g.hub.HealthNow().RoundTrip.Microseconds(),
		Connections: g.Connections(), Sessions: int(g.live.Load()), Subscriptions: int(g.subscriptions.Load()),
		Accepted: n.Accepted.Load(), Refused: n.Refused.Load(), Commands: n.Commands.Load(),
		BadFrames: n.BadFrames.Load(), Published: n.Published.Load(), Delivered: n.Events.Load(),
		Skipped: n.Skipped.Load(), Messages: n.Messages.Load(), Bytes: n.Bytes.Load(), Resets: n.Resets.Load(),
		Resumed: n.Resumed.Load(), SlowConsumers: n.SlowConsumers.Load(), Panics: n.Panics.Load(),
		Repairs: h.Repairs.Load(), Invalid: h.Invalid.Load(),
	}
	g.hub.Each(func(*relay.Relay) { o.Channels++ })
	return o
}

// Channels implements inspect.Local.
func (g *Gateway) Channels(prefix, after string, limit int) []inspect.Channel {
	readers := map[string]int{}
	for _, f := range g.flushers {
		f.ask(func() {
			for _, t := range f.byRelay {
				readers[t.relay.Channel()] += len(t.subs)
			}
		})
	}
	var out []inspect.Channel
	g.hub.Each(func(r *relay.Relay) {
		if name := r.Channel(); name > after && strings.HasPrefix(name, prefix) {
			out = append(out, inspect.Channel{
				Channel: name, Head: r.Head().String(), Subscribers: readers[name], LastEvent: r.LastEvent(),
			})
		}
	})
	slices.SortFunc(out, func(a, b inspect.Channel) int { return strings.Compare(a.Channel, b.Channel) })
	return out[:min(len(out), max(limit, 0))]
}

// each calls visit in the flushers' goroutines for every connection with a session, and waits for that.
func (g *Gateway) each(visit func(*conn)) {
	for _, f := range g.flushers {
		f.ask(func() {
			for _, c := range f.conns {
				if c.session.principal.Load() != nil {
					visit(c)
				}
			}
		})
	}
}

// Sessions implements inspect.Local.
func (g *Gateway) Sessions(user string) []inspect.Session {
	var out []inspect.Session
	g.each(func(c *conn) {
		if p := c.session.principal.Load(); p.User == user {
			out = append(out, c.inspect())
		}
	})
	slices.SortFunc(out, func(a, b inspect.Session) int { return a.Since.Compare(b.Since) })
	return out
}

// inspect describes the connection. It is called in the flusher's goroutine.
func (c *conn) inspect() inspect.Session {
	p := c.session.principal.Load()
	out := inspect.Session{
		User: p.User, Session: c.session.id, Transport: string(c.transport),
		Since: c.flusher.wall(c.since), LastSeen: c.flusher.wall(c.lastRead.Load()),
		Remote: c.remote, UserAgent: c.agent, Expires: p.Expires,
	}
	for _, sub := range c.attached() {
		head := sub.relay.Head()
		var behind uint64
		if head.Offset > sub.pos.Cursor.Offset {
			behind = head.Offset - sub.pos.Cursor.Offset
		}
		out.Subscriptions = append(out.Subscriptions, inspect.Subscription{
			Channel: sub.channel, Since: c.flusher.wall(sub.since), From: sub.from.String(),
			Cursor: sub.pos.Cursor.String(), Behind: behind,
		})
	}
	return out
}

// attached returns the subscriptions that are being served. It is called in the flusher's goroutine.
func (c *conn) attached() []*subscription {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	var out []*subscription
	for _, sub := range c.session.subs {
		if sub.tap != nil {
			out = append(out, sub)
		}
	}
	return out
}

// Disconnect implements inspect.Local.
func (g *Gateway) Disconnect(user, session string) int {
	n := 0
	g.each(func(c *conn) {
		if p := c.session.principal.Load(); p.User == user && c.session.id == session {
			n++
			c.shut(wire.CloseRestart, "disconnected by an operator")
		}
	})
	return n
}

// Explain implements inspect.Local.
func (g *Gateway) Explain(ctx context.Context, user, channel string, cursor broker.Cursor) []inspect.Trace {
	var out []inspect.Trace
	connected := false
	g.each(func(c *conn) {
		if p := c.session.principal.Load(); p.User != user || c.transport == transportCommands {
			return
		}
		connected = true
		out = append(out, c.explain(channel, cursor))
	})
	for _, rec := range g.traces.find(user, channel) {
		if t, ok := rec.explain(cursor); ok {
			out = append(out, t)
		}
	}
	if !connected && len(out) == 0 {
		out = append(out, inspect.Trace{Outcome: inspect.NotConnected, Time: time.Now()})
	}
	for i := range out {
		out[i].Gateway = g.options.ID
		if out[i].Outcome == inspect.Delivered {
			g.refine(ctx, &out[i], channel, cursor)
		}
	}
	return out
}

// explain says what a live session knows of an event. It is called in the flusher's goroutine.
func (c *conn) explain(channel string, cursor broker.Cursor) inspect.Trace {
	t := inspect.Trace{Session: c.session.id, Time: time.Now(), Outcome: inspect.NotSubscribed}
	for _, sub := range c.attached() {
		if sub.channel != channel {
			continue
		}
		switch at := sub.pos.Cursor; {
		case cursor.Offset <= sub.from.Offset:
			t.Outcome, t.Time = inspect.NotCovered, c.flusher.wall(sub.since)
			t.Detail = "the subscription began after it, at " + sub.from.String()
		case cursor.Offset <= at.Offset:
			t.Outcome = inspect.Delivered
			t.Detail = fmt.Sprintf("written to the socket; subscribed at %s from %s",
				c.flusher.wall(sub.since).UTC().Format(time.RFC3339), sub.from)
		default:
			t.Outcome, t.Detail = inspect.Pending, "the session has come as far as "+at.String()
		}
	}
	return t
}

func (rec *record) explain(cursor broker.Cursor) (inspect.Trace, bool) {
	t := inspect.Trace{Session: rec.session, Outcome: rec.outcome, Time: rec.end, Detail: rec.detail}
	switch rec.outcome {
	case inspect.Forbidden:
		return t, true
	case inspect.ResetOver:
		return t, cursor.Offset > rec.from.Offset && cursor.Offset <= rec.to.Offset
	default:
		if cursor.Offset <= rec.from.Offset || cursor.Offset > rec.to.Offset {
			t.Outcome = inspect.NotCovered
			t.Detail = fmt.Sprintf("subscribed from %s to %s, until %s",
				rec.from, rec.to, rec.end.UTC().Format(time.RFC3339))
		}
		return t, true
	}
}

// refine tells a delivered event from one that was accounted for without delivery: it failed validation,
// or its namespace delivers the latest only and a later event of the subject may have replaced it.
func (g *Gateway) refine(ctx context.Context, t *inspect.Trace, channel string, cursor broker.Cursor) {
	page, err := g.options.Broker.Read(ctx, channel, broker.ReadRequest{From: cursor.Offset, Limit: 1})
	if err != nil || len(page.Entries) == 0 || page.Entries[0].Cursor.Offset != cursor.Offset || page.Entries[0].Genesis() {
		return
	}
	env, bad := g.check(channel, page.Entries[0].Event)
	switch {
	case bad != nil:
		t.Outcome, t.Detail = inspect.Skipped, bad.Path+" "+bad.Message
	case g.options.Namespaces.For(channel).Delivery == namespace.DeliverLatest && env.Subject != "" && !g.options.Registry.Terminal(env.Type):
		t.Detail += "; the namespace delivers the latest of each subject, so a later event of " + env.Subject + " may have replaced it"
	}
}
