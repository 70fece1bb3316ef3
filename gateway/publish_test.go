package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// Publishes are pipelined: appended, answered and delivered in the order in which they were sent.
func TestPipelinedPublishes(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Inflight = 16 }})
	reader := r.connect("bob", nil)
	last := *reader.subscribe("jobs:1", "").Head
	c := r.connect("alice", nil)
	const total, batch = 5000, 50
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for n := 0; n < total; n += batch {
			var b bytes.Buffer
			for i := n; i < n+batch; i++ {
				fmt.Fprintf(&b, `,{"type":"publish","id":%d,"channel":"jobs:1","event":%s}`, i, event(i))
			}
			b.WriteByte(']')
			b.Bytes()[0] = '['
			c.send("%s", b.Bytes())
		}
	}()
	for n := range total {
		f := c.expect("published")
		require.Equal(t, strconv.Itoa(n), string(f.ID))
		require.Equal(t, last.Offset+uint64(n)+1, f.Cursor.Offset)
		require.Equal(t, "stored", f.Ack)
	}
	<-sent
	for n := range total {
		f := reader.expect("event")
		require.Equal(t, last.Offset+1, f.Cursor.Offset)
		var e struct {
			Source string
			Data   struct{ N int }
		}
		require.NoError(t, json.Unmarshal(f.Event, &e))
		require.Equal(t, n, e.Data.N)
		require.Equal(t, "alice", e.Source)
		last = *f.Cursor
	}
	require.EqualValues(t, total, r.gateway.Counters().Published.Load())
}

func TestRepeatedPublishIsADuplicate(t *testing.T) {
	r := newRig(t, rigOptions{})
	reader := r.connect("bob", nil)
	reader.subscribe("jobs:1", "")
	c := r.connect("alice", nil)
	publish := func(event string) wire.Frame {
		c.send(`{"type":"publish","id":"p","channel":"jobs:1","event":%s}`, event)
		return c.expect("published")
	}
	first := publish(`{"type":"x","id":"1"}`)
	require.False(t, first.Duplicate)
	again := publish(`{"id":"1","type":"x"}`)
	require.True(t, again.Duplicate)
	require.Equal(t, first.Cursor, again.Cursor)
	require.False(t, publish(`{"type":"x","id":"1","source":"elsewhere"}`).Duplicate)
	require.False(t, publish(`{"type":"x"}`).Duplicate)
	require.False(t, publish(`{"type":"x"}`).Duplicate)
	reader.collect(*first.Cursor, 0)
	for range 4 {
		reader.expect("event")
	}
	reader.send(`{"type":"ping"}`)
	reader.expect("pong")
}

// An attribute that is null is absent. The source that the gateway adds must not become a second one,
// which would make the event invalid for everybody.
func TestNullSourceIsReplaced(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	c.subscribe("jobs:1", "")
	for sent, want := range map[string]string{
		`{"source":null,"type":"x"}`:                              `{"source":"alice","type":"x"}`,
		`{"type":"x","data":{"source":null}, "source" : null }`:   `{"source":"alice","type":"x","data":{"source":null}}`,
		`{"type":"x","data":"\"source\":null"}`:                   `{"source":"alice","type":"x","data":"\"source\":null"}`,
		` {"type":"x"} `:                                          `{"source":"alice","type":"x"}`,
		`{"type":"x","source":"worker-3","data":{"source":null}}`: `{"type":"x","source":"worker-3","data":{"source":null}}`,
	} {
		c.send(`{"type":"publish","channel":"jobs:1","event":%s}`, sent)
		var got json.RawMessage
		for range 2 {
			if f := c.next(); f.Type == "event" {
				got = f.Event
			} else {
				require.Equal(t, "published", f.Type, f.Message)
			}
		}
		require.JSONEq(t, want, string(got), sent)
	}
}

func TestInvalidEventsSayWhere(t *testing.T) {
	r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{"narrow": {Types: []string{"job.*"}}}})
	c := r.connect("alice", nil)
	for event, path := range map[string]string{
		`null`:           "",
		`[]`:             "",
		`"x"`:            "",
		`{}`:             "/type",
		`{"type":""}`:    "/type",
		`{"type":"x y"}`: "/type",
		`{"type":7}`:     "/type",
		`{"type":"job.progress","data":{"job_id":"1","attempt":1,"percent":101}}`: "/data/percent",
		`{"type":"job.progress","data":{"job_id":7}}`:                             "/data/job_id",
		`{"type":"x","time":"noon"}`:                                              "/time",
		`{"type":"x","id":""}`:                                                    "/id",
		`{"type":"x","type":"y"}`:                                                 "/type",
		`{"type":"x","data":1e999999999}`:                                         "/data",
	} {
		for _, kind := range []string{"publish", "signal"} {
			c.send(`{"type":"%s","id":1,"channel":"jobs:1","event":%s}`, kind, event)
			f := c.expectError(wire.CodeInvalidEvent)
			require.False(t, f.Retry)
			require.NotEmpty(t, f.Message)
			if path != "/data" { // which rule a monstrous number breaks is the events' affair
				require.Equal(t, path, f.Path, "%s: %s", event, f.Message)
			}
		}
	}
	c.send(`{"type":"publish","id":1,"channel":"jobs:1"}`)
	c.expectError(wire.CodeInvalidEvent)
	c.send(`{"type":"publish","id":1,"channel":"narrow:1","event":{"type":"x"}}`)
	require.Equal(t, "/type", c.expectError(wire.CodeInvalidEvent).Path)
	c.send(`{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x"},"ack":"never"}`)
	require.Equal(t, "/ack", c.expectError(wire.CodeInvalidFrame).Path)
}

func TestNoPermission(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", &auth.Permissions{Subscribe: []string{"user:$user", "jobs:*"}, Publish: []string{"own:$user"}})
	for _, frame := range []string{
		`{"type":"subscribe","id":9,"channel":"user:bob"}`,
		`{"type":"subscribe","id":9,"channel":"user:alice:more"}`,
		`{"type":"subscribe","id":9,"channels":["matches:1"]}`,
		`{"type":"publish","id":9,"channel":"jobs:1","event":{"type":"x"}}`,
		`{"type":"publish","id":9,"channel":"own:bob","event":{"type":"x"}}`,
		`{"type":"signal","id":9,"channel":"jobs:1","event":{"type":"x"}}`,
		`{"type":"publish","id":9,"channel":"jobs:1","event":{"type":"job.progress","data":7}}`, // nor what is wrong with it
	} {
		c.send("%s", frame)
		f := c.expectError(wire.CodeForbidden)
		require.Equal(t, "9", string(f.ID))
		require.NotEmpty(t, f.Channel)
		require.False(t, f.Retry)
	}
	c.subscribe("user:alice", "")
	c.send(`{"type":"publish","id":9,"channel":"own:alice","event":{"type":"x"}}`)
	c.expect("published")
}

func TestSignals(t *testing.T) {
	r := newRig(t, rigOptions{})
	reader, c := r.connect("bob", nil), r.connect("alice", nil)
	reader.subscribe("matches:1", "")
	c.subscribe("matches:1", "")
	c.send(`{"type":"signal","id":5,"channel":"matches:1","event":{"type":"x.cursor","data":{"row":4}}}`)
	require.JSONEq(t, `{"source":"alice","type":"x.cursor","data":{"row":4}}`, string(reader.expect("signal").Event))
	for range 2 { // the answer and the signal itself, in either order
		if f := c.next(); f.Type == "published" {
			require.Equal(t, "5", string(f.ID))
			require.Nil(t, f.Cursor)
			require.Empty(t, f.Ack)
		} else {
			require.Equal(t, "signal", f.Type)
		}
	}
	c.send(`{"type":"signal","channel":"matches:1","event":{"type":"x.typing","id":"same"}}`)
	c.send(`{"type":"signal","channel":"matches:1","event":{"type":"x.typing","id":"same"}}`) // no log, no duplicates
	for range 2 {
		require.Contains(t, string(reader.expect("signal").Event), "x.typing")
		c.expect("signal")
	}
	c.send(`{"type":"signal","id":6,"channel":"matches:nobody","event":{"type":"x"}}`)
	require.Equal(t, "6", string(c.expect("published").ID))
	require.Empty(t, r.history("matches:1", "").Events)
	late := r.connect("carol", nil)
	late.subscribe("matches:1", `,"cursor":"0"`)
	late.send(`{"type":"ping"}`)
	late.expect("pong")
}
