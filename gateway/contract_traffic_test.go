package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// Whatever goes over the wire is what the contract says; and what the contract says is seen to go over the
// wire, but for what is listed here with the reason.
func TestTrafficIsWhatTheContractSays(t *testing.T) {
	r := newRecorder(t, nil, func(o *gateway.Options) {
		o.AllowedOrigins, o.AllowedHosts = []string{"https://app.example"}, []string{"gateway.example"}
	})
	r.refusals()
	r.publishes()
	r.histories()
	r.memberships()
	r.polls()
	r.streams()
	r.commandsOf()
	r.cookies()
	r.publicDocuments()
	r.frames()
	r.presences()
	r.resets()
	r.endings(t)
	unseen := map[string]bool{}
	for _, what := range r.traffic.Unseen() {
		unseen[what] = true
	}
	for what, why := range notShown {
		require.True(t, unseen[what], "%s was seen, or is in no document; it is listed because: %s", what, why)
		delete(unseen, what)
	}
	left := []string{}
	for what := range unseen {
		left = append(left, what)
	}
	slices.Sort(left)
	require.Empty(t, left, "described and never seen:\n%s", strings.Join(left, "\n"))
}

// notShown is what this traffic does not show, and why.
var notShown = map[string]string{
	"POST /v1/poll request_timeout":     "takes 15 s; TestBodiesMustComeInTime shows the code",
	"POST /v1/sse request_timeout":      "as above",
	"POST /v1/commands request_timeout": "as above",
	"POST /v1/publish request_timeout":  "as above",
	"close 1000":                        "a client that ends normally says it, and hears it back",
	"close 1001":                        "a page that is left says it",
	"close 4410":                        "reserved",
}

// request is one that an operation takes, as far as it gets.
type request struct{ path, body string }

// minimal are requests by operation.
var minimal = map[string]request{
	"GET /v1/ws":                         {"/v1/ws", ""},
	"GET /v1/poll":                       {"/v1/poll?channel=jobs:1&wait_ms=0", ""},
	"POST /v1/poll":                      {"/v1/poll", `{"channels":[{"channel":"jobs:1"}],"wait_ms":0}`},
	"GET /v1/sse":                        {"/v1/sse?channel=jobs:1", ""},
	"POST /v1/sse":                       {"/v1/sse", `{"channels":[{"channel":"jobs:1"}]}`},
	"POST /v1/commands":                  {"/v1/commands", `{"frames":{"type":"ping"}}`},
	"POST /v1/cookie":                    {"/v1/cookie", ""},
	"DELETE /v1/cookie":                  {"/v1/cookie", ""},
	"POST /v1/publish":                   {"/v1/publish", `{"channel":"jobs:1","event":{"type":"x"}}`},
	"GET /v1/channels/{channel}/events":  {"/v1/channels/jobs:1/events", ""},
	"HEAD /v1/channels/{channel}/events": {"/v1/channels/jobs:1/events", ""},
	"GET /v1/channels/{channel}/members": {"/v1/channels/jobs:1/members", ""},
	"GET /openapi.json":                  {"/openapi.json", ""},
	"GET /asyncapi.json":                 {"/asyncapi.json", ""},
	"GET /schemas":                       {"/schemas", ""},
	"HEAD /schemas":                      {"/schemas", ""},
	"GET /schemas/{type}":                {"/schemas/job.progress", ""},
	"HEAD /schemas/{type}":               {"/schemas/job.progress", ""},
	"GET /healthz":                       {"/healthz", ""},
	"GET /readyz":                        {"/readyz", ""},
}

// refusals makes every operation refuse its request for every reason that it shares with others.
func (r *recorder) refusals() {
	for operation, q := range minimal {
		method, _, _ := strings.Cut(operation, " ")
		upgrade := http.Header{}
		if operation == "GET /v1/ws" {
			upgrade = http.Header{
				"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
				"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
		}
		try := func(code wire.Code, token, name, value string) {
			header := upgrade.Clone()
			if name != "" {
				header.Set(name, value)
			}
			if !r.traffic.Describes(strings.Replace(operation, http.MethodHead, http.MethodGet, 1), string(code)) {
				return
			}
			a := r.call(method, q.path, token, header, q.body)
			if method != http.MethodHead {
				require.Contains(r.t, a.body, `"code":"`+string(code)+`"`, operation)
			}
		}
		for _, code := range []wire.Code{
			wire.CodeUnauthorized, wire.CodeTokenExpired, wire.CodeTokenRevoked, wire.CodeKeysUnavailable,
		} {
			try(code, "!"+string(code), "", "")
		}
		try(wire.CodeUnavailable, "!"+string(auth.CodeRevocationsUnavailable), "", "")
		try(wire.CodeInternal, "!panic", "", "")
		try(wire.CodeHostNotAllowed, r.all, "Host", "evil.example")
		try(wire.CodeOriginNotAllowed, r.all, "Origin", "https://evil.example")
		try(wire.CodeOriginRequired, "", "Cookie", "__Host-tallywire="+r.all)
	}
}

func (r *recorder) publishes() {
	post := func(query, token, kind, body string) {
		r.t.Helper()
		r.call(http.MethodPost, "/v1/publish"+query, token, http.Header{"Content-Type": {kind}}, body)
	}
	native := func(body string) { r.t.Helper(); post("", r.all, "application/json", body) }
	native(`{"channel":"jobs:1","event":{"type":"x","id":"7"},"ack":"stored"}`)
	native(`{"channel":"jobs:1","event":{"type":"x","id":"7"}}`)
	native(`{"events":[{"channel":"jobs:1","event":{"type":"job.progress","data":{"job_id":"1","percent":7}}},{"channel":"jobs:1","event":{"type":"y"}}]}`)
	native(`{"events":[{"channel":"jobs:1","event":{"type":"x"}},{"channel":"fault:refused","event":{"type":"x"}}]}`)
	post("?channel=jobs:1&ack=stored", r.all, "application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"s","type":"x","data":{"a":1}}`)
	post("", r.all, "application/cloudevents-batch+json", `[{"specversion":"1.0","id":"2","source":"s","type":"x","channel":"jobs:1"}]`)
	r.call(http.MethodPost, "/v1/publish?channel=jobs:1", r.all, http.Header{
		"Content-Type": {"text/plain"}, "Ce-Specversion": {"1.0"}, "Ce-Id": {"3"}, "Ce-Source": {"s"}, "Ce-Type": {"x"},
	}, "hello")
	native(`{"channel":"jobs:1"`)
	native(`{"channel":"{jobs}","event":{"type":"x"}}`)
	native(`{"channel":"jobs:1","event":{"type":"job.progress","data":{"percent":1}}}`)
	native(`{"channel":"jobs:1","event":{"type":"x"},"ack":"perhaps"}`)
	post("", r.all, "text/csv", "a,b")
	post("", r.token("bob", &auth.Permissions{}), "application/json", `{"channel":"jobs:1","event":{"type":"x"}}`)
	native(`{"pad":"` + strings.Repeat("x", 5<<20) + `"}`)
	for channel := range faults {
		native(`{"channel":"` + channel + `","event":{"type":"x"}}`)
	}
}

func (r *recorder) histories() {
	path := "/v1/channels/jobs:1/events"
	page := r.read(path + "?limit=2")
	r.call(http.MethodGet, path+"?limit=2", r.all, http.Header{"If-None-Match": {page.header.Get("ETag")}}, "")
	r.call(http.MethodHead, path, r.all, nil, "")
	var p historyAnswer
	page.decode(r.t.(*testing.T), &p)
	r.read(path + "?after=" + p.Next)
	r.read(path + "?before=end&limit=2")
	r.read(path + "?before=" + p.Head)
	hour := func(d time.Duration) string { return url.QueryEscape(time.Now().Add(d).UTC().Format(time.RFC3339)) }
	r.read(path + "?since=" + hour(-time.Hour) + "&until=" + hour(time.Hour))
	none := r.token("bob", &auth.Permissions{})
	for _, query := range []string{"after=0&until=" + hour(time.Hour), "before=end&limit=1", "since=" + hour(-time.Hour)} {
		r.call(http.MethodHead, path+"?"+query, r.all, nil, "")
	}
	for _, bad := range []struct{ channel, query, token string }{
		{"jobs:1", "?limit=0", r.all},
		{"jobs:1", "?after=7", r.all},
		{"jobs:1", "?since=today", r.all},
		{"_dead", "", r.all},
		{"jobs:1", "", none},
		{"fault:unavailable", "", r.all},
		{"fault:refused", "", r.all},
		{"fault:overloaded", "", r.all},
	} {
		r.call(http.MethodGet, "/v1/channels/"+bad.channel+"/events"+bad.query, bad.token, nil, "")
		r.call(http.MethodHead, "/v1/channels/"+bad.channel+"/events"+bad.query, bad.token, nil, "")
	}
}

// historyAnswer is what a client reads of a page.
type historyAnswer struct{ Head, Next string }

func (r *recorder) memberships() {
	s := r.connected("mia")
	s.say(`{"type":"presence","id":2,"channel":"m:1","status":{"at":"x"}}`)
	s.hear("present")
	path := "/v1/channels/m:1/members"
	r.read(path)
	r.read(path + "?limit=1&after=a")
	r.read(path + "?limit=0")
	r.read("/v1/channels/_m/members")
	r.read("/v1/channels/fault:unavailable/members")
	r.read("/v1/channels/fault:refused/members")
	r.call(http.MethodGet, path, r.token("bob", &auth.Permissions{}), nil, "")
	plain := newRecorder(r.t.(*testing.T), r.traffic, func(o *gateway.Options) { o.Presence, o.Directory = nil, nil })
	plain.read(path)
}

func (r *recorder) polls() {
	post := func(body string) answer { r.t.Helper(); return r.call(http.MethodPost, "/v1/poll", r.all, nil, body) }
	first := r.read("/v1/poll?channel=p:1&channel=p:2@" + url.QueryEscape(time.Now().UTC().Format(time.RFC3339)) + "&presence=p:2&session=c&wait_ms=0")
	next := lastFrame(r, first.body)
	post(`{"session":"c","channels":[{"channel":"p:1"}],"present":[{"channel":"p:2","status":{"a":1}}],"wait_ms":0}`)
	cursor := r.publish("p:1", event(1))
	r.read("/v1/poll?channel=p:1&channel=p:2&cursors=" + url.QueryEscape(next.Cursors))
	post(fmt.Sprintf(`{"channels":[{"channel":"p:1","cursor":"%d-%d"},{"channel":"fault:refused"}],"wait_ms":0}`, cursor.Offset+9, cursor.Stamp+9))
	// Another user comes and goes, and something that no subscriber can be shown.
	at := lastFrame(r, r.read("/v1/poll?channel=p:2&presence=p:2&wait_ms=0").body).Channels
	s := r.connected("pat")
	s.say(`{"type":"presence","id":2,"channel":"p:2"}`)
	s.hear("present")
	for n, changed := 0, false; !changed; n++ { // a change that comes before the poll waits is in a snapshot
		require.Less(r.t, n, 100, "no poll was told of a change")
		at = lastFrame(r, post(`{"channels":`+string(at)+`}`).body).Channels
		a := r.whilePolling(`{"channels":`+string(at)+`}`, func() {
			s.say(fmt.Sprintf(`{"type":"presence","id":3,"channel":"p:2","status":%d}`, n))
		})
		changed = strings.Contains(a.body, `"type":"member"`)
		s.hear("present")
	}
	r.publish("p:1", `{"type":"job.progress","data":{}}`)
	post(fmt.Sprintf(`{"channels":[{"channel":"p:1","cursor":"%s"}]}`, cursor))
	same := r.read("/v1/poll?channel=p:1&wait_ms=0")
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		tag := http.Header{"If-None-Match": {same.header.Get("ETag")}}
		path, body := "/v1/poll?channel=p:1&wait_ms=0", ""
		if method == http.MethodPost {
			path, body = "/v1/poll", `{"channels":[{"channel":"p:1"}],"wait_ms":0}`
		}
		r.call(method, path, r.all, tag, body)
	}
	r.badStreams("/v1/poll")
}

// whilePolling polls, and acts once the gateway has taken the poll.
func (r *recorder) whilePolling(body string, do func()) answer {
	r.t.Helper()
	before := r.gateway.Counters().Accepted.Load()
	polled := make(chan answer, 1)
	go func() { polled <- r.send(http.MethodPost, "/v1/poll", r.all, nil, body) }()
	r.eventually("the poll is taken", func() bool { return r.gateway.Counters().Accepted.Load() > before })
	do()
	a := <-polled
	r.traffic.HTTP(exchange(http.MethodPost, "/v1/poll", nil, body, a))
	return a
}

// badStreams are requests for channels that are refused as a whole.
func (r *recorder) badStreams(path string) {
	none := r.token("bob", &auth.Permissions{})
	many := strings.Repeat(`{"channel":"a"},`, 1000) + `{"channel":"a"}`
	type refused struct{ query, body, token string }
	list := []refused{
		{"", `{"channels":[]}`, r.all},
		{"?channel=a&cursors=~", `{"channels":[{"channel":"a"}],"cursors":"~"}`, r.all},
		{"?" + strings.Repeat("channel=a&", 1001), `{"channels":[` + many + `]}`, r.all},
		{"", `{"channels":"` + strings.Repeat("x", 600<<10) + `"}`, r.all},
	}
	if path == "/v1/poll" { // a stream begins, and tells it there
		list = append(list,
			refused{"?channel=p:1@7", `{"channels":[{"channel":"p:1","cursor":"7"}]}`, r.all},
			refused{"?channel=p:1@9T", `{"channels":[{"channel":"p:1","since":"today"}]}`, r.all},
			refused{"?channel=_no", `{"channels":[{"channel":"_no"}]}`, r.all},
			refused{"?channel=p:1", `{"channels":[{"channel":"p:1"}]}`, none},
			refused{"?channel=fault:unavailable", `{"channels":[{"channel":"fault:unavailable"}]}`, r.all},
			refused{"?channel=fault:refused", `{"channels":[{"channel":"fault:refused"}]}`, r.all},
		)
	}
	for _, bad := range list {
		r.call(http.MethodGet, path+bad.query, bad.token, nil, "")
		r.call(http.MethodPost, path, bad.token, nil, bad.body)
	}
}

// nextFrame is what a client reads of the last frame of a poll's answer.
type nextFrame struct {
	Channels json.RawMessage
	Cursors  string
}

func lastFrame(r *recorder, body string) nextFrame {
	r.t.Helper()
	var frames []nextFrame
	require.NoError(r.t, json.Unmarshal([]byte(body), &frames), body)
	return frames[len(frames)-1]
}
