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
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/namespace"
)

// engine is a gateway over one kind of store, and what may happen to a store.
type engine struct {
	*rig
	fork   func(channel string, k int) // the last k entries are gone
	expire func(channel string)
}

var engineNamespaces = map[string]namespace.Options{"small": {MaxLen: 5}, "short": {TTL: time.Second}}

// engines runs a test over the embedded engine and over Redis.
func engines(t *testing.T, test func(t *testing.T, e engine)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		r := newRig(t, rigOptions{namespaces: engineNamespaces})
		faults := r.store.ForTest()
		test(t, engine{r, func(channel string, k int) { faults.Fork(channel, k) }, faults.Delete})
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Start(t)
		client, _, err := redisconn.Open(server.URL())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		var b *redisbroker.Broker
		r := newRig(t, rigOptions{namespaces: engineNamespaces, change: func(o *gateway.Options) {
			b, err = redisbroker.New(client, redisbroker.Options{Namespaces: o.Namespaces, ProbeEvery: 100 * time.Millisecond})
			require.NoError(t, err)
			o.Broker = b
		}})
		r.broker = b
		test(t, engine{r, func(channel string, k int) { forkStream(t, server, channel, k) }, func(channel string) {
			server.Do("DEL", "tw:{"+channel+"}")
		}})
	})
}

// forkStream writes a stream anew without its last k entries, as the replica that lacked them has it.
func forkStream(t *testing.T, server *redistest.Server, channel string, k int) {
	t.Helper()
	key := "tw:{" + channel + "}"
	entries, err := server.Admin().XRange(t.Context(), key, "-", "+").Result()
	require.NoError(t, err)
	server.Do("DEL", key)
	for _, e := range entries[:len(entries)-k] {
		server.Do("XADD", key, e.ID, "e", e.Values["e"], "p", e.Values["p"])
	}
}

// page gets a page of history, and the address of the next one, "" on the last.
func (r *rig) page(address string) (historyPage, string) {
	r.t.Helper()
	resp := r.get(address, r.token("alice", nil), nil)
	require.Equal(r.t, http.StatusOK, resp.status, resp.body)
	var page historyPage
	resp.decode(r.t.(*testing.T), &page) //nolint:forcetypeassert // it is one
	require.Equal(r.t, page.Head.String(), resp.header.Get("Tallywire-Head"))
	link := resp.header.Get("Link")
	require.Equal(r.t, page.More, link != "")
	if link == "" {
		return page, ""
	}
	target, ok := strings.CutSuffix(link, `>; rel="next"`)
	require.True(r.t, ok, link)
	base, err := url.Parse(address)
	require.NoError(r.t, err)
	next, err := base.Parse(strings.TrimPrefix(target, "<"))
	require.NoError(r.t, err)
	return page, next.String()
}

// walk follows the pages of an answer to the last and returns all cursors, and the last page. What is
// delivered and what is skipped must account for every offset.
func (r *rig) walk(channel string, query url.Values) (all []broker.Cursor, last historyPage) {
	r.t.Helper()
	down := query.Has("before")
	var at uint64 // the offset that was accounted for last
	step := func(to, skipped uint64) {
		if at != 0 && down {
			require.Equal(r.t, at-1-skipped, to)
		} else if at != 0 {
			require.Equal(r.t, at+1+skipped, to)
		}
		at = to
	}
	for address := "/v1/channels/" + channel + "/events?" + query.Encode(); address != ""; {
		last, address = r.page(address)
		require.Nil(r.t, last.Reset)
		for _, e := range last.Events {
			step(e.Cursor.Offset, e.Skipped)
			all = append(all, e.Cursor)
		}
		if last.Skipped > 0 {
			step(last.Next.Offset, last.Skipped-1)
		}
	}
	return all, last
}

func rfc3339(c broker.Cursor) string { return c.Time().UTC().Format(time.RFC3339Nano) }

// Whatever the window, the direction and the size of the pages, they hold what was published within it.
func TestHistoryPages(t *testing.T) {
	engines(t, func(t *testing.T, e engine) {
		var published, valid []broker.Cursor
		for n := range 40 {
			text := event(n)
			if n%7 == 3 || n > 36 {
				text = `{"type":"job.progress","data":{}}` // past the gateway
			}
			c := e.publish("jobs:1", text)
			if published = append(published, c); text == event(n) {
				valid = append(valid, c)
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			query := url.Values{"limit": {fmt.Sprint(rapid.IntRange(1, 50).Draw(t, "limit"))}}
			low, high := broker.Cursor{}, published[len(published)-1]
			pick := func(name string) broker.Cursor { return rapid.SampledFrom(published).Draw(t, name) }
			down := rapid.Bool().Draw(t, "backwards")
			if down {
				query.Set("before", "end")
				if rapid.Bool().Draw(t, "by cursor") {
					c := pick("before")
					query.Set("before", c.String())
					high = broker.Cursor{Offset: c.Offset - 1, Stamp: c.Stamp - 1}
				}
			} else if rapid.Bool().Draw(t, "by cursor") {
				low = pick("after")
				query.Set("after", low.String())
			}
			if !query.Has("after") && rapid.Bool().Draw(t, "since") {
				low = pick("since")
				query.Set("since", rfc3339(low))
			}
			if rapid.Bool().Draw(t, "until") {
				c := pick("until")
				if query.Has("since") && c.Stamp <= low.Stamp {
					c = published[len(published)-1]
				}
				if c.Stamp <= low.Stamp {
					return
				}
				query.Set("until", rfc3339(c))
				high.Stamp = min(high.Stamp, c.Stamp)
			}
			var want []broker.Cursor
			for _, c := range valid {
				if c.Stamp > low.Stamp && c.Stamp <= high.Stamp {
					want = append(want, c)
				}
			}
			if down {
				slices.Reverse(want)
			}
			got, last := e.walk("jobs:1", query)
			if !slices.Equal(want, got) {
				t.Fatalf("%s: %v, want %v", query.Encode(), got, want)
			}
			if last.Head != published[len(published)-1] || !last.Oldest.IsZero() {
				t.Fatalf("head %s, oldest %s", last.Head, last.Oldest)
			}
		})
	})
}

func TestHistoryOfWhatIsNotThere(t *testing.T) {
	engines(t, func(t *testing.T, e engine) {
		for _, query := range []string{"", "before=end", "until=2026-11-24T10:00:00Z", "since=" + url.QueryEscape(time.Now().Format(time.RFC3339Nano))} {
			page, next := e.page("/v1/channels/jobs:none/events?" + query)
			require.Empty(t, page.Events)
			require.NotNil(t, page.Events, "an array all the same")
			require.Nil(t, page.Reset, query)
			require.True(t, page.Head.IsZero())
			require.Empty(t, next)
		}
		for _, query := range []string{"after=7-7", "before=7-7", "since=2020-01-01T00:00:00Z"} {
			page, next := e.page("/v1/channels/jobs:none/events?" + query)
			require.Empty(t, page.Events)
			require.Equal(t, "expired", page.Reset.Reason, query)
			require.Empty(t, next)
		}
	})
}

func TestHistoryTellsWhatIsLost(t *testing.T) {
	engines(t, func(t *testing.T, e engine) {
		var small, jobs []broker.Cursor
		for n := range 20 {
			small = append(small, e.publish("small:1", event(n)))
			jobs = append(jobs, e.publish("jobs:1", event(n)))
		}
		short := e.publish("short:1", event(0))
		e.fork("jobs:1", 5)
		shared := jobs[14]
		jobs = append(jobs[:15:15], e.publish("jobs:1", event(99)))
		lost := broker.Cursor{Offset: jobs[15].Offset, Stamp: jobs[15].Stamp - 1}
		e.expire("short:1")
		reborn := e.publish("short:1", event(1))
		newestFirst := func(c []broker.Cursor) []broker.Cursor { c = slices.Clone(c); slices.Reverse(c); return c }
		oldest := small[14] // five are retained after it
		for _, c := range []struct {
			name, channel, query, reason string
			cursor                       broker.Cursor
			want                         []broker.Cursor
		}{
			{"nothing asked for", "small:1", "", "", broker.Cursor{}, small[15:]},
			{"the last that is still known", "small:1", "after=" + oldest.String(), "", broker.Cursor{}, small[15:]},
			{"after what is trimmed", "small:1", "after=" + small[13].String(), "trimmed", oldest, small[15:]},
			{"from the beginning", "small:1", "after=0", "trimmed", oldest, small[15:]},
			{"since what is trimmed", "small:1", "since=" + rfc3339(small[3]), "trimmed", oldest, small[15:]},
			{"since the last that is known", "small:1", "since=" + rfc3339(oldest), "", broker.Cursor{}, small[15:]},
			{"before what is trimmed", "small:1", "before=" + small[13].String(), "trimmed", oldest, nil},
			{"before the first retained", "small:1", "before=" + small[15].String(), "", broker.Cursor{}, nil},
			{"before the end", "small:1", "before=end", "", broker.Cursor{}, newestFirst(small[15:])},
			{"after what another log had", "jobs:1", "after=" + lost.String(), "forked", broker.Cursor{}, jobs},
			{"before what another log had", "jobs:1", "before=" + lost.String(), "forked", jobs[15], newestFirst(jobs)},
			{"before what both logs have", "jobs:1", "before=" + shared.String(), "", broker.Cursor{}, newestFirst(jobs[:14])},
			{"after the future", "jobs:1", "after=99-" + fmt.Sprint(uint64(1)<<52), "forked", broker.Cursor{}, jobs},
			{"before the future", "jobs:1", "before=99-" + fmt.Sprint(uint64(1)<<52), "forked", jobs[15], newestFirst(jobs)},
			{"after a stream that expired", "short:1", "after=" + short.String(), "expired", broker.Cursor{}, []broker.Cursor{reborn}},
			{"before a stream that expired", "short:1", "before=" + short.String(), "expired", reborn, []broker.Cursor{reborn}},
			{"since a stream that expired", "short:1", "since=2020-01-01T00:00:00Z", "expired", broker.Cursor{}, []broker.Cursor{reborn}},
			{"before everything", "jobs:1", "before=0", "", broker.Cursor{}, nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				page, next := e.page("/v1/channels/" + c.channel + "/events?" + c.query)
				require.Empty(t, next)
				if c.reason == "" {
					require.Nil(t, page.Reset)
				} else {
					require.NotNil(t, page.Reset)
					require.Equal(t, c.reason, page.Reset.Reason)
					require.Equal(t, c.cursor, page.Reset.Cursor)
				}
				var got []broker.Cursor
				for _, ev := range page.Events {
					got = append(got, ev.Cursor)
				}
				require.Equal(t, c.want, got)
				if c.channel == "small:1" {
					require.Equal(t, oldest, page.Oldest)
				}
			})
		}
	})
}

func TestHistoryAsksTheStore(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.publish("jobs:1", event(1))
	r.store.ForTest().Outage(true)
	for _, query := range []string{"", "?before=end", "?before=" + c.String(), "?before=end&until=2026-11-24T10:00:00Z", "?since=2026-11-24T10:00:00Z"} {
		resp := r.get("/v1/channels/jobs:1/events"+query, r.token("alice", nil), nil)
		require.Equal(t, http.StatusServiceUnavailable, resp.status, query)
		require.Equal(t, wire.CodeUnavailable, resp.problem(t).Code)
		require.True(t, resp.problem(t).Retry)
	}
	require.Equal(t, http.StatusServiceUnavailable, r.request(http.MethodHead, "/v1/channels/jobs:1/events", r.token("alice", nil), nil, nil).status)
	r.store.ForTest().Outage(false)
}

func TestHeadOfAChannel(t *testing.T) {
	engines(t, func(t *testing.T, e engine) {
		head := func(channel string, p *auth.Permissions) answer {
			resp := e.request(http.MethodHead, "/v1/channels/"+channel, e.token("alice", p), nil, nil)
			require.Empty(t, resp.body)
			return resp
		}
		require.Equal(t, "0-0", head("jobs:none/events", nil).header.Get("Tallywire-Head"))
		for n := range 3 {
			c := e.publish("jobs:1", event(n))
			resp := head("jobs:1/events", nil)
			require.Equal(t, http.StatusOK, resp.status)
			require.Equal(t, c.String(), resp.header.Get("Tallywire-Head"))
			require.Equal(t, "application/json", resp.header.Get("Content-Type"))
		}
		require.Equal(t, http.StatusBadRequest, head("jobs:1/events?after=x", nil).status)
		require.Equal(t, http.StatusForbidden, head("jobs:1/events", &auth.Permissions{}).status)
	})
}

func TestHistoryIsRevalidated(t *testing.T) {
	r := newRig(t, rigOptions{})
	token := r.token("alice", nil)
	for n := range 4 {
		r.publish("jobs:1", event(n))
	}
	get := func(query, known string) answer {
		header := http.Header{}
		if known != "" {
			header.Set("If-None-Match", known)
		}
		return r.get("/v1/channels/jobs:1/events?"+query, token, header)
	}
	full, last := get("limit=3", ""), get("after=0", "")
	require.Equal(t, "private, no-cache", full.header.Get("Cache-Control"))
	tag := full.header.Get("ETag")
	require.Regexp(t, `^W/"[\w-]+"$`, tag)
	require.NotEqual(t, tag, last.header.Get("ETag"))
	for _, known := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag + `, W/"y"`, "*"} {
		resp := get("limit=3", known)
		require.Equal(t, http.StatusNotModified, resp.status, known)
		require.Empty(t, resp.body)
		require.Equal(t, tag, resp.header.Get("ETag"))
		require.NotEmpty(t, resp.header.Get("Link"))
	}
	for _, known := range []string{`"x"`, "x", `W/"x", "y"`} {
		require.Equal(t, http.StatusOK, get("limit=3", known).status, known)
	}
	head := r.publish("jobs:1", event(5))
	resp := get("limit=3", tag)
	require.Equal(t, http.StatusNotModified, resp.status, "a page of the past stays")
	require.Equal(t, head.String(), resp.header.Get("Tallywire-Head"))
	require.Equal(t, http.StatusOK, get("after=0", last.header.Get("ETag")).status, "the page at the head does not")
}

func TestHistoryGivesEventsAsTheyAre(t *testing.T) {
	r := newRig(t, rigOptions{})
	const text = `{"type":"x","data":{"html":"<b>&amp;</b>\u2028","n":12345678901234567890,"e":[]}}`
	r.publish("jobs:1", text)
	var page struct {
		Events []struct{ Event json.RawMessage }
	}
	r.get("/v1/channels/jobs:1/events", r.token("alice", nil), nil).decode(t, &page)
	require.Equal(t, text, string(page.Events[0].Event))
}
