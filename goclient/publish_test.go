package goclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
)

// TestPublishAcrossCuts loses connections before and after the store has the event.
func TestPublishAcrossCuts(t *testing.T) {
	var seen atomic.Int32
	g := newFake(t, nil)
	g.onFrame = func(c *fakeConn, f *wire.ClientFrame) bool {
		if f.Type != wire.TypePublish {
			return false
		}
		switch seen.Add(1) % 23 {
		case 11: // appended, the answer is lost
			g.publish(f.Channel, string(f.Event))
			c.cut()
			return true
		case 19: // never arrived
			c.cut()
			return true
		}
		return false
	}
	c := start(t, g, nil)
	_, r := follow(t, c, "jobs:1")
	var wg sync.WaitGroup
	var doubled atomic.Int32
	const writers, each = 4, 40
	for range writers {
		wg.Go(func() {
			for range each {
				receipt, err := c.Publish(within(t), "jobs:1", json.RawMessage(`{"type":"n"}`), PublishOptions{})
				if err != nil {
					t.Error(err)
				}
				if receipt.Duplicate {
					doubled.Add(1)
					if receipt.Attempts < 2 {
						t.Error("a duplicate of a single attempt")
					}
				}
			}
		})
	}
	wg.Wait()
	r.wait(t, writers*each)
	g.mu.Lock()
	require.Len(t, g.logs["jobs:1"].entries, 1+writers*each, "every event is in the log once")
	g.mu.Unlock()
	require.Positive(t, doubled.Load())
	require.Zero(t, c.Violations())
	require.Empty(t, c.slots)
	require.Empty(t, c.calls)
}

func TestPublishErrors(t *testing.T) {
	var away atomic.Int32
	hold := make(chan struct{})
	g := newFake(t, nil)
	g.onFrame = func(c *fakeConn, f *wire.ClientFrame) bool {
		if f.Type != wire.TypePublish {
			return false
		}
		switch f.Channel {
		case "jobs:away":
			if away.Add(1) < 4 {
				c.fail(f.ID, "", wire.CodeUnavailable)
				return true
			}
		case "jobs:closed":
			c.send(wire.AppendError(nil, f.ID, &wire.Error{Code: wire.CodeInvalidEvent, Message: "no", Path: "/data"}))
			return true
		case "jobs:mute":
			close(hold)
			return true
		}
		return false
	}
	c := start(t, g, nil)
	ev, err := events.New("job.progress", map[string]int{"percent": 5})
	require.NoError(t, err)

	receipt, err := c.Publish(within(t), "jobs:away", ev, PublishOptions{})
	require.NoError(t, err)
	require.Equal(t, 4, receipt.Attempts)

	_, err = c.Publish(within(t), "jobs:closed", ev, PublishOptions{})
	var we *wire.Error
	require.ErrorAs(t, err, &we)
	require.Equal(t, "/data", we.Path)
	require.NotErrorIs(t, err, ErrUnknownOutcome)

	ctx, cancel := context.WithCancel(within(t))
	go func() { <-hold; cancel() }()
	_, err = c.Publish(ctx, "jobs:mute", ev, PublishOptions{})
	require.ErrorIs(t, err, ErrUnknownOutcome)
	require.ErrorIs(t, err, context.Canceled)

	for _, bad := range []string{`[]`, ``, `{"type":"n","id":7}`, `{"type":"n","id":""}`, `{"type":`} {
		_, err = c.Publish(within(t), "jobs:1", json.RawMessage(bad), PublishOptions{})
		require.ErrorContains(t, err, "event:", bad)
	}
	_, err = c.Publish(within(t), "jobs 1", ev, PublishOptions{})
	require.ErrorIs(t, err, events.ErrInvalidChannel)
	require.Empty(t, c.calls)
}

// TestTooLarge publishes what the gateway skips without having read who asks.
func TestTooLarge(t *testing.T) {
	g := newFake(t, nil)
	g.onFrame = func(c *fakeConn, f *wire.ClientFrame) bool {
		if f.Type != wire.TypePublish || len(f.Event) < 64<<10 {
			return false
		}
		c.fail(nil, "", wire.CodeFrameTooLarge)
		return true
	}
	c := start(t, g, nil)
	large := json.RawMessage(`{"type":"n","data":"` + strings.Repeat("x", 64<<10) + `"}`)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			_, err := c.Publish(within(t), "jobs:1", large, PublishOptions{})
			var we *wire.Error
			if !errors.As(err, &we) || we.Code != wire.CodeFrameTooLarge {
				t.Error(err)
			}
			if _, err := c.Publish(within(t), "jobs:1", json.RawMessage(numbered(1)), PublishOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestPublishBeforeConnected(t *testing.T) {
	c, err := New(Options{URL: "ws://127.0.0.1:1", MaxOutstanding: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	waiting := make(chan error, 1)
	go func() {
		_, err := c.Publish(ctx, "jobs:1", json.RawMessage(`{"type":"n"}`), PublishOptions{})
		waiting <- err
	}()
	eventually(t, "the only slot", func() bool { return len(c.slots) == 1 })
	expired, stop := context.WithCancel(context.Background())
	stop()
	_, err = c.Publish(expired, "jobs:1", json.RawMessage(`{"type":"n"}`), PublishOptions{})
	require.ErrorContains(t, err, "calls under way")
	require.ErrorIs(t, c.Signal(expired, "jobs:1", json.RawMessage(`{}`)), context.Canceled)
	cancel()
	err = <-waiting
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrUnknownOutcome, "it was never sent")
	require.ErrorIs(t, c.Signal(within(t), "jobs:1", json.RawMessage(`{}`)), ErrNotConnected)
}

func TestIdentified(t *testing.T) {
	for _, raw := range []string{`{}`, ` { } `, `{"type":"n"}`, "{\n\t\"data\":{\"id\":\"inner\"}}"} {
		out, id, err := identified(json.RawMessage(raw))
		require.NoError(t, err)
		require.True(t, json.Valid(out), string(out))
		require.Equal(t, id, gjson.GetBytes(out, "id").Str)
		require.Len(t, id, 26)
		require.Equal(t, gjson.Get(raw, "data").Raw, gjson.GetBytes(out, "data").Raw)
	}
	out, id, err := identified(json.RawMessage(`{"type":"n","id":"mine"}`))
	require.NoError(t, err)
	require.Equal(t, "mine", id)
	require.JSONEq(t, `{"type":"n","id":"mine"}`, string(out))
}

func TestSignal(t *testing.T) {
	g := newFake(t, nil)
	c := start(t, g, nil)
	_, r := follow(t, c, "matches:1")
	require.NoError(t, c.Signal(within(t), "matches:1", json.RawMessage(`{"type":"cursor","data":{"x":1}}`)))
	eventually(t, "the signal", func() bool { return counted(r, &r.signals) == 1 })
	require.JSONEq(t, `{"type":"cursor","data":{"x":1}}`, string(listed(r, &r.signals)[0].Raw))
	require.Empty(t, c.calls)
}

// TestHandlerPublishesBehindFullQueue has a handler wait for an answer that comes after more events
// than the client queues.
func TestHandlerPublishesBehindFullQueue(t *testing.T) {
	const n = 200 // messages of one event each; the queue holds queuedMessages
	entered := make(chan struct{})
	g := newFake(t, nil)
	g.onFrame = func(c *fakeConn, f *wire.ClientFrame) bool {
		if f.Type == wire.TypePublish && f.Channel == "out:1" {
			for i := range n {
				g.publish("in:1", numbered(i+2))
			}
		}
		return false
	}
	c := start(t, g, nil)
	r := &recorder{}
	h := r.handler()
	record := h.OnEvent
	first := true
	h.OnEvent = func(ctx context.Context, e Event) {
		if first {
			first = false
			close(entered)
			if _, err := c.Publish(ctx, "out:1", json.RawMessage(`{"type":"n"}`), PublishOptions{}); err != nil {
				t.Error(err)
			}
		}
		record(ctx, e)
	}
	s, err := c.Subscribe("in:1", SubscribeOptions{Cursor: &broker.Cursor{}, Handler: h})
	require.NoError(t, err)
	require.NoError(t, s.Ready(within(t)))
	g.publish("in:1", numbered(1))
	<-entered
	r.wait(t, n+1)
	require.Equal(t, upTo(n+1), r.numbers())
	require.NotZero(t, c.Stats().Overflows)
	require.Zero(t, c.Violations())
	require.Equal(t, uint64(1), c.Stats().Connections)
}

// TestConn speaks frames without a client.
func TestConn(t *testing.T) {
	g := newFake(t, nil)
	conn, err := Dial(within(t), g.srv.URL, "t")
	require.NoError(t, err)
	defer conn.CloseNow()
	require.Equal(t, "fake", conn.Connected.Gateway)
	require.NoError(t, conn.Send(within(t),
		[]byte(`{"type":"subscribe","id":2,"channel":"jobs:1"}`),
		[]byte(`{"type":"publish","id":3,"channel":"jobs:1","event":{"type":"n"}}`)))
	var types []string
	for len(types) < 3 {
		frames, err := conn.Receive(within(t))
		require.NoError(t, err)
		for _, f := range frames {
			types = append(types, f.Type)
		}
	}
	require.ElementsMatch(t, []string{frameSubscribed, frameEvent, framePublished}, types)
	require.NoError(t, conn.Close(wire.CloseNormal, ""))

	_, err = Dial(within(t), g.srv.URL+"/elsewhere", "")
	var status *StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, 404, status.Status)
}

func TestEndpoint(t *testing.T) {
	for in, want := range map[string]string{
		"http://h:1":             "ws://h:1/v1/ws",
		"https://h/":             "wss://h/v1/ws",
		"ws://h/sub/v1/ws":       "ws://h/sub/v1/ws",
		"wss://h?x=1#frag":       "wss://h/v1/ws?x=1",
		"HTTP://h":               "ws://h/v1/ws",
		"h:1":                    "",
		"ftp://h":                "",
		"http://":                "",
		"http://user:secret@h:1": "",
		"http://h\x7f":           "",
	} {
		got, err := endpoint(in)
		require.Equal(t, want, got, in)
		require.Equal(t, want == "", err != nil, in)
		if err != nil {
			require.NotContains(t, err.Error(), "secret")
		}
	}
}

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "99999999": maxRetryAfter,
		"Tue, 24 Nov 2026 10:00:30 GMT": 30 * time.Second,
		"Tue, 24 Nov 2026 09:00:00 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(map[string][]string{"Retry-After": {in}}, now), in)
	}
}

func TestOptions(t *testing.T) {
	for _, bad := range []Options{
		{},
		{URL: "http://h", BackoffMin: -1},
		{URL: "http://h", BackoffMin: 2, BackoffMax: 1},
		{URL: "http://h", WriteTimeout: -1},
		{URL: "http://h", MaxOutstanding: -1},
		{URL: "http://h", Session: fmt.Sprintf("%0129d", 1)},
	} {
		_, err := New(bad)
		require.Error(t, err, bad)
	}
	a, err := New(Options{URL: "http://h"})
	require.NoError(t, err)
	b, err := New(Options{URL: "http://h"})
	require.NoError(t, err)
	require.NotEqual(t, a.Session(), b.Session())
}
