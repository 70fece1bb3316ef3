package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// empty waits until nothing of any reader is left at the gateway.
func (r *rig) empty() {
	r.t.Helper()
	r.eventually("nothing is left", func() bool {
		o := r.gateway.Overview()
		return o.Connections == 0 && o.Sessions == 0 && o.Subscriptions == 0 && o.Channels == 0
	})
}

// lingerless lets go of a channel as soon as nobody reads it.
func lingerless(o *gateway.Options) { o.RelayLinger = time.Millisecond }

// held starts a poll, and waits until it waits with its subscriptions.
func (r *rig) held(ctx context.Context, token, body string, subscriptions int) <-chan answer {
	r.t.Helper()
	answers := make(chan answer, 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/v1/poll", strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			answers <- answer{body: err.Error()}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(resp.Body)
		answers <- answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
	}()
	r.eventually("waiting", func() bool { return r.gateway.Overview().Subscriptions == subscriptions })
	return answers
}

func TestPollsOfClientsThatGo(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{rigOptions: rigOptions{change: lingerless}})
	token := r.token("alice", nil)
	start := r.publish("m:7", event(0))
	const n = 20
	body := fmt.Sprintf(`{"session":"s-%%d","channels":[{"channel":"m:7","cursor":"%s","presence":true},{"channel":"m:8","cursor":"0"}]}`, start)
	first := r.poll(token, `{"channels":[{"channel":"m:7","presence":true}],"wait_ms":0}`)
	require.NotNil(t, first.next.Channels[0].Members)
	body = strings.Replace(body, `"presence":true`, fmt.Sprintf(`"presence":true,"members":%d`, *first.next.Channels[0].Members), 1)
	ctx, cancel := context.WithCancel(t.Context())
	answers := make([]<-chan answer, n)
	for i := range n {
		answers[i] = r.held(ctx, token, fmt.Sprintf(body, i), 2*(i+1))
	}
	cancel()
	for i := range n {
		require.Zero(t, (<-answers[i]).status)
	}
	r.empty()
}

// A newer poll of a session ends the older one here, and says so.
func TestTwoPollsOfOneSession(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: lingerless})
	alice, bob := r.token("alice", nil), r.token("bob", nil)
	start := r.publish("jobs:1", event(0))
	body := fmt.Sprintf(`{"session":"s","channels":[{"channel":"jobs:1","cursor":"%s"}],"wait_ms":60000}`, start)
	other := r.held(t.Context(), bob, body, 1) // a session of the same name, of somebody else
	nameless := r.held(t.Context(), alice, strings.Replace(body, `"session":"s",`, "", 1), 2)
	older := r.held(t.Context(), alice, body, 3)
	for range 3 {
		newer := make(chan answer, 1)
		go func() { newer <- r.request(http.MethodPost, "/v1/poll", alice, nil, strings.NewReader(body)) }()
		a, err := readPoll(<-older)
		require.NoError(t, err)
		require.Equal(t, []string{"error"}, types(a.frames))
		require.Equal(t, wire.CodeReplaced, a.frames[0].Code)
		require.Equal(t, start.String(), a.next.Channels[0].Cursor, "nothing is lost of it")
		older = newer
	}
	last := r.publish("jobs:1", event(1))
	for _, newest := range []<-chan answer{older, other, nameless} {
		a, err := readPoll(<-newest)
		require.NoError(t, err)
		require.Equal(t, []string{"event"}, types(a.frames))
		require.Equal(t, last, *a.frames[0].Cursor)
	}
	r.empty()
}

// A request that its client has given up may come after the next one. It ends nothing.
func TestAPollThatWasGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: lingerless})
	token := r.token("alice", nil)
	first := r.publish("jobs:1", event(0))
	start := r.publish("jobs:1", event(1))
	body := `{"session":"s","channels":[{"channel":"jobs:1","cursor":"%s"}],"wait_ms":60000}`
	waiting := r.held(t.Context(), token, fmt.Sprintf(body, start), 1)
	for i, at := range []broker.Cursor{start, first, start} { // it would wait, or be answered
		late := fmt.Sprintf(body, at)
		accepted := r.gateway.Counters().Accepted.Load()
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST /v1/poll HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(late), late)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		r.eventually("come and gone", func() bool {
			return r.gateway.Counters().Accepted.Load() > accepted && r.gateway.Connections() == 1
		})
		require.Empty(t, waiting, i)
	}
	// It is the session's poll still, which the next one ends.
	newest := make(chan answer, 1)
	go func() {
		newest <- r.request(http.MethodPost, "/v1/poll", token, nil, strings.NewReader(fmt.Sprintf(body, start)))
	}()
	a, err := readPoll(<-waiting)
	require.NoError(t, err)
	require.Equal(t, []string{"error"}, types(a.frames))
	require.Equal(t, wire.CodeReplaced, a.frames[0].Code)
	last := r.publish("jobs:1", event(2))
	a, err = readPoll(<-newest)
	require.NoError(t, err)
	require.Equal(t, []string{"event"}, types(a.frames))
	require.Equal(t, last, *a.frames[0].Cursor)
	r.empty()
}

// A gateway that drains answers its polls within the window, with what there is or with `moving`, and sends
// their clients to other connections.
func TestPollsOfAGatewayThatDrains(t *testing.T) {
	t.Parallel()
	const window = 1500 * time.Millisecond
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.DrainWindow, o.Flushers = window, 2 }})
	token := r.token("alice", nil)
	start, calm := r.publish("jobs:1", event(0)), r.publish("calm:1", event(0))
	head := fmt.Sprintf("GET /v1/poll?wait_ms=60000&channel=%%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", token)
	const n = 10
	answers := make(chan answer, n+1)
	ask := func(channel string) {
		a, _, in := r.raw(fmt.Sprintf(head, channel))
		if _, err := in.ReadByte(); err != io.EOF {
			a.body = "the connection is still open"
		}
		answers <- a
	}
	for range n {
		go ask("calm:1@" + calm.String())
	}
	go ask("jobs:1@" + start.String())
	r.eventually("waiting", func() bool { return r.gateway.Overview().Subscriptions == n+1 })
	began := time.Now()
	stopped := make(chan struct{})
	go func() { defer close(stopped); r.stop() }()
	r.eventually("draining", func() bool { return r.get("/v1/poll?channel=jobs:1", token, nil).status == 503 })
	refused := r.get("/v1/poll?channel=jobs:1", token, nil)
	require.Equal(t, wire.CodeOverloaded, refused.problem(t).Code)
	require.NotEmpty(t, refused.header.Get("Retry-After"))
	last := r.publish("jobs:1", event(1))
	moved, delivered := 0, 0
	for range n + 1 {
		a := <-answers
		p, err := readPoll(a)
		require.NoError(t, err)
		switch p.frames[0].Type {
		case "moving":
			require.LessOrEqual(t, p.frames[0].AfterMS, int64(100))
			moved++
		case "event":
			require.Equal(t, last, *p.frames[0].Cursor)
			delivered++
		}
		require.Len(t, p.next.Channels, 1)
	}
	require.Less(t, time.Since(began), window+500*time.Millisecond)
	require.Equal(t, n+1, moved+delivered)
	require.GreaterOrEqual(t, moved, n)
	<-stopped
}

// A proxy that has no patience cuts polls that wait for longer than it does. Their client asks again from
// where it was.
func TestPollsThroughAProxyThatCuts(t *testing.T) {
	t.Parallel()
	for _, wait := range []int{50, 2000} {
		t.Run(fmt.Sprint(wait), func(t *testing.T) {
			t.Parallel()
			const patienceOfTheProxy, total = 300 * time.Millisecond, 60
			r := newRig(t, rigOptions{})
			target, err := url.Parse(r.url)
			require.NoError(t, err)
			proxy := httputil.NewSingleHostReverseProxy(target)
			proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusGatewayTimeout) }
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				ctx, cancel := context.WithTimeout(req.Context(), patienceOfTheProxy)
				defer cancel()
				proxy.ServeHTTP(w, req.WithContext(ctx))
			}))
			defer front.Close()
			start := r.publish("jobs:1", event(-1))
			published := make(chan error, 1)
			go func() { // at a pace at which polls are cut in between
				var err error
				for n := 0; n < total && err == nil; n++ {
					if n%20 == 10 {
						pause(t.Context(), 2*patienceOfTheProxy)
					}
					err = tryPublish(t.Context(), r.broker, "jobs:1", event(n))
				}
				published <- err
			}()
			at, cut := positions{"jobs:1": start}, 0
			for got := 0; got < total; {
				body, _ := json.Marshal(map[string]any{"session": "s", "channels": []wire.StreamChannel{after("jobs:1", at["jobs:1"])}, "wait_ms": wait})
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/v1/poll", bytes.NewReader(body))
				require.NoError(t, err)
				req.Header.Set("Authorization", "Bearer "+r.token("alice", nil))
				resp, err := http.DefaultClient.Do(req)
				require.NoError(t, err)
				text, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusGatewayTimeout || err != nil {
					cut++
					continue
				}
				a, err := readPoll(answer{status: resp.StatusCode, header: resp.Header, body: string(text)})
				require.NoError(t, err)
				for _, x := range a.frames {
					require.NoError(t, at.take(x))
					require.Equal(t, "event", x.Type)
					require.JSONEq(t, event(got), string(x.Event))
					got++
				}
			}
			require.NoError(t, <-published)
			if wait > 300 {
				require.NotZero(t, cut, "none was cut")
			}
		})
	}
}

// Bodies that do not come, and those that come to an end with a store that does not.
func TestPollsThatTakeTheirTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.BodyTimeout = 50 * time.Millisecond }})
	token := r.token("alice", nil)
	head := "POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 100\r\n\r\n{"
	for _, path := range []string{"poll", "sse", "commands"} {
		a, _, _ := r.raw(fmt.Sprintf(head, path))
		require.Equal(t, http.StatusRequestTimeout, a.status, path)
		require.Equal(t, wire.CodeRequestTimeout, a.problem(t).Code)
	}
	// One whose body has come may wait for longer than bodies may.
	start := r.publish("jobs:1", event(0))
	body := fmt.Sprintf(`{"channels":[{"channel":"jobs:1","cursor":"%s"}],"wait_ms":300}`, start)
	began := time.Now()
	require.Empty(t, r.poll(token, "%s", body).frames)
	require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
}

// Many polls that come and go while events are published, of sessions of their own and of the same ones:
// whoever is not replaced gets everything.
func TestManyPollersAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 16; o.RelayLinger = time.Millisecond }})
	const readers, total = 30, 200
	start := r.publish("jobs:1", event(-1))
	feeds := make([]*feed, readers)
	for i := range feeds {
		feeds[i] = transports[2].readWith(r, &feed{
			user: "alice", session: fmt.Sprint("s-", i), token: r.token("alice", nil), asked: []wire.StreamChannel{after("jobs:1", start)},
		})
	}
	var all sync.WaitGroup
	for n := range total {
		r.publish("jobs:1", event(n))
	}
	for _, f := range feeds {
		all.Go(func() {
			for n := 0; n < total; {
				x, err := f.tryNext()
				if err != nil {
					t.Error(err)
					return
				}
				if x.Type == "event" {
					n++
				}
			}
			f.close()
		})
	}
	all.Wait()
	r.empty()
}
