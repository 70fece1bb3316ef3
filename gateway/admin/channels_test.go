package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
)

func TestChannels(t *testing.T) {
	r := newRig(t, rigOptions{
		namespaces: map[string]namespace.Options{"jobs": {MaxLen: 3}},
		cluster: &cluster{locals: []*local{
			newLocal("gw-1").open(2, "jobs:1", "jobs:2", "matches:7"), newLocal("gw-2").open(3, "jobs:1"),
		}},
	})
	for n := range 5 {
		r.publish("jobs:1", fmt.Sprintf(`{"type":"x.test","data":%d}`, n))
	}
	body := r.get("/admin/v1/channels?prefix=jobs:")
	require.Equal(t, true, body["complete"])
	require.Empty(t, body["next"])
	page := list(t, body, "channels")
	require.Len(t, page, 2)
	one := page[0]
	require.Equal(t, "jobs:1", one["channel"])
	require.InDelta(t, 5, one["subscribers"], 0)
	places := list(t, one, "gateways")
	require.Equal(t, "gw-1", places[0]["gateway"])
	require.InDelta(t, 3, places[1]["subscribers"], 0)
	stream := one["stream"].(object)
	require.InDelta(t, 3, stream["retained"], 0)
	require.True(t, strings.HasPrefix(stream["head"].(string), "6-"))
	require.True(t, strings.HasPrefix(stream["first"].(string), "4-"))
	require.Equal(t, false, page[1]["stream"].(object)["exists"])
}

// TestChannelsAreMergedInPages: whatever the gateways have open, and wherever an answer is cut, the pages
// together hold each channel once, with the subscribers of every gateway.
func TestChannelsAreMergedInPages(t *testing.T) {
	c := &cluster{}
	r := newRig(t, rigOptions{cluster: c, change: func(o *admin.Options) { o.Store = awayStore{} }})
	rapid.Check(t, func(rt *rapid.T) {
		want := map[string]int{}
		c.locals = nil
		for g := range rapid.IntRange(1, 4).Draw(rt, "gateways") {
			names := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab][:.][0-9]{1,2}`), 0, 30, rapid.ID[string]).Draw(rt, "names")
			for _, name := range names {
				want[name] += g + 1
			}
			c.locals = append(c.locals, newLocal(fmt.Sprintf("gw-%d", g)).open(g+1, names...))
		}
		limit := rapid.IntRange(1, 12).Draw(rt, "limit")
		got := map[string]int{}
		var order []string
		for after := ""; ; {
			body := r.get(fmt.Sprintf("/admin/v1/channels?limit=%d&after=%s", limit, after))
			page := list(t, body, "channels")
			require.LessOrEqual(rt, len(page), limit)
			for _, ch := range page {
				name := ch["channel"].(string)
				require.NotContains(rt, got, name, "listed twice")
				got[name] = int(ch["subscribers"].(float64))
				order = append(order, name)
			}
			next := body["next"].(string)
			if next == "" {
				break
			}
			require.Greater(rt, next, after)
			after = next
		}
		require.Equal(rt, want, got)
		require.True(rt, slices.IsSorted(order))
	})
}

func TestChannel(t *testing.T) {
	since := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	r := newRig(t, rigOptions{
		namespaces: map[string]namespace.Options{"jobs": {Delivery: namespace.DeliverLatest, Types: []string{"job.*"}}},
		cluster:    &cluster{locals: []*local{newLocal("gw-1").open(2, "jobs:1", "jobs:10")}},
		change:     func(o *admin.Options) { o.Members = &members{list: []presence.Member{{User: "a"}}, stale: since} },
	})
	cursor := r.publish("jobs:1", `{"type":"job.started"}`)
	body := r.get("/admin/v1/channels/jobs:1")
	require.InDelta(t, 2, body["subscribers"], 0)
	require.Equal(t, cursor.String(), body["stream"].(object)["head"])
	require.Equal(t, "latest", body["namespace"].(object)["delivery"])
	require.Equal(t, "2026-11-24T03:00:00Z", body["presence"].(object)["stale_since"])

	body = r.get("/admin/v1/channels/jobs:100")
	require.InDelta(t, 0, body["subscribers"], 0, "jobs:10 is another channel")
	require.Equal(t, false, body["stream"].(object)["exists"])
}

func TestMembers(t *testing.T) {
	m := &members{}
	for n := range 120 {
		m.list = append(m.list, presence.Member{
			User: fmt.Sprintf("user-%03d", n), State: presence.Live, Sessions: 1, Status: []byte(`{"viewing":"match:42"}`),
		})
	}
	r := newRig(t, rigOptions{cluster: &cluster{}, change: func(o *admin.Options) { o.Members = m }})
	body := r.get("/admin/v1/channels/jobs:1/members")
	require.InDelta(t, 120, body["count"], 0)
	require.Len(t, list(t, body, "members"), 50)
	require.Equal(t, "user-049", body["next"])
	require.Equal(t, object{"viewing": "match:42"}, list(t, body, "members")[0]["status"])
	body = r.get("/admin/v1/channels/jobs:1/members?limit=100&after=user-049")
	require.Len(t, list(t, body, "members"), 70)
	require.Empty(t, body["next"])
	require.NotContains(t, body, "stale_since")
	m.stale = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	require.Equal(t, "2026-11-24T03:00:00Z", r.get("/admin/v1/channels/jobs:1/members")["stale_since"])
}

// TestNamesThatReachElsewhere: nothing but a channel's name gets to the store or to another gateway.
func TestNamesThatReachElsewhere(t *testing.T) {
	l := newLocal("gw-1")
	l.panics = true // nobody asks it
	r := newRig(t, rigOptions{cluster: &cluster{locals: []*local{l}}, change: func(o *admin.Options) { o.Members = &members{} }})
	for _, name := range []string{
		"_dead", "_revoked", "a}:members", "tw:{jobs:1}", "*", "jobs:[ab]", "a b", "a\x00b", "a\nb", "jobs/1", "ä", strings.Repeat("x", 129),
	} {
		escaped := url.PathEscape(name)
		for _, path := range []string{
			"/admin/v1/channels/" + escaped, "/admin/v1/channels/" + escaped + "/members",
			"/admin/v1/channels?after=" + url.QueryEscape(name), "/admin/v1/channels?prefix=" + url.QueryEscape(name),
			"/admin/v1/explain?user=alice&cursor=2-2&channel=" + url.QueryEscape(name), "/admin/v1/dead-letters/" + escaped + "/2-2",
		} {
			r.refused(400, "invalid_channel", http.MethodGet, path, "")
		}
		content := fmt.Sprintf(`{"channel":%q,"event":{"type":"x.test"}}`, name)
		if !strings.ContainsAny(name, "\x00") {
			r.refused(400, "invalid_channel", http.MethodPost, "/admin/v1/publish", content)
		}
	}
}

func TestPagingLimits(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}, change: func(o *admin.Options) { o.Members = &members{} }})
	for _, path := range []string{"/admin/v1/channels", "/admin/v1/channels/jobs:1/members", "/admin/v1/revocations", "/admin/v1/dead-letters"} {
		for _, limit := range []string{"0", "-1", "1001", "many", "1e9", "99999999999999999999"} {
			problem := r.refused(400, "invalid_request", http.MethodGet, path+"?limit="+limit, "")
			require.Equal(t, "/limit", problem["path"])
		}
		r.get(path + "?limit=1")
		r.get(path + "?limit=100")
	}
	r.refused(400, "invalid_request", http.MethodGet, "/admin/v1/channels/jobs:1/members?after="+strings.Repeat("x", 257), "")
	r.refused(400, "invalid_request", http.MethodGet, "/admin/v1/channels/jobs:1/members?after=%00", "")
	r.refused(400, "invalid_request", http.MethodGet, "/admin/v1/dead-letters?limit=101", "")
	for _, after := range []string{"yesterday", "1-2-3", "-", "1-", "+1", "%00", strings.Repeat("1", 65)} {
		r.refused(400, "invalid_request", http.MethodGet, "/admin/v1/dead-letters?after="+after, "")
	}
	r.refused(400, "invalid_request", http.MethodGet, "/admin/v1/revocations?after=x", "")
}

// TestWhatIsNotEnabled: what the gateway has not is told as such.
func TestWhatIsNotEnabled(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{locals: []*local{newLocal("gw-1")}}, change: func(o *admin.Options) {
		o.Dead, o.Revocations, o.Mint = nil, nil, nil
	}})
	r.refused(501, "unsupported", http.MethodGet, "/admin/v1/channels/jobs:1/members", "")
	r.refused(501, "unsupported", http.MethodGet, "/admin/v1/dead-letters", "")
	r.refused(501, "unsupported", http.MethodGet, "/admin/v1/dead-letters/jobs:1/2-2", "")
	r.refused(501, "unsupported", http.MethodGet, "/admin/v1/revocations", "")
	r.refused(501, "unsupported", http.MethodPost, "/admin/v1/revocations", `{"user":"alice"}`)
	problem := r.refused(501, "unsupported", http.MethodPost, "/admin/v1/tail-token", `{"channel":"jobs:1"}`)
	require.Contains(t, problem["detail"], "tallywire tail jobs:1")
	require.NotContains(t, r.get("/admin/v1/channels/jobs:1"), "presence")
}
