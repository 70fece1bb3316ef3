package goclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/oklog/ulid/v2"
	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// PublishOptions of one publish.
type PublishOptions struct {
	// Ack is the acknowledgement wanted; empty means the namespace's.
	Ack namespace.Ack
}

// Receipt says what became of a publish.
type Receipt struct {
	// ID is the event's id: its own, or the one that the client gave it.
	ID string
	// Cursor is the event's place in the channel.
	Cursor broker.Cursor
	// Ack is how far the event had got when the gateway answered.
	Ack namespace.Ack
	// Duplicate reports that the channel held an event with this source and id. Where Attempts is above
	// 1 that is as a rule this very publish, whose first answer was lost.
	Duplicate bool
	// Attempts is how often the event was handed to a connection, as far as answers or lost
	// connections tell: at least 1.
	Attempts int
}

// Publish appends an event ([json.RawMessage] or [events.Event]) to a channel and waits for the
// gateway's answer. An event without an id gets one, so that Publish can send it again after a lost
// connection and after errors that say "later", until it is answered or ctx ends; the channel holds it
// once, as long as that takes no longer than the namespace's dedupe window. An error that wraps
// [ErrUnknownOutcome] leaves open whether the event was published; with every other error it was not.
//
// Calls from several goroutines are pipelined. At most Options.MaxOutstanding are under way, further
// ones wait.
func (c *Client) Publish(ctx context.Context, channel string, event json.Marshaler, o PublishOptions) (Receipt, error) {
	if err := events.ValidateChannel(channel); err != nil {
		return Receipt{}, fmt.Errorf("publish: %w", err)
	}
	raw, id, err := identified(event)
	if err != nil {
		return Receipt{}, fmt.Errorf("publish to %s: %w", channel, err)
	}
	if err := c.acquire(ctx); err != nil {
		return Receipt{}, fmt.Errorf("publish to %s: %w", channel, err)
	}
	defer c.release()
	r := Receipt{ID: id}
	again := c.backoff()
	again.next() // the first repetition waits already
	unknown := false
	for {
		f, sent, err := c.publish(ctx, channel, raw, o.Ack)
		r.Attempts += sent
		if err == nil {
			if f.Cursor != nil {
				r.Cursor = *f.Cursor
			}
			r.Ack, r.Duplicate = namespace.Ack(f.Ack), f.Duplicate
			return r, nil
		}
		var refused *wire.Error
		if !errors.As(err, &refused) {
			unknown = unknown || sent > 0
			return r, publishError(channel, err, unknown)
		}
		if !c.retryable(err) {
			return r, publishError(channel, err, false)
		}
		// The store was away when it was asked, or did not answer: the event may be there.
		unknown = unknown || refused.Code == wire.CodeUnavailable || refused.Code == wire.CodeInternal
		if !sleep(ctx, again.next()) {
			return r, publishError(channel, errors.Join(ctx.Err(), err), unknown)
		}
	}
}

func publishError(channel string, err error, unknown bool) error {
	if unknown {
		err = errors.Join(ErrUnknownOutcome, err)
	}
	return fmt.Errorf("publish to %s: %w", channel, err)
}

// publish sends an event and waits for one answer; sent is how often the event was written.
func (c *Client) publish(ctx context.Context, channel string, raw []byte, ack namespace.Ack) (f wire.Frame, sent int, err error) {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return f, 0, ErrStopped
	}
	id := c.nextIDLocked()
	x := &call{id: id, frame: appendPublish(nil, id, channel, raw, ack), resend: true}
	c.startLocked(x)
	c.mu.Unlock()
	f, err = c.await(ctx, x)
	c.mu.Lock()
	defer c.mu.Unlock()
	return f, x.sent, err
}

// Signal sends an ephemeral event to the channel's current subscribers, at most once. It returns when
// the event is written; whether it was allowed or has arrived is not known.
func (c *Client) Signal(ctx context.Context, channel string, event json.Marshaler) error {
	if err := events.ValidateChannel(channel); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	raw, err := object(event)
	if err != nil {
		return fmt.Errorf("signal to %s: %w", channel, err)
	}
	if err := c.acquire(ctx); err != nil {
		return fmt.Errorf("signal to %s: %w", channel, err)
	}
	defer c.release()
	c.mu.Lock()
	if c.stopped || c.cur == nil {
		c.mu.Unlock()
		return fmt.Errorf("signal to %s: %w", channel, ErrNotConnected)
	}
	id := c.nextIDLocked()
	x := &call{id: id, frame: appendSignal(nil, id, channel, raw), oneway: true}
	c.startLocked(x)
	c.mu.Unlock()
	if _, err := c.await(ctx, x); err != nil {
		return fmt.Errorf("signal to %s: %w", channel, err)
	}
	return nil
}

var errNoObject = errors.New("event: must be a JSON object")

// object returns the event's JSON, an object without space around it.
func object(event json.Marshaler) ([]byte, error) {
	raw, err := event.MarshalJSON()
	if err != nil {
		return nil, err
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		return nil, errNoObject
	}
	return raw, nil
}

// identified returns the event's JSON with an id, and the id.
func identified(event json.Marshaler) ([]byte, string, error) {
	raw, err := object(event)
	if err != nil {
		return nil, "", err
	}
	if v := gjson.GetBytes(raw, "id"); v.Exists() {
		if v.Type != gjson.String || v.Str == "" {
			return nil, "", errors.New("event: id: must be a string that is not empty")
		}
		return raw, v.Str, nil
	}
	id := ulid.Make().String()
	out := make([]byte, 0, len(raw)+len(id)+8)
	out = append(out, `{"id":"`...)
	out = append(out, id...)
	out = append(out, '"')
	rest := bytes.TrimLeft(raw[1:], " \t\r\n")
	if rest[0] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...), id, nil
}
