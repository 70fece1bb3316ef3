package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/goclient"
)

// tailCommand follows channels.
type tailCommand struct {
	Channels []string `arg:"" name:"channel" help:"Channels, as jobs:42."`

	Cursor string `xor:"from" placeholder:"CURSOR" help:"Begin after this event; 0 for all that are retained. For one channel."`
	Since  string `xor:"from" placeholder:"TIME" help:"Begin at this time (RFC 3339), or this long ago, as 15m."`
	Count  int    `placeholder:"N" help:"End after N events."`

	URL string `name:"url" placeholder:"URL" default:"http://127.0.0.1:8080" help:"The gateway (default ${default})."`
	config.Caller
}

// Help adds to the help of the flags.
func (*tailCommand) Help() string {
	return "Prints one JSON line an event, and one for each reset, skip and signal. After a lost connection it goes on after the " +
		"last event printed, so that nothing is missing and nothing is twice; what cannot be had any more is a line of type reset."
}

// Run follows until ctx ends or the count is reached.
func (c *tailCommand) Run(ctx context.Context, r *run) error {
	if err := errors.Join(r.sources.Problems()...); err != nil {
		return usageError{err}
	}
	options, err := c.subscribe(r.sources, time.Now())
	if err != nil {
		return err
	}
	if err := c.Check(r.sources); err != nil {
		return usageError{err}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t := &tail{out: json.NewEncoder(r.stdout), log: r.stderr, left: c.Count, stop: stop}
	t.out.SetEscapeHTML(false)
	trust, err := c.TLSConfig()
	if err != nil {
		return usageError{err}
	}
	o := goclient.Options{URL: c.URL, Token: c.Token, TLSConfig: trust, OnStatus: t.status}
	if c.TokenFile != "" {
		o.TokenSource = func(context.Context) (string, error) { return c.ReadToken() }
	}
	client, err := goclient.New(o)
	if err != nil {
		return usageError{err}
	}
	options.Handler = t.handler()
	for _, channel := range c.Channels {
		if _, err := client.Subscribe(channel, options); err != nil {
			return usageError{err}
		}
	}
	if err := client.Run(ctx); err != nil {
		return err
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, errEnough) {
		return cause
	}
	return nil
}

// subscribe says where to begin.
func (c *tailCommand) subscribe(from *config.Sources, now time.Time) (o goclient.SubscribeOptions, err error) {
	if from.Given("count") && c.Count < 1 {
		return o, usagef("count: must be at least 1, is %d", c.Count)
	}
	if c.Cursor != "" {
		if len(c.Channels) > 1 {
			return o, usagef("cursor: is a place in one channel, and there are %d", len(c.Channels))
		}
		cursor, err := broker.ParseCursor(c.Cursor)
		if err != nil {
			return o, usagef("cursor: must be <offset>-<stamp>, or 0")
		}
		o.Cursor = &cursor
	}
	if c.Since != "" {
		if ago, err := time.ParseDuration(c.Since); err == nil && ago >= 0 {
			o.Since = now.Add(-ago)
		} else if o.Since, err = time.Parse(time.RFC3339Nano, c.Since); err != nil {
			return o, usagef("since: must be a time as 2026-11-24T10:00:00Z or a duration as 15m")
		}
	}
	return o, nil
}

// errEnough ends a tail that has printed what it was asked for.
var errEnough = errors.New("enough events")

// tail prints what the client hears.
type tail struct {
	out  *json.Encoder
	stop context.CancelCauseFunc
	left int // events to print; owned by the client's handlers
	done bool

	mu   sync.Mutex // guards log
	log  io.Writer
	last string // guarded by mu: what was logged last
}

// line is what is printed. Fields that a type does not have are left out.
type line struct {
	Type    string          `json:"type"`
	Channel string          `json:"channel"`
	Cursor  *broker.Cursor  `json:"cursor,omitempty"`
	Head    *broker.Cursor  `json:"head,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Time    *time.Time      `json:"time,omitempty"`
	Skipped uint64          `json:"skipped,omitempty"`
	Event   json.RawMessage `json:"event,omitempty"`
}

func (t *tail) handler() goclient.Handler {
	return goclient.Handler{
		OnEvent: func(_ context.Context, e goclient.Event) {
			at := e.Time.UTC()
			t.print(line{Type: "event", Channel: e.Channel, Cursor: &e.Cursor, Time: &at, Skipped: e.Skipped, Event: e.Raw}, true)
		},
		OnReset: func(_ context.Context, r goclient.Reset) {
			t.print(line{Type: "reset", Channel: r.Channel, Reason: r.Reason, Cursor: &r.Cursor, Head: &r.Head}, false)
		},
		OnSkip: func(_ context.Context, s goclient.Skip) {
			t.print(line{Type: "skip", Channel: s.Channel, Cursor: &s.Cursor, Skipped: s.Skipped}, false)
		},
		OnSignal: func(_ context.Context, s goclient.Signal) {
			t.print(line{Type: "signal", Channel: s.Channel, Event: s.Raw}, false)
		},
		OnError: func(_ context.Context, err error) {
			var refused *goclient.ChannelError
			if errors.As(err, &refused) && !refused.Retry {
				t.end(err)
				return
			}
			t.say(err.Error())
		},
	}
}

// print writes a line, and counts it if it is an event.
func (t *tail) print(l line, event bool) {
	if t.done {
		return
	}
	if err := t.out.Encode(l); err != nil {
		t.end(fmt.Errorf("standard output: %w", err))
		return
	}
	if event && t.left > 0 {
		if t.left--; t.left == 0 {
			t.end(errEnough)
		}
	}
}

func (t *tail) end(cause error) {
	t.done = true
	t.stop(cause)
}

// status tells people about the connection.
func (t *tail) status(s goclient.Status) {
	switch {
	case s.State == goclient.StateDisconnected && s.Err != nil:
		t.say("disconnected, trying again: " + s.Err.Error())
	case s.State == goclient.StateConnected && s.Degraded:
		t.say("connected to " + s.Gateway + ", which is degraded: " + s.Reason)
	case s.State == goclient.StateConnected:
		t.say("connected to " + s.Gateway + " as " + s.User)
	}
}

// say writes to standard error, the same thing once.
func (t *tail) say(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text != t.last {
		fmt.Fprintln(t.log, "tallywire tail:", text)
	}
	t.last = text
}
