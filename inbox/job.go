package inbox

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/internal/vet"
)

// ReservedChannel stands in dead letters for the channel of an entry that names none, or none that there may be.
const ReservedChannel = "_inbox"

// maxIDBytes bounds an idempotency key, as the functions in Redis do.
const maxIDBytes = 512

// job is what is to be done with an entry: publish it, or bury it.
type job struct {
	id      string
	size    int
	publish broker.Publication
	letter  *broker.DeadLetter // in place of publish
}

// judge says what is to be done with an entry.
func (i *Inbox) judge(e Entry) job {
	raw := bytes.TrimSpace(e.Event)
	j := job{id: e.ID, size: len(e.Event), publish: broker.Publication{Channel: e.Channel, Event: raw, Vetted: true}}
	switch err := events.ValidateChannel(e.Channel); {
	case e.Channel == "":
		return j.refuse(wire.CodeInvalidChannel, "channel: is required")
	case err != nil:
		return j.refuse(wire.CodeInvalidChannel, fmt.Sprintf("%s: %.140q", err, e.Channel))
	case e.Size > events.MaxEventBytes:
		return j.refuse(wire.CodeInvalidEvent, fmt.Sprintf("too large: %d bytes, at most %d allowed", e.Size, events.MaxEventBytes))
	case len(raw) == 0:
		return j.refuse(wire.CodeInvalidEvent, "event: is required")
	}
	env, err := vet.Event(raw, i.options.Namespaces.For(e.Channel), i.options.Registry)
	if err != nil {
		reason := err.Error()
		if invalid, ok := errors.AsType[*events.InvalidError](err); ok && invalid.Path != "" {
			reason = invalid.Path + ": " + reason
		}
		return j.refuse(wire.CodeInvalidEvent, reason)
	}
	j.publish.ID = key(e, env)
	if len(j.publish.ID) > maxIDBytes {
		return j.refuse(wire.CodeInvalidEvent, fmt.Sprintf("source and id: must have at most %d bytes together", maxIDBytes-1))
	}
	return j
}

// key returns an event's idempotency key. An event without an id has none that would outlive a repetition by
// its worker; the entry's own makes those by gateways harmless.
func key(e Entry, env events.Envelope) string {
	if env.ID == "" {
		return ReservedChannel + "/" + e.ID
	}
	source := env.Source
	if source == "" {
		source = e.Channel
	}
	return source + "/" + env.ID
}

// refuse returns the job that buries the entry instead.
func (j job) refuse(code wire.Code, reason string) job {
	letter := broker.DeadLetter{
		Channel: j.publish.Channel, Cursor: letterCursor(j.id), Code: string(code),
		Reason: "inbox entry " + j.id + ": " + reason, Event: j.publish.Event, Time: entryTime(j.id),
	}
	if events.ValidateChannel(letter.Channel) != nil {
		letter.Channel = ReservedChannel
	}
	if len(letter.Event) > events.MaxEventBytes {
		letter.Event = letter.Event[:events.MaxEventBytes]
	}
	j.letter = &letter
	return j
}

// lane is the channel in whose order the job is done.
func (j job) lane() string {
	if j.letter != nil {
		return j.letter.Channel
	}
	return j.publish.Channel
}

// letterCursor names an entry among the dead letters, as a cursor names an event: the milliseconds, and the
// number plus one, since no part of a cursor is 0. No channel comes to have such an offset.
func letterCursor(id string) broker.Cursor {
	ms, number := parseID(id)
	return broker.Cursor{Offset: max(ms, 1), Stamp: number + 1}
}

func entryTime(id string) time.Time {
	ms, _ := parseID(id)
	return time.UnixMilli(int64(ms)) //nolint:gosec // what is no time is for people to wonder about
}

func parseID(id string) (ms, number uint64) {
	first, second, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(first, 10, 64)
	number, _ = strconv.ParseUint(second, 10, 64)
	return ms, number
}
