package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// has returns whether what was heard has frames of all these types.
func has(types ...string) func(string) bool {
	return func(heard string) bool {
		for _, kind := range types {
			if !strings.Contains(heard, `"type":"`+kind+`"`) {
				return false
			}
		}
		return true
	}
}

func (r *recorder) streams() {
	path := "/v1/sse?channel=p:1&channel=_no&presence=p:1&session=e"
	s := r.connected("sid")
	r.stream(http.MethodGet, path, "", []act{
		{has("subscribed"), func() {
			r.publish("p:1", event(1))
			s.say(`{"type":"signal","channel":"p:1","event":{"type":"x.here"}}`)
		}},
		{has("members"), func() { s.say(`{"type":"presence","id":2,"channel":"p:1"}`) }},
		{has("member"), func() { r.publish("p:1", `{"type":"job.progress","data":{}}`) }},
	}, has("connected", "subscribed", "error", "event", "signal", "members", "member", "skip"))
	r.stream(http.MethodPost, "/v1/sse", `{"channels":[{"channel":"p:1","cursor":"900-900"}]}`, nil, has("reset"))
	at := lastFrame(r, r.read("/v1/poll?channel=p:1&wait_ms=0").body).Cursors
	r.stream(http.MethodGet, "/v1/sse?channel=p:1&cursors="+url.QueryEscape(at), "", nil, has("subscribed"))
	r.call(http.MethodGet, "/v1/sse?channel=p:1", r.all, http.Header{"Last-Event-Id": {"~"}}, "")
	r.badStreams("/v1/sse")
}

func (r *recorder) commandsOf() {
	post := func(body string) {
		r.t.Helper()
		r.call(http.MethodPost, "/v1/commands", r.all, nil, body)
	}
	post(`{"session":"c","seq":1,"frames":[
		{"type":"publish","id":1,"channel":"p:1","event":{"type":"x"}},{"type":"signal","id":"s","channel":"p:1","event":{"type":"x"}},
		{"type":"presence","id":2,"channel":"p:3"},{"type":"members","id":3,"channel":"p:3"},{"type":"ping"},{"type":"pong"},
		{"type":"publish","id":4,"channel":"fault:refused","event":{"type":"x"}}]}`)
	post(`{"session":"c","seq":9,"frames":{"type":"ping"}}`)
	post(`{"session":"busy","seq":1,"frames":{"type":"ping"}}`)
	post(`{"session":"crowded","seq":1,"frames":{"type":"ping"}}`)
	post(`{"session":"c"}`)
	post(`{"frames":"` + strings.Repeat("x", 5<<20) + `"}`)
	plain := newRecorder(r.t.(*testing.T), r.traffic, func(o *gateway.Options) { o.Receipts = nil })
	plain.call(http.MethodPost, "/v1/commands", plain.all, nil, `{"session":"c","seq":1,"frames":{"type":"ping"}}`)
}

func (r *recorder) cookies() {
	r.call(http.MethodPost, "/v1/cookie", r.all, nil, "")
	r.call(http.MethodDelete, "/v1/cookie", "", nil, "")
	r.call(http.MethodPost, "/v1/cookie", r.all, http.Header{"Origin": {"http://gateway.example"}, "Host": {"gateway.example"}}, "")
	long := make([]string, 100)
	for i := range long {
		long[i] = fmt.Sprintf("a-channel-with-a-long-name-%d:*", i)
	}
	r.call(http.MethodPost, "/v1/cookie", r.token("alice", &auth.Permissions{Subscribe: long}), nil, "")
}

func (r *recorder) publicDocuments() {
	for _, path := range []string{"/openapi.json", "/asyncapi.json"} {
		a := r.call(http.MethodGet, path, "", nil, "")
		require.Equal(r.t, "public, no-cache", a.header.Get("Cache-Control"))
		r.call(http.MethodGet, path, "", http.Header{"If-None-Match": {a.header.Get("ETag")}}, "")
		a = r.call(http.MethodGet, path, "", http.Header{"Origin": {"https://app.example"}}, "")
		require.Equal(r.t, "https://app.example", a.header.Get("Access-Control-Allow-Origin"))
	}
	for _, path := range []string{"/schemas", "/schemas/job.progress", "/schemas/job.progress?version=1"} {
		a := r.call(http.MethodGet, path, "", nil, "")
		r.call(http.MethodHead, path, "", nil, "")
		r.call(http.MethodGet, path, "", http.Header{"If-None-Match": {a.header.Get("ETag")}}, "")
		r.call(http.MethodHead, path, "", http.Header{"If-None-Match": {a.header.Get("ETag")}}, "")
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.call(method, "/schemas/job.progress?dataschema=https%3A%2F%2Ftallywire.dev%2Fschemas%2Fjob.progress%2F1", "", nil, "")
		r.call(method, "/schemas/nothing", "", nil, "")
		r.call(method, "/schemas/job.progress?version=0", "", nil, "")
	}
	r.call(http.MethodGet, "/healthz", "", nil, "")
	r.call(http.MethodGet, "/readyz", "", nil, "")
}

// frames says everything that a client may say, and hears what is answered.
func (r *recorder) frames() {
	s := r.connected("ann")
	s.say(`{"type":"refresh","id":2,"token":"` + r.token("ann", nil) + `"}`)
	s.hear("refreshed")
	s.say(`{"type":"subscribe","id":3,"channels":[{"channel":"w:1","cursor":"0"},{"channel":"w:2","since":"2026-11-24T10:00:00Z"},"latest:1","fault:refused"]}`)
	s.hear("error")
	s.say(`[{"type":"publish","id":4,"channel":"w:1","event":{"type":"x","id":"1"},"ack":"stored"},{"type":"signal","id":5,"channel":"w:1","event":{"type":"x"}},{"type":"ping"},{"type":"pong"}]`)
	want := map[string]bool{"event": true, "signal": true} // in either order
	s.hearThat("event and signal", func(f wire.Frame) bool { delete(want, f.Type); return len(want) == 0 })
	s.say(`{"type":"ping"}`)
	s.hear("pong")
	// What a gateway cannot show to a subscriber is skipped.
	r.publish("w:1", `{"type":"job.progress","data":{}}`)
	s.hear("skip")
	for _, e := range []string{
		`{"type":"job.progress","data":{"job_id":"1","percent":7}}`, `{"type":"job.failed","data":{"job_id":"1","error":"no"}}`,
	} {
		r.publish("w:1", e)
	}
	s.hear("event")
	s.say(`{"type":"unsubscribe","id":7,"channels":["w:1"]}`)
	s.hear("unsubscribed")
	s.say(`{"type":"unsubscribe","id":8,"channel":"w:2"}`)
	s.hear("unsubscribed")
}

func (r *recorder) presences() {
	watcher := r.connected("wes")
	watcher.say(`{"type":"subscribe","id":2,"channel":"brief:1","presence":true}`)
	watcher.hear("members")
	s := r.connected("pam")
	s.say(`{"type":"presence","id":3,"channel":"brief:1","status":{"at":1}}`)
	s.hear("present")
	change := func(action string) {
		watcher.hearThat(action, func(f wire.Frame) bool { return f.Type == "member" && string(f.Action) == action })
	}
	change("join")
	s.say(`{"type":"presence","id":4,"channel":"brief:1","status":null}`)
	change("update")
	s.say(`{"type":"members","id":5,"channel":"brief:1","after":"a","limit":10}`)
	s.hear("members")
	s.say(`{"type":"presence","id":6,"channel":"brief:1","leave":true}`)
	change("leave")
}

// resets loses events in every way in which they can be.
func (r *recorder) resets() {
	s := r.connected("rex")
	var last broker.Cursor
	for n := range 9 {
		last = r.publish("short:1", event(n))
	}
	for reason, cursor := range map[string]string{
		"trimmed": "1-1", "forked": fmt.Sprintf("%d-%d", last.Offset+9, last.Stamp+9),
	} {
		s.say(`{"type":"subscribe","id":2,"channel":"short:1","cursor":"` + cursor + `"}`)
		require.Equal(r.t, reason, s.hear("reset").Reason)
	}
	s.say(`{"type":"subscribe","id":3,"channel":"none:1","cursor":"7-7"}`)
	require.Equal(r.t, "expired", s.hear("reset").Reason)
	s.say(`{"type":"refresh","id":4,"token":"` + r.token("rex", &auth.Permissions{}) + `"}`)
	s.hearThat("forbidden", func(f wire.Frame) bool { return f.Reason == "forbidden" })
	s.hear("unsubscribed")
}

// endings shows how connections end, and what is said before: each on a gateway of its own.
func (r *recorder) endings(t *testing.T) {
	t.Helper()
	s := r.speaker()
	for range 3 {
		s.say(`{"type":"connect","token":"no"}`)
	}
	s.closed(wire.CloseUnauthorized)

	s = r.connected("max")
	s.send(`"%s"`, strings.Repeat("x", 2<<20))
	s.closed(wire.CloseTooBig)

	s = r.speaker()
	s.say(`{"type":"connect","token":"!panic"}`)
	s.closed(wire.CloseInternal)

	impatient := newRecorder(t, r.traffic, func(o *gateway.Options) { o.Limits.ConnectTimeout = 50 * time.Millisecond })
	impatient.speaker().closed(wire.CloseConnectTimeout)
	brisk := newRecorder(t, r.traffic, func(o *gateway.Options) { o.Ping = time.Second })
	brisk.connected("pia").hear("ping")

	strict := newRecorder(t, r.traffic, func(o *gateway.Options) { o.Limits.Errors = 3 })
	s = strict.connected("may")
	for range 5 {
		s.send(`nonsense`)
	}
	s.closed(wire.CloseTooManyErrors)

	full := newRecorder(t, r.traffic, func(o *gateway.Options) { o.Limits.Connections = 1 })
	full.connected("one")
	for _, q := range [][3]string{
		{http.MethodGet, "/v1/poll?channel=a", ""},
		{http.MethodPost, "/v1/poll", `{"channels":[{"channel":"a"}]}`},
		{http.MethodGet, "/v1/sse?channel=a", ""},
		{http.MethodPost, "/v1/sse", `{"channels":[{"channel":"a"}]}`},
	} {
		full.call(q[0], q[1], full.all, nil, q[2])
	}
	full.call(http.MethodGet, "/v1/ws", "", http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}, "")
	full.call(http.MethodGet, "/v1/ws", "", nil, "")
	a := r.upgrade(http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {wire.Subprotocol},
	})
	r.traffic.HTTP(exchange(http.MethodGet, "/v1/ws", nil, "", a))

	r.drains(t)
}

// drains shows an outage and the end of a gateway.
func (r *recorder) drains(t *testing.T) {
	t.Helper()
	last := newRecorder(t, r.traffic, nil)
	s := last.connected("dan")
	last.call(http.MethodGet, "/readyz", "", nil, "")
	fault := last.rig.store.ForTest()
	last.stream(http.MethodGet, "/v1/sse?channel=a", "", []act{{has("connected"), func() { fault.Cut(last.cut) }}}, has("degraded"))
	s.hearThat("degraded", func(f wire.Frame) bool { return f.Type == "degraded" && f.Degraded })
	last.call(http.MethodGet, "/readyz", "", nil, "")
	fault.Heal(last.cut)
	s.hearThat("whole again", func(f wire.Frame) bool { return f.Type == "degraded" && !f.Degraded })

	poll := `{"channels":` + string(lastFrame(last, last.read("/v1/poll?channel=a&wait_ms=0").body).Channels) + `}`
	last.whilePolling(poll, func() {
		last.stream(http.MethodGet, "/v1/sse?channel=a", "", []act{{has("connected"), func() { go last.stop() }}}, has("moving"))
	})
	s.hear("moving")
	s.closed(wire.CloseRestart)
}
