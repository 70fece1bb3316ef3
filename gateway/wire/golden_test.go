package wire_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

var (
	cursor = broker.Cursor{Offset: 41, Stamp: 1795514041000000}
	head   = broker.Cursor{Offset: 43, Stamp: 1795514043000000}
	id     = []byte(`7`)

	since = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	alice = presence.Member{
		User: "alice", Name: "Alice A.", State: presence.Live, Since: since, Sessions: 2, Status: []byte(`{"at":"x"}`),
	}
	bob   = presence.Member{User: "bob", State: presence.Grace, Since: since, Sessions: 1}
	carol = presence.Member{User: "carol", State: presence.Live, Since: since, Sessions: 1}
)

// serverFrames are all frames that a gateway sends: how they are written and what a client reads.
var serverFrames = []struct {
	name  string
	write func(b []byte) []byte
	want  wire.Frame
}{
	{"connected", func(b []byte) []byte {
		return wire.AppendConnected(b, id, wire.Connected{
			Session: "c81f", User: "alice", Gateway: "gw-7", PingMS: 25000, Expires: 1795518000,
		})
	}, wire.Frame{
		Type: "connected", ID: id, Session: "c81f", User: "alice", Gateway: "gw-7", PingMS: 25000, Expires: 1795518000,
	}},
	{"connected without expiry, names that need escapes", func(b []byte) []byte {
		return wire.AppendConnected(b, nil, wire.Connected{Session: "a\"\\\u2028\n\x7f", User: "bad\xffutf8", Gateway: "gw"})
	}, wire.Frame{Type: "connected", Session: "a\"\\\u2028\n\x7f", User: "bad\ufffdutf8", Gateway: "gw"}},
	{
		"refreshed", func(b []byte) []byte { return wire.AppendRefreshed(b, []byte(`"r"`), 1795521600) },
		wire.Frame{Type: "refreshed", ID: []byte(`"r"`), Expires: 1795521600},
	},
	{"subscribed and resumed", func(b []byte) []byte {
		return wire.AppendSubscribed(b, id, "jobs:42", cursor, head, true)
	}, wire.Frame{Type: "subscribed", ID: id, Channel: "jobs:42", Cursor: &cursor, Head: &head, Resumed: true}},
	{"subscribed from now on", func(b []byte) []byte {
		return wire.AppendSubscribed(b, nil, "jobs:42", head, head, false)
	}, wire.Frame{Type: "subscribed", Channel: "jobs:42", Cursor: &head, Head: &head}},
	{
		"unsubscribed", func(b []byte) []byte { return wire.AppendUnsubscribed(b, id, "jobs:42") },
		wire.Frame{Type: "unsubscribed", ID: id, Channel: "jobs:42"},
	},
	{"published", func(b []byte) []byte {
		return wire.AppendPublished(b, id, broker.Receipt{Cursor: cursor, Ack: "replicated"})
	}, wire.Frame{Type: "published", ID: id, Cursor: &cursor, Ack: "replicated"}},
	{"published before", func(b []byte) []byte {
		return wire.AppendPublished(b, id, broker.Receipt{Cursor: cursor, Ack: "stored", Duplicate: true})
	}, wire.Frame{Type: "published", ID: id, Cursor: &cursor, Ack: "stored", Duplicate: true}},
	{
		"signal answered", func(b []byte) []byte { return wire.AppendPublished(b, id, broker.Receipt{}) },
		wire.Frame{Type: "published", ID: id},
	},
	{
		"reset", func(b []byte) []byte { return wire.AppendReset(b, "jobs:42", wire.ReasonTrimmed, cursor, head) },
		wire.Frame{Type: "reset", Channel: "jobs:42", Reason: "trimmed", Cursor: &cursor, Head: &head},
	},
	{"event", func(b []byte) []byte {
		return wire.AppendEventClose(wire.AppendEventOpen(b, "jobs:42", cursor, []byte(`{"type":"x","data":[1]}`)), 0)
	}, wire.Frame{Type: "event", Channel: "jobs:42", Cursor: &cursor, Event: []byte(`{"type":"x","data":[1]}`)}},
	{"event after skipped ones", func(b []byte) []byte {
		return wire.AppendEventClose(wire.AppendEventOpen(b, "jobs:42", cursor, []byte(`{"type":"x"}`)), 3)
	}, wire.Frame{Type: "event", Channel: "jobs:42", Cursor: &cursor, Event: []byte(`{"type":"x"}`), Skipped: 3}},
	{
		"skip", func(b []byte) []byte { return wire.AppendSkip(b, "jobs:42", cursor, 2) },
		wire.Frame{Type: "skip", Channel: "jobs:42", Cursor: &cursor, Skipped: 2},
	},
	{
		"signal", func(b []byte) []byte { return wire.AppendSignal(b, "jobs:42", []byte(`{"type":"x"}`)) },
		wire.Frame{Type: "signal", Channel: "jobs:42", Event: []byte(`{"type":"x"}`)},
	},
	{"moving", func(b []byte) []byte { return wire.AppendMoving(b, 1200) }, wire.Frame{Type: "moving", AfterMS: 1200}},
	{
		"degraded", func(b []byte) []byte { return wire.AppendDegraded(b, true, `no "pong"`, 1795514000000) },
		wire.Frame{Type: "degraded", Degraded: true, Reason: `no "pong"`, SinceMS: 1795514000000},
	},
	{
		"whole again", func(b []byte) []byte { return wire.AppendDegraded(b, false, "", 1795514000001) },
		wire.Frame{Type: "degraded", SinceMS: 1795514000001},
	},
	{"error with everything", func(b []byte) []byte {
		return wire.AppendError(b, id, &wire.Error{
			Code: wire.CodeInvalidEvent, Message: "data.percent: must be <= 100", Path: "/data/percent", Channel: "jobs:42",
		})
	}, wire.Frame{
		Type: "error", ID: id, Code: wire.CodeInvalidEvent, Message: "data.percent: must be <= 100",
		Path: "/data/percent", Channel: "jobs:42",
	}},
	{"error that may pass", func(b []byte) []byte {
		return wire.AppendError(b, nil, wire.Errorf(wire.CodeUnavailable, "the store is not available"))
	}, wire.Frame{Type: "error", Code: wire.CodeUnavailable, Message: "the store is not available", Retry: true}},
	{
		"present", func(b []byte) []byte { return wire.AppendPresent(b, id, "jobs:42") },
		wire.Frame{Type: "present", ID: id, Channel: "jobs:42"},
	},
	{"members", func(b []byte) []byte {
		return wire.AppendMembers(b, id, "jobs:42", presence.Page{
			Version: cursor.Stamp, Count: 3, Sessions: 4, Members: []presence.Member{alice, bob}, Next: "bob",
		})
	}, wire.Frame{
		Type: "members", ID: id, Channel: "jobs:42", Version: cursor.Stamp, Count: 3, Sessions: 4,
		Members: []presence.Member{alice, bob}, Next: "bob",
	}},
	{"nobody, as it was when the store went away", func(b []byte) []byte {
		return wire.AppendMembers(b, nil, "jobs:42", presence.Page{StaleSince: time.UnixMilli(1795514000000)})
	}, wire.Frame{Type: "members", Channel: "jobs:42", Members: []presence.Member{}, StaleSinceMS: 1795514000000}},
	{"member", func(b []byte) []byte {
		return wire.AppendMemberChange(b, &presence.Change{
			Channel: "jobs:42", Version: head.Stamp, Prev: cursor.Stamp, Action: presence.Join, Member: carol,
		})
	}, wire.Frame{
		Type: "member", Channel: "jobs:42", Version: head.Stamp, Prev: cursor.Stamp, Action: presence.Join, Member: &carol,
	}},
	{"next", func(b []byte) []byte {
		return wire.AppendNext(b, &wire.Next{
			Channels: []wire.NextChannel{
				{Channel: "jobs:42", Cursor: &head, Presence: true, Members: &cursor.Stamp}, {Channel: "jobs:43"},
			},
			Cursors: "composite", More: true, Degraded: true,
		})
	}, wire.Frame{Type: "next", Degraded: true}},
	{"next of one channel", func(b []byte) []byte {
		return wire.AppendNext(b, &wire.Next{Channels: []wire.NextChannel{{Channel: "jobs:42", Cursor: &head}}, Cursors: "composite"})
	}, wire.Frame{Type: "next"}},
	{"ping", func(b []byte) []byte { return append(b, wire.PingFrame...) }, wire.Frame{Type: "ping"}},
	{"pong", func(b []byte) []byte { return append(b, wire.PongFrame...) }, wire.Frame{Type: "pong"}},
}

// clientMessages are messages and what they mean; the golden file has the meaning.
var clientMessages = []struct{ name, message string }{
	{"connect", `{"type":"connect","id":1,"token":"eyJ","session":"c81f"}`},
	{"ping", `{"type":"ping"}`},
	{"pong", `{"type":"pong"}`},
	{"id of text, with escapes that are kept", `{"type":"ping","id":"\u0061\n"}`},
	{"id null is none", `{"type":"ping","id":null}`},
	{"id that is an object", `{"type":"ping","id":{}}`},
	{"id that is true", `{"type":"ping","id":true}`},
	{"id of 64 bytes", `{"type":"ping","id":"` + rep('i', 62) + `"}`},
	{"id of 65 bytes", `{"type":"ping","id":"` + rep('i', 63) + `"}`},
	{"subscribe", `{"type":"subscribe","id":2,"channels":[{"channel":"a:1","cursor":"4-9"},{"channel":"b","since":"2026-11-24T10:00:00Z"},"c"]}`},
	{"subscribe, short form", `{"type":"subscribe","cursor":"4-9","channel":"a:1"}`},
	{"short form beside the long one means nothing", `{"type":"subscribe","cursor":"4-9","channel":"a:1","channels":["b"],"since":"x"}`},
	{"no channels", `{"type":"subscribe","id":3}`},
	{"empty channels", `{"type":"unsubscribe","id":3,"channels":[]}`},
	{"channels of a wrong kind", `{"type":"subscribe","channels":[{"channel":"a"},7],"id":3}`},
	{"cursor of a wrong kind", `{"type":"subscribe","channels":["a",{"channel":"b","cursor":41}],"id":3}`},
	{"cursor too long", `{"type":"subscribe","id":3,"channels":[{"channel":"b","cursor":"` + rep('1', 65) + `"}]}`},
	{"publish", `{"type":"publish","id":3,"channel":"jobs:42","event":{"type":"x","data":{"a":[1, 2]}},"ack":"stored"}`},
	{"an event is not looked at", `{"type":"publish","channel":"jobs:42","event":null}`},
	{"signal", `{"type":"signal","channel":"a","event":{"type":"x"}}`},
	{"presence", `{"type":"presence","channel":"a","status":{"s":1}}`},
	{"members", `{"type":"members","id":6,"channel":"jobs:42","after":"dave","limit":200}`},
	{"limit out of range", `{"type":"members","id":6,"channel":"jobs:42","limit":1001}`},
	{"presence that ends", `{"type":"presence","channel":"a","leave":true}`},
	{"leave of a wrong kind", `{"type":"presence","channel":"a","leave":"yes"}`},
	{"unsubscribe", `{"type":"unsubscribe","id":3,"channels":[{"channel":"jobs:42"}]}`},
	{"refresh", `{"type":"refresh","id":5,"token":"eyJ"}`},
	{"unknown fields are ignored", `{"type":"ping","typo":[{}],"Type":"pong"}`},
	{"unknown type", `{"type":"dance","id":9}`},
	{"the last of two counts, null is none", `{"type":"a","type":"ping","type":null}`},
	{"names may be escaped", `{"\u0074ype":"p\u0069ng"}`},
	{"surrogates", `{"type":"\ud83d\ude00 \ud800\u0041 \udc00"}`},
	{"an array; the bad ones do not keep the others back", `[{"type":"ping","id":1},{"type":7,"id":2},3,{},{"type":"pong","id":4}]`},
	{"an empty array", ` [ ] `},
	{"not JSON", `{"type":"ping"`},
	{"not JSON after a good frame", `[{"type":"ping"},]`},
	{"two values", `{"type":"ping"}{"type":"ping"}`},
	{"nothing", ``},
	{"a string", `"ping"`},
	{"null", `null`},
	{"type missing", `{"id":1}`},
	{"type too long", `{"type":"` + rep('t', 33) + `","id":1}`},
	{"nested in its limit", `{"type":"publish","channel":"a","event":` + rep('[', 63) + rep(']', 63) + `}`},
	{"nested too deep", `{"type":"publish","channel":"a","event":` + rep('[', 64) + rep(']', 64) + `}`},
}

func rep(c byte, n int) string { return string(bytes.Repeat([]byte{c}, n)) }

func TestGoldenFrames(t *testing.T) {
	var got golden
	got.Comment = "Client messages and what a gateway reads in them; server messages, byte for byte. " +
		"Written by `go test ./gateway/wire -update`."
	for _, c := range clientMessages {
		got.Client = append(got.Client, clientGolden{c.name, c.message, decode([]byte(c.message))})
	}
	for _, c := range serverFrames {
		message := append(c.write([]byte(`[`)), ']')
		got.Server = append(got.Server, serverGolden{c.name, string(message)})
		frames, err := wire.Message(message)
		require.NoError(t, err, c.name)
		require.Equal(t, []wire.Frame{c.want}, frames, c.name)
	}
	if *update {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		require.NoError(t, e.Encode(got))
		require.NoError(t, os.WriteFile(filepath.Join("testdata", goldenFile), b.Bytes(), 0o600))
	}
	want := readGolden(t)
	require.Len(t, got.Client, len(want.Client))
	require.Len(t, got.Server, len(want.Server))
	for i := range want.Client {
		require.Equal(t, compact(t, want.Client[i]), compact(t, got.Client[i]))
	}
	for i := range want.Server {
		require.Equal(t, want.Server[i], got.Server[i])
	}
}

// compact evens out the spaces that an editor may have put into raw JSON.
func compact(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func TestDecodeStopsWhenTold(t *testing.T) {
	var f wire.ClientFrame
	seen := 0
	wire.Decode([]byte(`[{"type":"ping"},{"type":"ping"},{"type":"ping"}]`), &f,
		func(*wire.ClientFrame) bool { seen++; return seen < 2 },
		func(*wire.ClientFrame, *wire.Error) { t.Error("no frame is bad") })
	require.Equal(t, 2, seen)
}

func TestDecodeBoundsTheFrames(t *testing.T) {
	message := func(n int) []byte {
		return append(append([]byte(`[`), bytes.Repeat([]byte(`{"type":"ping"},`), n-1)...), `{"type":"ping"}]`...)
	}
	require.Len(t, decode(message(wire.MaxFrames)), wire.MaxFrames)
	out := decode(message(wire.MaxFrames + 50))
	require.Len(t, out, wire.MaxFrames+1, "the first are good, the rest is one failure")
	require.NotNil(t, out[wire.MaxFrames].Error)
	require.Nil(t, out[wire.MaxFrames-1].Error)
}

func TestDecodeRefusesInvalidUTF8(t *testing.T) {
	out := decode([]byte("{\"type\":\"p\xff\"}"))
	require.Equal(t, []decoded{{Error: &decodedError{Code: wire.CodeInvalidFrame}}}, out)
}

func TestOnlyTemporaryCodesSayRetry(t *testing.T) {
	for code, retry := range map[wire.Code]bool{
		wire.CodeUnavailable: true, wire.CodeOverloaded: true, wire.CodeRateLimited: true,
		wire.CodeKeysUnavailable: true, wire.CodeInternal: true, wire.CodeSlowConsumer: true,
		wire.CodeForbidden: false, wire.CodeInvalidEvent: false, wire.CodeRefused: false, wire.CodeTokenExpired: false,
	} {
		require.Equal(t, retry, code.Retry(), code)
	}
}
