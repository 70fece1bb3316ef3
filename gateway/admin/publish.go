package admin

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/internal/vet"
	"github.com/tallywire/tallywire/namespace"
)

type publishAnswer struct {
	Channel   string `json:"channel"`
	Cursor    string `json:"cursor"`
	Ack       string `json:"ack"`
	Duplicate bool   `json:"duplicate"`
}

// publish handles POST /admin/v1/publish: a test event, which is validated as everybody's is.
func (a *Admin) publish(c echo.Context) error {
	var in struct {
		Channel string          `json:"channel"`
		Event   json.RawMessage `json:"event"`
		Ack     string          `json:"ack"`
	}
	if err := body(c, &in); err != nil {
		return err
	}
	note(c, "channel", clip(in.Channel, maxChannel))
	if err := checkChannel(in.Channel); err != nil {
		return err
	}
	switch namespace.Ack(in.Ack) {
	case "", namespace.AckStored, namespace.AckReplicated:
	default:
		return badRequest("ack", "must be stored or replicated")
	}
	raw, env, err := a.check(in.Channel, in.Event)
	if err != nil {
		return err
	}
	if raw, err = withSource(raw, env, actor(c).User); err != nil {
		return err
	}
	p := broker.Publication{Channel: in.Channel, Event: raw, Ack: namespace.Ack(in.Ack)}
	if env.ID != "" {
		source := env.Source
		if source == "" {
			source = actor(c).User
		}
		p.ID = source + "/" + env.ID
	}
	out, err := a.append(c.Request().Context(), p)
	if err != nil {
		return err
	}
	note(c, "cursor", out.Cursor, "duplicate", out.Duplicate, "type", env.Type)
	return answer(c, out)
}

// append publishes and waits for the receipt.
func (a *Admin) append(ctx context.Context, p broker.Publication) (publishAnswer, error) {
	type outcome struct {
		receipt broker.Receipt
		err     error
	}
	done := make(chan outcome, 1)
	a.options.Store.Publish(ctx, p, func(r broker.Receipt, err error) { done <- outcome{r, err} })
	select {
	case o := <-done:
		if o.err != nil {
			return publishAnswer{}, o.err
		}
		return publishAnswer{p.Channel, o.receipt.Cursor.String(), string(o.receipt.Ack), o.receipt.Duplicate}, nil
	case <-ctx.Done():
		return publishAnswer{}, ctx.Err()
	}
}

// check validates an event for a channel, by the rules of a client's publish.
func (a *Admin) check(channel string, raw []byte) ([]byte, events.Envelope, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, events.Envelope{}, &wire.Error{Code: wire.CodeInvalidEvent, Message: "event: is required", Path: "/event"}
	}
	env, err := vet.Event(raw, a.options.Namespaces.For(channel), a.options.Registry)
	return raw, env, err
}

// withSource names the operator as the source of an event that names none.
func withSource(raw []byte, env events.Envelope, user string) ([]byte, error) {
	if env.Source != "" {
		return raw, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	source, err := json.Marshal(user)
	if err != nil {
		return nil, err
	}
	members["source"] = source
	out, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	if len(out) > events.MaxEventBytes {
		return nil, wire.Errorf(wire.CodeInvalidEvent, "too large with the source that is added")
	}
	return out, nil
}
