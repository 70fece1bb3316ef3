package gateway

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
)

// Tracer follows events. Its methods are called concurrently and must not block. Without one nothing is asked
// of any event.
//
// The context of a trace is in the event, as the extension attribute traceparent of CloudEvents' distributed
// tracing: that of where the trace began, which no hop changes. So a trace goes through Redis, and workers take
// part by setting the attribute.
type Tracer interface {
	// Publish begins the publish of an event. traceparent is the event's, "" for none. What it
	// returns as context becomes the event's where it has none; end is called with the outcome unless it is nil.
	Publish(channel, id, traceparent string) (context string, end func(broker.Receipt, error))
	// Delivered tells that an event whose context is sampled has been written to those who read its channel
	// at this gateway: once, however many they are.
	Delivered(d Delivery)
}

// Delivery is what became of one event at one gateway.
type Delivery struct {
	Channel, TraceParent string
	Cursor               broker.Cursor
	// Heard is when the event came from the store, Written when it had been handed to the sockets of those who
	// were ready. Who was not gets it later, or never.
	Heard, Written time.Time
	Subscribers    int
}

const traceParentName = "traceparent"

// Traced returns a broker whose publishes are followed, for what publishes beside the gateway's clients. The
// gateway follows theirs by itself.
func Traced(b broker.Broker, t Tracer) broker.Broker { return traced{b, t} }

// traced has a tracer follow what is published through a broker.
type traced struct {
	broker.Broker
	tracer Tracer
}

// Publish implements broker.Broker.
func (t traced) Publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) {
	if p.Ephemeral {
		t.Broker.Publish(ctx, p, done)
		return
	}
	has := traceParent(p.Event)
	begins, end := t.tracer.Publish(p.Channel, p.ID, has)
	if has == "" {
		p.Event = withTraceParent(p.Event, begins)
	}
	if end == nil {
		t.Broker.Publish(ctx, p, done)
		return
	}
	t.Broker.Publish(ctx, p, func(r broker.Receipt, err error) {
		end(r, err)
		done(r, err)
	})
}

// traceParent returns the attribute of an event, "" for none.
func traceParent(event []byte) string {
	if !bytes.Contains(event, []byte(`"`+traceParentName+`"`)) {
		return ""
	}
	return gjson.GetBytes(event, traceParentName).Str
}

// sampled reports whether whoever began a trace wants it recorded.
func sampled(traceParent string) bool {
	const flags = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-")
	if len(traceParent) < flags+2 {
		return false
	}
	switch c := traceParent[flags+1]; { // the lowest bit of a hexadecimal number
	case c >= '0' && c <= '9':
		return (c-'0')&1 == 1
	default:
		return (c-'a')&1 == 1
	}
}

// traceID returns the trace of a traceparent, which is valid.
func traceID(traceParent string) string {
	const from = len("00-")
	return strings.Clone(traceParent[from : from+32])
}

// withTraceParent returns an event with the attribute, the same bytes where it has no room or there is none
// to set. The event has no such attribute.
func withTraceParent(event []byte, value string) []byte {
	const open = `{"` + traceParentName + `":"`
	size := len(event) + len(open) + len(value) + 1
	if value == "" || len(event) < 3 || event[0] != '{' || event[1] == '}' || size > events.MaxEventBytes {
		return event
	}
	out := append(make([]byte, 0, size), open...)
	out = append(append(out, value...), '"', ',')
	return append(out, event[1:]...)
}

// carryTrace gives the events of a request that have no trace context the one of the request's header. One
// that is malformed is not carried, as W3C Trace Context asks.
func carryTrace(h http.Header, items []publishItem) {
	values := h.Values(traceParentName)
	if len(values) != 1 || !events.ValidTraceParent(values[0]) {
		return
	}
	for i := range items {
		item := &items[i]
		item.event = bytes.TrimSpace(item.event)
		if item.bad == nil && gjson.ValidBytes(item.event) && !gjson.GetBytes(item.event, traceParentName).Exists() {
			item.event = withTraceParent(item.event, values[0])
		}
	}
}

// follow has the tracer told when an entry that a relay has just taken in has been written here. Only events
// whose context is sampled cost more than a look.
func (g *Gateway) follow(channel string, e broker.Entry) {
	parent := traceParent(e.Event)
	if !sampled(parent) || !events.ValidTraceParent(parent) {
		return
	}
	d := Delivery{Channel: channel, TraceParent: parent, Cursor: e.Cursor, Heard: time.Now()}
	var left, subscribers atomic.Int64
	left.Store(int64(len(g.flushers)))
	end := func() {
		if left.Add(-1) > 0 {
			return
		}
		if d.Written, d.Subscribers = time.Now(), int(subscribers.Load()); d.Subscribers > 0 {
			g.options.Tracer.Delivered(d)
			g.tally.lagged(Exemplar{
				Value:   max(d.Written.Sub(time.UnixMicro(int64(d.Cursor.Stamp))), 0).Seconds(), //nolint:gosec // a stamp fits
				TraceID: traceID(parent), At: d.Written,
			})
		}
	}
	for _, f := range g.flushers {
		f.call(func() {
			t := f.byRelay[channel]
			if t == nil {
				end()
				return
			}
			subscribers.Add(int64(len(t.subs)))
			// Calls come first in a pass, and what is new is written at its end. The readers are woken after this
			// call was made, so that the event may be written in the pass after this one.
			after := func() { f.call(func() { f.call(end) }) }
			if wait := t.lastFlush + t.flush - f.pass; wait > 0 {
				time.AfterFunc(time.Duration(wait), after)
				return
			}
			after()
		})
	}
}
