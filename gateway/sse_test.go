package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// eventSource reads a stream as a browser's EventSource does: it knows a URL, keeps the last id, and comes
// back by itself after the time that the stream said.
type eventSource struct {
	t      *testing.T
	token  string
	cancel context.CancelFunc
	header http.Header
	reader *bufio.Reader
	rest   []wire.Frame // of the last message, after what until found
	lastID string
	retry  time.Duration
	status int
}

func newEventSource(t *testing.T, token string) *eventSource {
	t.Helper()
	return &eventSource{t: t, token: token, cancel: func() {}}
}

// open opens the stream at a URL.
func (s *eventSource) open(address string) {
	s.t.Helper()
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.cancel = cancel
	s.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	require.NoError(s.t, err)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+s.token)
	if s.lastID != "" {
		req.Header.Set("Last-Event-ID", s.lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	s.header, s.status, s.reader, s.rest = resp.Header, resp.StatusCode, bufio.NewReader(resp.Body), nil
}

// message returns the frames of the next message, or how the stream ended.
func (s *eventSource) message() ([]wire.Frame, error) {
	if rest := s.rest; len(rest) > 0 {
		s.rest = nil
		return rest, nil
	}
	for {
		e, err := readEvent(s.reader)
		if err != nil {
			return nil, err
		}
		if e.retry != "" {
			ms, err := strconv.Atoi(e.retry)
			require.NoError(s.t, err)
			s.retry = time.Duration(ms) * time.Millisecond
		}
		if e.id != "" {
			s.lastID = e.id
		}
		if e.data != "" {
			return wire.Message([]byte(e.data))
		}
	}
}

// until reads messages until a frame that it wants, and returns all frames up to it.
func (s *eventSource) until(wanted func(wire.Frame) bool) (all []wire.Frame) {
	s.t.Helper()
	for {
		frames, err := s.message()
		require.NoError(s.t, err)
		for i, x := range frames {
			if all = append(all, x); wanted(x) {
				s.rest = frames[i+1:]
				return all
			}
		}
	}
}

func isType(kind string) func(wire.Frame) bool {
	return func(x wire.Frame) bool { return x.Type == kind }
}

func TestStreamBegins(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	head := r.publish("jobs:1", event(0))
	s := newEventSource(t, r.token("alice", nil))
	s.open(r.url + "/v1/sse?session=s-1&channel=jobs:1")
	require.Equal(t, http.StatusOK, s.status)
	require.Equal(t, "text/event-stream", s.header.Get("Content-Type"))
	require.Equal(t, "no-store", s.header.Get("Cache-Control"))
	require.Equal(t, "no", s.header.Get("X-Accel-Buffering"))
	frames := s.until(isType("subscribed"))
	require.Equal(t, "connected", frames[0].Type)
	require.Equal(t, "s-1", frames[0].Session)
	require.Equal(t, "alice", frames[0].User)
	require.Equal(t, "gw-test", frames[0].Gateway)
	require.Equal(t, head, *frames[len(frames)-1].Cursor)
	require.GreaterOrEqual(t, s.retry, time.Second)
	require.Less(t, s.retry, 3*time.Second)
	at, err := gateway.CursorsOf(s.lastID, []string{"jobs:1"})
	require.NoError(t, err)
	require.Equal(t, map[string]broker.Cursor{"jobs:1": head}, at)

	// Others are told another time, lest all come back at once.
	times := map[time.Duration]bool{}
	for range 10 {
		other := newEventSource(t, s.token)
		other.open(r.url + "/v1/sse?channel=jobs:1")
		other.until(isType("subscribed"))
		times[other.retry] = true
		other.cancel()
	}
	require.Greater(t, len(times), 5)
}

// What an event holds cannot end a line of the stream, nor the stream.
func TestStreamsHaveLinesOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	s := newEventSource(t, r.token("alice", nil))
	s.open(r.url + "/v1/sse?channel=jobs:1")
	s.until(isType("subscribed"))
	for _, text := range []string{
		"{\n \"type\": \"x\",\r\n\t\"data\": {\"a\":\n1}\n}", "{\"type\":\"x\",\r\"data\":\"\\n\\nid: 7\\n\"}\n\n", "\n{\"type\":\"x\",\"data\":\"\u2028\u0085\"}",
		`{"type":"x","subject":"data: x"}`,
	} {
		c := r.publish("jobs:1", text)
		frames, err := s.message()
		require.NoError(t, err)
		require.Equal(t, []string{"event"}, types(frames), "%q", text)
		require.Equal(t, c, *frames[0].Cursor)
		require.JSONEq(t, text, string(frames[0].Event))
		at, err := gateway.CursorsOf(s.lastID, []string{"jobs:1"})
		require.NoError(t, err)
		require.Equal(t, c, at["jobs:1"])
	}
}

// A browser comes back to the same URL, with the last id that it saw: that wins over whatever the URL says.
func TestStreamsGoOnByThemselves(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	first := r.publish("jobs:1", event(0))
	r.publish("jobs:2", event(0))
	address := r.url + "/v1/sse?channel=jobs:2&channel=jobs:1@" + first.String()
	s := newEventSource(t, r.token("alice", nil))
	s.open(address)
	s.until(isType("subscribed"))
	at := positions{}
	want := 0
	for round := range 5 {
		for n := range 10 {
			r.publish("jobs:1", event(n))
			r.publish("jobs:2", event(n))
		}
		want += 20
		if round > 0 {
			s.open(address)
		}
		for got := 20 * round; got < want; {
			frames, err := s.message()
			require.NoError(t, err)
			for _, x := range frames {
				require.NotEqual(t, "reset", x.Type)
				if x.Type == "subscribed" && at[x.Channel] != (broker.Cursor{}) {
					require.True(t, x.Resumed)
					require.Equal(t, at[x.Channel], *x.Cursor)
				}
				if x.Type == "event" {
					got++
					if prior, known := at[x.Channel]; known {
						require.Equal(t, prior.Offset+1, x.Cursor.Offset)
					}
				}
				if x.Cursor != nil {
					at[x.Channel] = *x.Cursor
				}
			}
		}
		s.cancel() // the network
	}
}

func TestBadStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: lingerless})
	token := r.token("alice", nil)
	good := r.pollGet(token, "channel=jobs:1&channel=jobs:2").next.Cursors
	for query, code := range map[string]wire.Code{
		"":                                    wire.CodeInvalidRequest,
		"channel=jobs:1&channel=jobs:1":       wire.CodeInvalidRequest,
		"channel=jobs:1&wait_ms=70000":        wire.CodeInvalidRequest,
		"channel=jobs:1&cursors=" + good:      wire.CodeInvalidCursor,
		"channel=jobs:1&channel=jobs:2&a=%zz": wire.CodeInvalidRequest,
	} {
		require.Equal(t, code, r.get("/v1/sse?"+query, token, nil).problem(t).Code, query)
	}
	for _, id := range []string{good, "?", good + "A", strings.Repeat("A", 10_000)} {
		p := r.get("/v1/sse?channel=jobs:1", token, http.Header{"Last-Event-Id": {id}}).problem(t)
		require.Equal(t, wire.CodeInvalidCursor, p.Code)
	}
	p := r.request(http.MethodPost, "/v1/sse", token, nil,
		strings.NewReader(`{"session":"s","channels":[{"channel":"jobs:1"}],"present":[{"channel":"jobs:1"}]}`)).problem(t)
	require.Equal(t, "/present", p.Path)
	require.Equal(t, http.StatusUnauthorized, r.get("/v1/sse?channel=jobs:1", "", nil).status)
	require.Equal(t, http.StatusMethodNotAllowed, r.request(http.MethodHead, "/v1/sse?channel=jobs:1", token, nil, nil).status)
	r.empty()
}

// A gateway that drains tells its streams to move; one that does not is ended, and goes on elsewhere, where
// it was.
func TestStreamsOfAGatewayThatDrains(t *testing.T) {
	t.Parallel()
	const window = 500 * time.Millisecond
	old := newRig(t, rigOptions{change: func(o *gateway.Options) { o.DrainWindow = window }})
	next := newRig(t, rigOptions{store: old.store})
	token := old.token("alice", nil)
	path := "/v1/sse?channel=jobs:1&channel=calm:1"
	const n = 8
	sources := make([]*eventSource, n)
	for i := range sources {
		sources[i] = newEventSource(t, token)
		sources[i].open(old.url + path)
		for range 2 {
			sources[i].until(isType("subscribed"))
		}
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); old.stop() }()
	for _, s := range sources {
		f := s.until(isType("moving"))
		require.Less(t, f[len(f)-1].AfterMS, window.Milliseconds())
		require.Less(t, s.retry, 4*time.Second)
	}
	at := old.publish("jobs:1", event(1)) // until it is closed a stream is served
	refused := old.get(path, token, nil)
	require.Equal(t, http.StatusServiceUnavailable, refused.status)
	require.NotEmpty(t, refused.header.Get("Retry-After"))
	served := 0
	for _, s := range sources {
		frames, err := s.message()
		if err == nil {
			require.Equal(t, []string{"event"}, types(frames))
			served++
			_, err = s.message()
		}
		require.EqualError(t, err, "EOF", "ended, and not cut off")
	}
	require.NotZero(t, served)
	<-stopped
	last := next.publish("jobs:1", event(2))
	for _, s := range sources {
		s.open(next.url + path)
		frames := s.until(func(x wire.Frame) bool { return x.Type == "event" && *x.Cursor == last })
		for _, x := range frames {
			require.NotEqual(t, "reset", x.Type)
			require.False(t, x.Type == "subscribed" && !x.Resumed)
		}
		if first := slices.IndexFunc(frames, isType("event")); *frames[first].Cursor != at {
			require.Equal(t, last, *frames[first].Cursor)
		}
		s.cancel()
	}
}

// A stream whose client does not read is ended after the write timeout; nobody else waits for it, and
// nothing of it is left.
func TestStreamsThatAreNotRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		lingerless(o)
		o.Limits.WriteTimeout = 300 * time.Millisecond
	}})
	stuck := transports[1].readWith(r, &feed{
		user: "alice", token: r.token("alice", nil), receive: 4096, asked: []wire.StreamChannel{now("jobs:1")},
	})
	stuck.expect("subscribed")
	live := transports[1].read(r, "bob", nil, now("jobs:1"))
	live.expect("subscribed")
	for n := 0; r.gateway.Counters().SlowConsumers.Load() == 0; n++ {
		require.Less(t, n, 1000)
		r.publish("jobs:1", fmt.Sprintf(`{"type":"x","data":"%s"}`, strings.Repeat("x", 60<<10)))
		live.collect(1)
	}
	require.EqualValues(t, 1, r.gateway.Counters().SlowConsumers.Load())
	live.close()
	r.empty()
	// What had reached it is in order, and good to go on after.
	for {
		if _, err := stuck.tryNext(); err != nil {
			break
		}
	}
	at := stuck.at["jobs:1"]
	back := transports[2].read(r, "alice", nil, stuck.here()...)
	require.True(t, back.expect("subscribed").Resumed)
	require.Equal(t, at.Offset+1, back.expect("event").Cursor.Offset)
}

// Clients that go while they are told something, or nothing, leave nothing.
func TestStreamsOfClientsThatGo(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{rigOptions: rigOptions{change: lingerless}})
	for round := range 10 {
		var feeds []*feed
		for i := range 5 {
			f := transports[1].read(r.rig, fmt.Sprint("u", i), nil, now("m:7"), watching("m:8"))
			f.expect("subscribed")
			feeds = append(feeds, f)
		}
		for n := range 20 {
			r.publish("m:7", event(n))
		}
		for i, f := range feeds {
			for i == round%5 && f.next().Type != "event" {
			}
			f.close()
		}
	}
	r.empty()
}

// What a page sends through the query arrives as it was meant.
func TestStreamsByQuery(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{})
	start := r.publish("m:7", event(0))
	r.publish("m:7", event(1))
	q := url.Values{
		"channel":  {"m:7@" + start.String(), "m:8@" + start.Time().UTC().Format(time.RFC3339Nano), "secret:1"},
		"presence": {"m:8"}, "session": {"tab 1&2"},
	}
	s := newEventSource(t, r.token("alice", &auth.Permissions{Subscribe: []string{"m:*"}, Presence: []string{"m:*"}}))
	s.open(r.url + "/v1/sse?" + q.Encode())
	seen := map[string]int{}
	for len(seen) < 6 {
		frames, err := s.message()
		require.NoError(t, err)
		for _, x := range frames {
			seen[strings.TrimSpace(x.Type+" "+x.Channel+x.Session)]++
		}
	}
	require.Equal(t, map[string]int{
		"connected tab 1&2": 1, "subscribed m:7": 1, "subscribed m:8": 1, "error secret:1": 1, "event m:7": 1, "members m:8": 1,
	}, seen)
}
