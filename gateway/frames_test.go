package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// Whatever a client sends is answered with a code, and the connection goes on.
func TestBadFramesAreAnswered(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Errors = 1000 }})
	c := r.connect("alice", nil)
	c.subscribe("jobs:1", "")
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, bad := range []struct {
		name, message string
		code          wire.Code
		id            string
	}{
		{"not JSON", `{"type":"ping"`, wire.CodeInvalidFrame, ""},
		{"nothing", ``, wire.CodeInvalidFrame, ""},
		{"a number", `7`, wire.CodeInvalidFrame, ""},
		{"trailing text", `{"type":"ping"} x`, wire.CodeInvalidFrame, ""},
		{"deep", `{"type":"publish","id":1,"channel":"a","event":` + deep + `}`, wire.CodeInvalidFrame, ""},
		{"very deep", strings.Repeat("[", 60_000), wire.CodeInvalidFrame, ""},
		{"invalid UTF-8", "{\"type\":\"ping\",\"id\":\"\xff\xfe\"}", wire.CodeInvalidFrame, ""},
		{"unknown type", `{"type":"dance","id":1}`, wire.CodeUnknownType, "1"},
		{"no type", `{"id":"q"}`, wire.CodeInvalidFrame, `"q"`},
		{"type of a wrong kind", `{"type":["ping"],"id":2}`, wire.CodeInvalidFrame, "2"},
		{"id that is an object", `{"type":"ping","id":{"a":1}}`, wire.CodeInvalidFrame, ""},
		{"long id", `{"type":"ping","id":"` + strings.Repeat("i", 80) + `"}`, wire.CodeInvalidFrame, ""},
		{"channel of a wrong kind", `{"type":"publish","channel":7,"id":3}`, wire.CodeInvalidFrame, "3"},
		{"connect again", `{"type":"connect","id":4,"token":"x"}`, wire.CodeAlreadyConnected, "4"},
		{"presence", `{"type":"presence","id":5,"channel":"a"}`, wire.CodeUnsupported, "5"},
		{"unsubscribe what is not", `{"type":"unsubscribe","id":6,"channel":"jobs:2"}`, wire.CodeNotSubscribed, "6"},
		{"no channels", `{"type":"subscribe","id":7,"channels":[]}`, wire.CodeInvalidFrame, "7"},
		{"no cursor", `{"type":"subscribe","id":8,"channel":"a","cursor":"41"}`, wire.CodeInvalidCursor, "8"},
		{"negative cursor", `{"type":"subscribe","id":8,"channel":"a","cursor":"-1-1"}`, wire.CodeInvalidCursor, "8"},
		{"cursor beyond 64 bits", `{"type":"subscribe","id":8,"channel":"a","cursor":"18446744073709551616-1"}`, wire.CodeInvalidCursor, "8"},
		{"no time", `{"type":"subscribe","id":9,"channel":"a","since":"yesterday"}`, wire.CodeInvalidSince, "9"},
		{"refresh without a token", `{"type":"refresh","id":10}`, wire.CodeUnauthorized, "10"},
	} {
		c.send("%s", bad.message)
		f := c.expect("error")
		require.Equal(t, bad.code, f.Code, bad.name)
		require.Equal(t, bad.id, string(f.ID), bad.name)
	}
	// Number and string ids come back as they were written.
	for _, id := range []string{`0`, `-1.50e3`, `""`, `"\u00e9\""`, `18446744073709551617`} {
		c.send(`{"type":"unsubscribe","id":%s,"channel":"none"}`, id)
		require.Equal(t, id, string(c.expectError(wire.CodeNotSubscribed).ID))
	}
	r.publish("jobs:1", event(1))
	c.expect("event")
}

func TestBadChannelNames(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Errors = 1000 }})
	c := r.connect("alice", nil)
	for _, name := range []string{
		"", "_dead", "a b", "a\r\nSET x y", "a\x00b", "{jobs}", "a{b", "*", "jobs:*", "jobs:?", "[a]", "\u202eabc", "job\u200b",
		"é", "a/b", `a"b`, `a\b`, strings.Repeat("a", 129), strings.Repeat("a", 50_000), "return redis.call('flushall')",
	} {
		quoted, err := json.Marshal(name)
		require.NoError(t, err)
		for _, frame := range []string{
			`{"type":"subscribe","id":1,"channels":[{"channel":%s}]}`,
			`{"type":"subscribe","id":1,"channels":["ok",%s]}`,
			`{"type":"publish","id":1,"channel":%s,"event":{"type":"x"}}`,
			`{"type":"signal","id":1,"channel":%s,"event":{"type":"x"}}`,
		} {
			c.send(frame, quoted)
			f := c.next()
			for f.Type == "subscribed" {
				f = c.next()
			}
			require.Equal(t, wire.CodeInvalidChannel, f.Code, "%q: %s", name, f.Message)
			require.LessOrEqual(t, len(f.Channel), 128)
			require.NotContains(t, f.Message, "redis.call")
			if strings.Contains(frame, `"ok"`) && f.Type == "error" {
				require.Equal(t, "/channels/1/channel", f.Path)
			}
			c.send(`{"type":"unsubscribe","channel":"ok"}`)
			for f = c.next(); f.Type != "unsubscribed" && f.Code != wire.CodeNotSubscribed; f = c.next() {
			}
		}
	}
	// A name of a megabyte is too large a message before it is a name.
	c.send(`{"type":"subscribe","channel":"%s"}`, strings.Repeat("a", 1<<20-100))
	c.expectError(wire.CodeFrameTooLarge)
}

func TestGoodFramesAmongBadOnes(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	c.send(`[{"type":"subscribe","id":1,"channel":"jobs:1"},{"type":"dance","id":2},7,{"id":3},
		{"type":"publish","id":4,"channel":"other:1","event":{"type":"x"}},{"type":"ping"}]`)
	got := map[string]string{}
	for range 6 {
		f := c.next()
		got[string(f.ID)+f.Type] = string(f.Code)
	}
	require.Equal(t, map[string]string{
		"1subscribed": "", "2error": "unknown_type", "error": "invalid_frame", "3error": "invalid_frame",
		"4published": "", "pong": "",
	}, got)
}

func TestTooManyFramesInAMessage(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	c.send(`[%s{"type":"ping"}]`, strings.Repeat(`{"type":"ping"},`, 256))
	for range 256 {
		c.expect("pong")
	}
	c.expectError(wire.CodeInvalidFrame)
	c.send(`{"type":"ping"}`)
	c.expect("pong")
}

func TestLargeMessages(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Message = 2048 }})
	c := r.connect("alice", nil)
	exact := func(n int) string {
		const open, end = `{"type":"ping","pad":"`, `"}`
		return open + strings.Repeat("x", n-len(open)-len(end)) + end
	}
	c.send("%s", exact(2048))
	c.expect("pong")
	for _, n := range []int{2049, 2050, 4096, 4097, 16 * 2048} {
		c.send("%s", exact(n))
		require.False(t, c.expectError(wire.CodeFrameTooLarge).Retry)
		c.send("%s", exact(100))
		c.expect("pong")
	}
	c.send("%s", exact(16*2048+1))
	c.expectClose(wire.CloseTooBig)
}

func TestBinaryMessages(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, c.ws.Write(ctx, websocket.MessageBinary, []byte(`{"type":"ping"}`)))
	c.expectError(wire.CodeInvalidFrame)
	c.send(`{"type":"ping"}`)
	c.expect("pong")
}

// A message may come in any number of fragments, with control frames between them.
func TestFragmentedMessages(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connectRaw(0, "alice")
	message := `{"type":"ping","pad":"` + strings.Repeat("x", 3000) + `"}`
	var burst []byte
	for i := range len(message) {
		op := byte(opContinuation)
		switch i {
		case 0:
			op = opText
		case len(message) - 1:
			op |= 0x80
		case 10:
			burst = append(burst, masked(0x80|opPing, []byte("hello"))...)
		}
		burst = append(burst, masked(op, []byte(message[i:i+1]))...)
	}
	_, err := c.conn.Write(burst)
	require.NoError(t, err)
	op, payload, err := c.read()
	require.NoError(t, err)
	require.Equal(t, opPong, int(op))
	require.Equal(t, "hello", string(payload))
	require.Equal(t, "pong", c.next().Type)
}

func TestViolationsOfWebSocket(t *testing.T) {
	r := newRig(t, rigOptions{})
	other := r.connect("bob", nil)
	unmasked := []byte{0x80 | opText, 2, '{', '}'}
	for name, burst := range map[string][]byte{
		"reserved bits":     masked(0xf0|opText, []byte(`{}`)),
		"unknown opcode":    masked(0x80|0x3, nil),
		"unmasked":          unmasked,
		"no first fragment": masked(0x80|opContinuation, []byte(`{}`)),
		"fragmented ping":   masked(opPing, nil),
		"negative length":   {0x80 | opText, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"long ping":         masked(0x80|opPing, make([]byte, 126)),
	} {
		c := r.connectRaw(0, "alice")
		_, err := c.conn.Write(burst)
		require.NoError(t, err)
		for err == nil {
			_, err = c.tryNext()
		}
		if code := closedWith(0); errors.As(err, &code) {
			require.Contains(t, []closedWith{1002, 1009}, code, name)
		}
	}
	r.eventually("gone", func() bool { return r.gateway.Connections() == 1 })
	other.send(`{"type":"ping"}`)
	other.expect("pong")
	require.Zero(t, r.gateway.Counters().Panics.Load())
}

func TestBeforeConnect(t *testing.T) {
	t.Parallel() // it waits for the clock
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.ConnectTimeout = time.Second }})
	c := r.dial(nil)
	for _, kind := range []string{"subscribe", "unsubscribe", "publish", "signal", "presence", "refresh", "dance"} {
		c.send(`{"type":"%s","id":1,"channel":"jobs:1","event":{"type":"x"},"token":"x"}`, kind)
		c.expectError(wire.CodeNotConnected)
	}
	c.send(`{"type":"ping"}`)
	c.expect("pong")
	started := time.Now()
	c.expectError(wire.CodeConnectTimeout)
	c.expectClose(wire.CloseConnectTimeout)
	require.Less(t, time.Since(started), 3*time.Second)
	connected := r.connect("alice", nil) // is not bound by it, see the heartbeat
	connected.subscribe("jobs:1", "")
}

func TestThreeRefusedTokens(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.dial(nil)
	for range 3 {
		c.send(`{"type":"connect","token":"not.a.token"}`)
		c.expectError(wire.CodeUnauthorized)
	}
	c.expectError(wire.CodeUnauthorized)
	c.expectClose(wire.CloseUnauthorized)
	c = r.dial(nil)
	for range 2 {
		c.send(`{"type":"connect"}`)
		c.expectError(wire.CodeUnauthorized)
	}
	c.send(`{"type":"connect","token":"%s"}`, r.token("alice", nil))
	c.expect("connected")
}

func TestRateLimit(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Commands = 20 }})
	c := r.connect("alice", nil)
	c.send(`[%s{"type":"ping"}]`, strings.Repeat(`{"type":"ping"},`, 39))
	answers := map[string]int{}
	for range 40 {
		f := c.next()
		answers[f.Type+string(f.Code)]++
		require.True(t, f.Type == "pong" || f.Retry)
	}
	require.GreaterOrEqual(t, answers["pong"], 19) // connect was one, and time may have added some
	require.LessOrEqual(t, answers["pong"], 25)
	require.Equal(t, 40, answers["pong"]+answers["errorrate_limited"])
	// Time fills it again.
	r.eventually("room for a command", func() bool {
		c.send(`{"type":"ping"}`)
		return c.next().Type == "pong"
	})
}

func TestTooManyErrors(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Errors = 10 }})
	c := r.connect("alice", nil)
	for range 11 {
		c.send(`{"type":"dance"}`)
		c.expectError(wire.CodeUnknownType)
	}
	c.expectError(wire.CodeTooManyErrors)
	c.expectClose(wire.CloseTooManyErrors)
	require.EqualValues(t, 11, r.gateway.Counters().BadFrames.Load())
	r.eventually("gone", func() bool { return r.gateway.Connections() == 0 })
}

// Names that need escapes come back as they were sent.
func TestSessionNames(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, name := range []string{"é\u2028", `a"b\c`, "tab\t", strings.Repeat("s", 128)} {
		quoted, err := json.Marshal(name)
		require.NoError(t, err)
		c := r.dial(nil)
		c.send(`{"type":"connect","token":"%s","session":%s}`, r.token("alice", nil), quoted)
		require.Equal(t, name, c.expect("connected").Session)
	}
	c := r.dial(nil)
	c.send(`{"type":"connect","token":"%s","session":"%s"}`, r.token("alice", nil), strings.Repeat("s", 129))
	require.Equal(t, "/session", c.expectError(wire.CodeInvalidFrame).Path)
	c.send(`{"type":"connect","token":"%s"}`, fmt.Sprintf("%09000d", 1))
	require.Equal(t, "/token", c.expectError(wire.CodeInvalidFrame).Path)
}

// The close code reaches a peer that is still sending: the gateway reads on for a while, since closing a
// socket with unread bytes in it would discard what it has written.
func TestFarTooLargeMessage(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Message = 2048 }})
	for range 5 {
		c := r.connectRaw(0, "alice")
		c.write(0x80|opText, make([]byte, 6<<20))
		_, err := c.tryNext()
		require.Equal(t, closedWith(wire.CloseTooBig), err)
		require.NoError(t, c.conn.Close())
	}
	r.eventually("gone", func() bool { return r.gateway.Connections() == 0 })
}
