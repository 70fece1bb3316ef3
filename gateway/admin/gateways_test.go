package admin_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/presence"
)

func TestGateways(t *testing.T) {
	first, second, third := newLocal("gw-1"), newLocal("gw-2"), newLocal("gw-3")
	first.set(func(o *inspect.Overview) { o.Connections, o.Sessions, o.Subscriptions = 10, 9, 20 })
	second.set(func(o *inspect.Overview) { o.Connections, o.Ready, o.Reason = 5, false, "no probe for 6s" })
	third.set(func(o *inspect.Overview) { o.Draining = true })
	r := newRig(t, rigOptions{
		cluster: &cluster{locals: []*local{third, first, second}, missing: []admin.Missing{
			{Gateway: "gw-4", Reason: admin.NoAnswer}, {Gateway: "gw-5", Reason: admin.LeaseOver},
		}},
		change: func(o *admin.Options) {
			o.Directory = &directory{gateways: []presence.GatewayInfo{
				{ID: "gw-1", Incarnation: 17, Live: true, Age: 1500 * time.Millisecond, Left: 8500 * time.Millisecond, Address: "10.0.0.1:9090"},
				{ID: "gw-4", Live: true, Version: "1.2.2", Report: presence.Report{Connections: 7}},
				{ID: "gw-5", Live: false, Left: -time.Second},
				{ID: "gw-6", Live: false},
			}}
		},
	})
	body := r.get("/admin/v1/gateways")
	require.Equal(t, false, body["complete"])
	require.Equal(t, []object{{"gateway": "gw-4", "reason": "no_answer"}, {"gateway": "gw-5", "reason": "lease_over"}}, list(t, body, "missing"))
	totals := body["totals"].(object)
	require.InDelta(t, 15, totals["connections"], 0)
	require.InDelta(t, 20, totals["subscriptions"], 0)
	require.InDelta(t, 6, totals["gateways"], 0)
	require.InDelta(t, 3, totals["answered"], 0)
	states := map[string]any{}
	byName := map[string]object{}
	for _, g := range list(t, body, "gateways") {
		states[g["gateway"].(string)] = g["state"]
		byName[g["gateway"].(string)] = g
	}
	require.Equal(t, map[string]any{
		"gw-1": "ready", "gw-2": "not_ready", "gw-3": "draining", "gw-4": "missing", "gw-5": "dead", "gw-6": "dead",
	}, states)
	require.Equal(t, "no probe for 6s", byName["gw-2"]["reason"])
	require.Equal(t, "10.0.0.1:9090", byName["gw-1"]["address"])
	require.InDelta(t, 1500, byName["gw-1"]["lease"].(object)["age_ms"], 0)
	require.InDelta(t, 7, byName["gw-4"]["connections"], 0, "what its lease says")
	require.InDelta(t, 0, byName["gw-5"]["lease"].(object)["left_ms"], 0)
}

// TestStoreAway: without the store this gateway still answers for itself, and says so.
func TestStoreAway(t *testing.T) {
	l := newLocal("gw-1").open(3, "jobs:1")
	c := &cluster{locals: []*local{l}, failure: admin.ErrUnasked}
	r := newRig(t, rigOptions{cluster: c, change: func(o *admin.Options) {
		o.Directory = &directory{failure: presence.ErrUnavailable}
		o.Members = &members{failure: presence.ErrUnavailable}
		o.Store = awayStore{}
	}})
	body := r.get("/admin/v1/gateways")
	require.Equal(t, false, body["complete"])
	require.Contains(t, body["problem"], "could not be asked")
	require.Equal(t, "ready", list(t, body, "gateways")[0]["state"])

	body = r.get("/admin/v1/channels")
	channel := list(t, body, "channels")[0]
	require.Equal(t, "jobs:1", channel["channel"])
	require.NotContains(t, channel, "stream")
	require.Equal(t, "the store is not available", channel["stream_problem"])

	body = r.get("/admin/v1/users/alice/sessions")
	require.Equal(t, false, body["complete"])
	require.Empty(t, list(t, body, "sessions"))

	body = r.get("/admin/v1/explain?user=alice&channel=jobs:1&cursor=2-2")
	require.Equal(t, "unknown", body["outcome"])
	require.Equal(t, false, body["certain"])

	problem := r.refused(503, "unavailable", http.MethodGet, "/admin/v1/channels/jobs:1/members", "")
	require.Equal(t, true, problem["retry"])
	r.refused(503, "unavailable", http.MethodPost, "/admin/v1/publish", `{"channel":"jobs:1","event":{"type":"x.test"}}`)
}

// TestDefectInOneAnswer: a gateway that fails to answer is named.
func TestDefectInOneAnswer(t *testing.T) {
	bad := newLocal("gw-2").open(1, "jobs:1")
	bad.panics = true
	r := newRig(t, rigOptions{cluster: &cluster{locals: []*local{newLocal("gw-1").open(2, "jobs:1"), bad}}})
	body := r.get("/admin/v1/channels")
	require.Equal(t, []object{{"gateway": "gw-2", "reason": "failed"}}, list(t, body, "missing"))
	require.InDelta(t, 2, list(t, body, "channels")[0]["subscribers"], 0)
}

// TestRates: they come from the last seconds, and the series from the last minute.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal("gw-1")
		responder := admin.NewResponder(counting{l}, zerolog.Nop())
		ended := make(chan error, 1)
		ctx, cancel := contextOf(t)
		go func() { ended <- responder.Run(ctx) }()
		synctest.Wait()
		ask := func() admin.Answer {
			return responder.Answer(ctx, admin.Question{Version: admin.QuestionVersion, Kind: admin.AskOverview})
		}
		require.Nil(t, ask().Rates, "nothing is known of rates after one look")
		time.Sleep(500 * time.Millisecond) // between two looks
		for range 100 {
			time.Sleep(time.Second)
			l.set(func(o *inspect.Overview) { o.Published += 250; o.Delivered += 1000; o.Connections++ })
		}
		synctest.Wait()
		a := ask()
		require.InDelta(t, 250, a.Rates.Published, 1)
		require.InDelta(t, 1000, a.Rates.Delivered, 1)
		require.Equal(t, int64(5000), a.Rates.WindowMS)
		require.Len(t, a.Series.Published, 60)
		require.InDelta(t, 250, a.Series.Published[59], 1)
		require.Len(t, a.Series.Connections, 60)
		cancel()
		require.NoError(t, <-ended)
	})
}

// TestQuestionsFromElsewhere: a responder does not trust what arrives.
func TestQuestionsFromElsewhere(t *testing.T) {
	l := newLocal("gw-1").open(1, "jobs:1")
	responder := admin.NewResponder(l, zerolog.Nop())
	for name, q := range map[string]admin.Question{
		"another version": {Version: 2, Kind: admin.AskOverview},
		"no version":      {Kind: admin.AskOverview},
		"another kind":    {Version: 1, Kind: "shutdown"},
		"no limit":        {Version: 1, Kind: admin.AskChannels},
		"a great limit":   {Version: 1, Kind: admin.AskChannels, Limit: 1 << 30},
		"nobody":          {Version: 1, Kind: admin.AskSessions},
		"half a session":  {Version: 1, Kind: admin.AskDisconnect, User: "alice"},
		"a bad channel":   {Version: 1, Kind: admin.AskExplain, User: "alice", Channel: "tw:{x}", Cursor: broker.Cursor{Offset: 2, Stamp: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, admin.Answer{Version: 1, Gateway: "gw-1", Failure: admin.Unsupported}, responder.Answer(t.Context(), q))
		})
	}
	require.Empty(t, l.closed)
	for range 600 {
		l.sessions = append(l.sessions, inspect.Session{User: "alice", Subscriptions: make([]inspect.Subscription, 200)})
	}
	a := responder.Answer(t.Context(), admin.Question{Version: 1, Kind: admin.AskSessions, User: "alice"})
	require.Len(t, a.Sessions, 500)
	require.True(t, a.Cut)
	subscriptions := 0
	for _, s := range a.Sessions {
		subscriptions += len(s.Subscriptions)
	}
	require.Equal(t, 500, subscriptions)
}
