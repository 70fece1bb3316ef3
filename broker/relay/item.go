package relay

import (
	"errors"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/internal/vet"
)

// item is an entry, checked and encoded. It is immutable.
type item struct {
	cursor broker.Cursor
	prev   uint64
	// frame is the event frame without its closing brace; nil for an entry that is not delivered.
	frame []byte
	// alone is the message that holds just this event, and framed the same with the transport's header: most
	// readers that keep up get one event at a time. They share the frame's memory.
	alone, framed []byte

	subject string
	kind    kind
	// skipped is how many published events this item stands for without delivering them: 1 for an
	// invalid event, 0 for the genesis entry.
	skipped uint64
	// bad says why the event is not delivered, until it has been buried.
	bad *badEvent
}

// badEvent is an event that failed validation.
type badEvent struct {
	event []byte
	cause error
}

type kind uint8

const (
	kindEvent    kind = iota
	kindTerminal      // an event that a `latest` namespace never conflates away
	kindNone          // genesis, or an event that failed validation
)

// size is what the item costs in memory, in bytes, roughly.
func (it *item) size() int { return len(it.frame) + len(it.subject) + 96 }

// Checker validates events on arrival. *events.Registry is one.
type Checker interface {
	Check(env events.Envelope, raw []byte) error
	Terminal(eventType string) bool
}

// encode checks an entry and encodes its frame.
func (r *Relay) encode(e broker.Entry) item {
	it := item{cursor: e.Cursor, prev: e.Prev, kind: kindNone}
	if e.Genesis() {
		return it
	}
	env, terminal, err := r.vet(e)
	if err != nil {
		it.skipped = 1
		it.bad = &badEvent{event: e.Event, cause: err}
		return it
	}
	it.kind = kindEvent
	if r.latest {
		it.subject = env.Subject
		if env.Subject == "" || terminal {
			it.kind = kindTerminal
		}
	}
	event := events.Compact(e.Event)
	buf := make([]byte, headroom, headroom+len(event)+len(r.channel)+92)
	buf = wire.AppendEventOpen(append(buf, '['), r.channel, e.Cursor, event)
	it.frame = buf[headroom+1:]
	buf = append(wire.AppendEventClose(buf, 0), ']')
	it.alone = buf[headroom:]
	if framing := r.hub.options.Framing; framing != nil {
		it.framed = buf[headroom-framing(buf[:headroom], len(it.alone)):]
	}
	return it
}

// vet validates an event.
func (r *Relay) vet(e broker.Entry) (env events.Envelope, terminal bool, err error) {
	if e.Vetted && !r.latest {
		return env, false, nil // by the gateway that this relay belongs to, and no more is asked of it
	}
	if env, err = vet.Event(e.Event, r.namespace, r.hub.options.Checker); err != nil {
		return env, false, err //nolint:wrapcheck // the reason of a dead letter, as it is
	}
	return env, r.latest && r.hub.options.Checker.Terminal(env.Type), nil
}

// maxBuried bounds what a relay remembers of the events that it has buried; a page that is read again
// much later may bury one twice, which the dead letters sort out.
const maxBuried = 256

// buryLocked hands an undeliverable event to the dead letters, once, without waiting for them.
func (r *Relay) buryLocked(it *item) {
	bad := it.bad
	if bad == nil {
		return
	}
	it.bad = nil
	if _, done := r.buried[it.cursor]; done {
		return
	}
	if r.buried == nil || len(r.buried) >= maxBuried {
		r.buried = map[broker.Cursor]struct{}{}
	}
	r.buried[it.cursor] = struct{}{}
	letter := broker.DeadLetter{
		Channel: r.channel, Cursor: it.cursor, Code: string(wire.CodeInvalidEvent),
		Reason: bad.cause.Error(), Event: bad.event, Time: r.hub.now(),
	}
	var invalid *events.InvalidError
	if errors.As(bad.cause, &invalid) && invalid.Path != "" {
		letter.Reason = invalid.Path + ": " + invalid.Message
	}
	r.hub.bury(letter)
}
