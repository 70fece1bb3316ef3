package gateway_test

import (
	"encoding/base64"
	"encoding/json"
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

// poll polls by POST; the answer must be a good one.
func (r *rig) poll(token, format string, args ...any) pollAnswer {
	r.t.Helper()
	a, err := readPoll(r.request(http.MethodPost, "/v1/poll", token, nil, strings.NewReader(fmt.Sprintf(format, args...))))
	require.NoError(r.t, err)
	return a
}

// pollGet polls by GET; the answer must be a good one.
func (r *rig) pollGet(token, query string, args ...any) pollAnswer {
	r.t.Helper()
	a, err := readPoll(r.get("/v1/poll?"+fmt.Sprintf(query, args...), token, nil))
	require.NoError(r.t, err)
	return a
}

// types are those of frames.
func types(frames []wire.Frame) []string {
	out := make([]string, len(frames))
	for i := range frames {
		out[i] = frames[i].Type
	}
	return out
}

func TestPollAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	token := r.token("alice", nil)
	head := r.publish("jobs:1", event(0))

	// One that knows no cursor is given one, whatever it would wait.
	a := r.poll(token, `{"channels":[{"channel":"jobs:1"},{"channel":"jobs:0"}],"wait_ms":60000}`)
	require.Equal(t, []string{"subscribed", "subscribed"}, types(a.frames))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Empty(t, a.header.Get("ETag"), "only where nobody waits")
	require.Equal(t, []string{"jobs:0", "jobs:1"}, names(a.next.Channels))
	require.Equal(t, head.String(), a.next.Channels[1].Cursor)
	require.False(t, a.next.More || a.next.Degraded)

	// What it is given can be sent back as it stands. Nothing happens, so nothing is told.
	ask, err := json.Marshal(a.next.Channels)
	require.NoError(t, err)
	began := time.Now()
	b := r.poll(token, `{"channels":%s,"wait_ms":300}`, ask)
	require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
	require.Empty(t, b.frames)
	require.Equal(t, a.next, b.next)

	// Something happens.
	answers := make(chan pollAnswer, 1)
	go func() { answers <- r.pollGet(token, "channel=jobs:1&channel=jobs:0&cursors=%s", a.next.Cursors) }()
	r.eventually("waiting", func() bool { return r.gateway.Overview().Subscriptions == 2 })
	last := r.publish("jobs:1", event(1))
	c := <-answers
	require.Equal(t, []string{"event"}, types(c.frames))
	require.Equal(t, last, *c.frames[0].Cursor)
	require.Equal(t, last.String(), c.next.Channels[1].Cursor)
	require.Equal(t, a.next.Channels[0], c.next.Channels[0])
	r.eventually("nothing is kept", func() bool { return r.gateway.Connections() == 0 && r.gateway.Overview().Subscriptions == 0 })
}

func TestPollsByGetAndPostAreOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	token := r.token("alice", &auth.Permissions{Subscribe: []string{"jobs:*"}})
	first := r.publish("jobs:1", event(0))
	r.publish("jobs:1", event(1))
	other := r.publish("jobs:2", event(2))
	r.publish("jobs:2", event(3))
	at := url.QueryEscape(other.Time().UTC().Format(time.RFC3339Nano))
	get := r.pollGet(token, "session=s&channel=jobs:1@%s&channel=jobs:2@%s&channel=secret:1&channel=jobs:3&channel=jobs:4@x&wait_ms=0", first, at)
	post := r.poll(token, `{"session":"s","channels":[{"channel":"jobs:1","cursor":"%s"},{"channel":"jobs:2","since":"%s"},
		{"channel":"secret:1"},{"channel":"jobs:3"},{"channel":"jobs:4","cursor":"x"}],"wait_ms":0}`, first, other.Time().UTC().Format(time.RFC3339Nano))
	require.ElementsMatch(t, get.frames, post.frames)
	require.Equal(t, get.next, post.next)
	require.Len(t, get.frames, 6)
	require.Equal(t, []string{"jobs:1", "jobs:2", "jobs:3"}, names(get.next.Channels))
	require.Equal(t, get.header.Get("ETag"), post.header.Get("ETag"))
}

// A channel's own cursor wins over the composite; what the composite does not know begins now.
func TestCursorsOfAPoll(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	token := r.token("alice", nil)
	first := r.publish("jobs:1", event(0))
	r.publish("jobs:2", event(0))
	a := r.pollGet(token, "channel=jobs:1&channel=jobs:2")
	r.publish("jobs:1", event(1))
	r.publish("jobs:2", event(1))
	cursors := a.next.Cursors
	for _, query := range []string{"channel=jobs:1&channel=jobs:2", "channel=jobs:2&channel=jobs:1"} {
		require.Len(t, r.pollGet(token, "%s&cursors=%s", query, cursors).frames, 2)
	}
	r.publish("jobs:1", event(2))
	b := r.pollGet(token, "channel=jobs:2&channel=jobs:1@%s&cursors=%s&wait_ms=0", first, cursors)
	require.Len(t, b.frames, 3, "from the channel's own cursor")

	// A composite of more channels, of fewer, of others.
	for _, query := range []string{"channel=jobs:1", "channel=jobs:1&channel=jobs:2&channel=jobs:3", "channel=jobs:1&channel=jobs:3"} {
		p := r.get("/v1/poll?"+query+"&cursors="+cursors, token, nil).problem(t)
		require.Equal(t, wire.CodeInvalidCursor, p.Code)
		require.Equal(t, "/cursors", p.Path)
	}
	// The cursor of another channel: what it is, no gateway can know; that it is none of this one, it can.
	c := r.poll(token, `{"channels":[{"channel":"jobs:2","cursor":"%s"}],"wait_ms":0}`, b.next.Channels[0].Cursor)
	require.Equal(t, []string{"subscribed", "reset"}, types(c.frames)[:2])
	require.Equal(t, "forked", c.frames[1].Reason)
}

func TestBadPolls(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Subscriptions = 500 }})
	token := r.token("alice", nil)
	many := strings.Repeat(`{"channel":"jobs:1"},`, 500) + `{"channel":"jobs:1"}`
	good := r.pollGet(token, "channel=jobs:1").next.Cursors
	raw, err := base64.RawURLEncoding.DecodeString(good)
	require.NoError(t, err)
	composite := func(change func(b []byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(change(append([]byte(nil), raw...)))
	}
	newer := composite(func(b []byte) []byte { b[0]++; return b })
	cut := composite(func(b []byte) []byte { return b[:len(b)-1] })
	longer := composite(func(b []byte) []byte { return append(b, 0) })
	for body, want := range map[string]struct {
		status     int
		code, path string
	}{
		``:                             {400, "invalid_request", ""},
		`{`:                            {400, "invalid_request", ""},
		`[]`:                           {400, "invalid_request", ""},
		`null`:                         {400, "invalid_request", "/channels"},
		`{}`:                           {400, "invalid_request", "/channels"},
		`{"channels":[]}`:              {400, "invalid_request", "/channels"},
		`{"channels":"jobs:1"}`:        {400, "invalid_request", "/channels"},
		`{"channels":[{"channel":1}]}`: {400, "invalid_request", "/channels/channel"},
		`{"channels":[{"channel":"jobs:1"},{"channel":"jobs:1"}]}`:                                    {400, "invalid_request", "/channels"},
		`{"channels":[` + many + `]}`:                                                                 {400, "too_many_subscriptions", "/channels"},
		`{"channels":[{"channel":"jobs:1"}],"wait_ms":-1}`:                                            {400, "invalid_request", "/wait_ms"},
		`{"channels":[{"channel":"jobs:1"}],"wait_ms":60001}`:                                         {400, "invalid_request", "/wait_ms"},
		`{"channels":[{"channel":"jobs:1"}],"wait_ms":1.5}`:                                           {400, "invalid_request", "/wait_ms"},
		`{"channels":[{"channel":"jobs:1"}],"wait_ms":"1"}`:                                           {400, "invalid_request", "/wait_ms"},
		`{"channels":[{"channel":"jobs:1"}],"wait_ms":1e30}`:                                          {400, "invalid_request", "/wait_ms"},
		`{"channels":[{"channel":"jobs:1"}],"session":"` + strings.Repeat("s", 600) + `"}`:            {400, "invalid_request", "/session"},
		`{"channels":[{"channel":"jobs:1"}],"present":[{"channel":"jobs:1"}]}`:                        {400, "invalid_request", "/session"},
		`{"channels":[{"channel":"jobs:1"}],"cursors":"?"}`:                                           {400, "invalid_cursor", "/cursors"},
		`{"channels":[{"channel":"jobs:1"}],"cursors":"` + newer + `"}`:                               {400, "invalid_cursor", "/cursors"},
		`{"channels":[{"channel":"jobs:1"}],"cursors":"` + cut + `"}`:                                 {400, "invalid_cursor", "/cursors"},
		`{"channels":[{"channel":"jobs:1"}],"cursors":"` + longer + `"}`:                              {400, "invalid_cursor", "/cursors"},
		`{"channels":[{"channel":"_dead"}]}`:                                                          {400, "invalid_channel", "/channels/0/channel"},
		`{"channels":[{"channel":"jobs:1","cursor":"x"}]}`:                                            {400, "invalid_cursor", "/channels/0/cursor"},
		`{"channels":[{"channel":"jobs:1","since":"noon"}]}`:                                          {400, "invalid_since", "/channels/0/since"},
		`{"channels":[{"channel":"jobs:1","presence":true}]}`:                                         {405, "unsupported", "/channels/0/presence"},
		`{"channels":[{"channel":"jobs:1"}],"pad":"` + strings.Repeat("x", 512<<10) + `"}`:            {413, "frame_too_large", ""},
		`{"channels":[{"channel":"` + strings.Repeat("a", 100_000) + `\"},{"},{"channel":"\u0000"}]}`: {400, "invalid_channel", "/channels/0/channel"},
	} {
		a := r.request(http.MethodPost, "/v1/poll", token, nil, strings.NewReader(body))
		require.Equal(t, want.status, a.status, "%.100s: %.300s", body, a.body)
		p := a.problem(t)
		require.Equal(t, want.code, string(p.Code), "%.100s", body)
		require.Equal(t, want.path, p.Path, "%.100s", body)
	}
	for query, code := range map[string]wire.Code{
		"":                                       wire.CodeInvalidRequest,
		"channel=jobs:1&wait_ms=":                wire.CodeInvalidRequest,
		"channel=jobs:1&wait_ms=1s":              wire.CodeInvalidRequest,
		"channel=jobs:1&wait_ms=1&wait_ms=2":     wire.CodeInvalidRequest,
		"channel=jobs:1&session=a&session=b":     wire.CodeInvalidRequest,
		"channel=jobs:1&channel=%zz":             wire.CodeInvalidRequest,
		"channel=jobs:1&channel=jobs:1@5-5":      wire.CodeInvalidRequest,
		"channel=jobs:1&presence=jobs:2":         wire.CodeInvalidRequest,
		"channel=jobs:1&presence=jobs:1@x":       wire.CodeInvalidRequest,
		"channel=jobs:1&cursors=AA":              wire.CodeInvalidCursor,
		"channel=jobs:1@":                        wire.CodeInvalidCursor,
		"channel=jobs:1@5":                       wire.CodeInvalidCursor,
		"channel=jobs:1@2026-11-24T10:00:00+01:": wire.CodeInvalidSince,
		"channel=@5-5":                           wire.CodeInvalidChannel,
	} {
		require.Equal(t, code, r.get("/v1/poll?"+query, token, nil).problem(t).Code, query)
	}
	require.Equal(t, http.StatusMethodNotAllowed, r.request(http.MethodHead, "/v1/poll?channel=jobs:1", token, nil, nil).status)
	require.Equal(t, http.StatusMethodNotAllowed, r.request(http.MethodPut, "/v1/poll", token, nil, nil).status)
	require.Equal(t, http.StatusUnauthorized, r.get("/v1/poll?channel=jobs:1", "", nil).status)
	require.Equal(t, 415, r.request(http.MethodPost, "/v1/poll", token, http.Header{"Content-Encoding": {"gzip"}}, strings.NewReader("x")).status)
	r.eventually("nothing is left", func() bool { return r.gateway.Connections() == 0 && r.gateway.Overview().Subscriptions == 0 })
}

// One that does not wait is told in few bytes that nothing has changed; and whatever has changed it is told.
func TestPollsThatHaveTheAnswer(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{})
	token := r.token("alice", nil)
	r.publish("m:7", event(0))
	poll := func(query, tag string) answer {
		return r.get("/v1/poll?wait_ms=0&"+query, token, http.Header{"If-None-Match": {tag}})
	}
	first := r.pollGet(token, "channel=m:7&wait_ms=0")
	tag := first.header.Get("ETag")
	require.Equal(t, "private, no-cache", first.header.Get("Cache-Control"))
	at := "channel=m:7&cursors=" + first.next.Cursors
	for _, query := range []string{"channel=m:7", at} {
		for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			a := poll(query, known)
			require.Equal(t, http.StatusNotModified, a.status, "%s %s", query, known)
			require.Empty(t, a.body)
			require.Equal(t, tag, a.header.Get("ETag"))
		}
		require.Equal(t, http.StatusOK, poll(query, `"other"`).status)
	}
	// One that waits gets no 304.
	require.Equal(t, http.StatusOK, r.get("/v1/poll?wait_ms=1&"+at, token, http.Header{"If-None-Match": {tag}}).status)
	// What is refused is said every time, and the members where they are asked for.
	require.Equal(t, http.StatusOK, poll("channel=m:7&channel=m:8@x", "*").status)
	require.Equal(t, http.StatusOK, poll("channel=m:7&channel=_dead", "*").status)
	require.Equal(t, http.StatusOK, poll("channel=m:7&presence=m:7", "*").status)
	// An event.
	r.publish("m:7", event(1))
	for _, query := range []string{"channel=m:7", at} {
		a := poll(query, tag)
		require.Equal(t, http.StatusOK, a.status)
		require.NotEqual(t, tag, a.header.Get("ETag"))
	}
	// A reset that leads back to where the client was: the composite is the same, the answer is not.
	from := r.pollGet(token, "channel=m:7&wait_ms=0")
	head, err := broker.ParseCursor(from.next.Channels[0].Cursor)
	require.NoError(t, err)
	lost := broker.Cursor{Offset: head.Offset + 100, Stamp: head.Stamp + 100}
	a := poll("channel=m:7@"+lost.String(), from.header.Get("ETag"))
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, from.header.Get("ETag"), a.header.Get("ETag"))
	require.Contains(t, a.body, `"reset"`)
}
