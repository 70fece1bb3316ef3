package admin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/namespace"
)

// TestExplain: each cell of what the gateways remember and what the stream holds.
func TestExplain(t *testing.T) {
	l := newLocal("gw-1")
	c := &cluster{locals: []*local{l, newLocal("gw-2")}}
	r := newRig(t, rigOptions{cluster: c, namespaces: map[string]namespace.Options{"short": {MaxLen: 2}}})
	stored := r.publish("jobs:1", `{"type":"x.test","id":"e1","subject":"job/1"}`)
	head := r.publish("jobs:1", `{"type":"x.test"}`)
	invalid := r.publish("jobs:1", `{"id":"e2"}`)
	trimmed := r.publish("short:1", `{"type":"x.test"}`)
	r.publish("short:1", `{"type":"x.test"}`)
	r.publish("short:1", `{"type":"x.test"}`)
	genesis := broker.Cursor{Offset: 1, Stamp: stored.Stamp - 1}
	page, err := r.broker.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 1})
	require.NoError(t, err)
	genesis.Stamp = page.Entries[0].Cursor.Stamp
	future := broker.Cursor{Offset: invalid.Offset + 5, Stamp: invalid.Stamp + 5_000_000}
	lost := broker.Cursor{Offset: invalid.Offset + 5, Stamp: stored.Stamp - 1}
	older := broker.Cursor{Offset: 9, Stamp: 1000}
	now := time.Now()
	trace := func(o inspect.Outcome) []inspect.Trace {
		return []inspect.Trace{{Gateway: "gw-1", Session: "tab-1", Outcome: o, Time: now, Detail: "conflated"}}
	}
	missing := []admin.Missing{{Gateway: "gw-3", Reason: admin.NoAnswer}}
	for name, q := range map[string]struct {
		channel string
		cursor  broker.Cursor
		traces  []inspect.Trace
		missing []admin.Missing
		outcome string
		stream  string
		certain bool
		says    string
	}{
		"delivered":                    {"jobs:1", stored, trace(inspect.Delivered), nil, "delivered", "stored", true, "written to a socket"},
		"delivered, then trimmed":      {"short:1", trimmed, trace(inspect.Delivered), nil, "delivered", "trimmed", true, "trimmed past it"},
		"delivered, one missing":       {"jobs:1", stored, trace(inspect.Delivered), missing, "delivered", "stored", true, "Delivered"},
		"skipped":                      {"jobs:1", stored, trace(inspect.Skipped), nil, "skipped", "stored", true, "conflated"},
		"pending":                      {"jobs:1", stored, trace(inspect.Pending), nil, "pending", "stored", true, "has not come so far"},
		"reset":                        {"jobs:1", lost, trace(inspect.ResetOver), nil, "reset", "forked", true, "a failover lost it"},
		"forbidden":                    {"jobs:1", stored, trace(inspect.Forbidden), nil, "forbidden", "stored", true, "does not allow jobs:1"},
		"forbidden and gone":           {"short:1", trimmed, trace(inspect.Forbidden), nil, "forbidden", "trimmed", true, "does not allow short:1"},
		"not covered":                  {"jobs:1", head, trace(inspect.NotCovered), nil, "not_covered", "stored", true, "began after this event"},
		"not subscribed":               {"jobs:1", head, trace(inspect.NotSubscribed), nil, "not_subscribed", "stored", true, "had not subscribed"},
		"not connected":                {"jobs:1", head, trace(inspect.NotConnected), nil, "not_connected", "stored", true, "no gateway knows"},
		"nothing is known":             {"jobs:1", head, nil, nil, "not_connected", "stored", true, "still gets it"},
		"nothing, and one is missing":  {"jobs:1", head, nil, missing, "unknown", "stored", false, "gw-3 did not answer"},
		"trimmed":                      {"short:1", trimmed, nil, nil, "trimmed", "trimmed", true, "no longer in the stream"},
		"trimmed, not subscribed":      {"short:1", trimmed, trace(inspect.NotSubscribed), nil, "trimmed", "trimmed", true, "no longer in the stream"},
		"forked":                       {"jobs:1", broker.Cursor{Offset: stored.Offset, Stamp: stored.Stamp + 1}, nil, nil, "trimmed", "forked", true, "Another entry has its place"},
		"expired":                      {"jobs:9", older, nil, nil, "trimmed", "expired", true, "has expired"},
		"of an older stream":           {"jobs:1", older, nil, nil, "trimmed", "forked", true, "Another entry"},
		"never published":              {"jobs:1", future, nil, nil, "never_published", "never_published", true, "has not come so far"},
		"never published, one missing": {"jobs:1", future, nil, missing, "never_published", "never_published", true, "Never published"},
		"genesis":                      {"jobs:1", genesis, trace(inspect.NotCovered), nil, "not_covered", "genesis", true, "opens the stream"},
		"invalid":                      {"jobs:1", invalid, trace(inspect.Skipped), nil, "skipped", "stored", true, "delivered to nobody because it is invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			l.traces, c.missing = q.traces, q.missing
			body := r.get("/admin/v1/explain?user=alice&channel=" + q.channel + "&cursor=" + q.cursor.String())
			require.Equal(t, q.outcome, body["outcome"], "%v", body["summary"])
			require.Equal(t, q.stream, body["stream"].(object)["state"])
			require.Equal(t, q.certain, body["certain"])
			require.Contains(t, body["summary"], q.says)
			require.Equal(t, q.missing == nil, body["complete"])
		})
	}
	l.traces, c.missing = nil, nil
	event := r.get("/admin/v1/explain?user=alice&channel=jobs:1&cursor=" + stored.String())["stream"].(object)["event"].(object)
	require.Equal(t, "job/1", event["subject"])
	require.NotContains(t, event, "data")
}

// TestExplainTakesTheBest: a user has several tabs, and one of them got the event.
func TestExplainTakesTheBest(t *testing.T) {
	first, second := newLocal("gw-1"), newLocal("gw-2")
	r := newRig(t, rigOptions{cluster: &cluster{locals: []*local{first, second}}})
	cursor := r.publish("jobs:1", `{"type":"x.test"}`)
	now := time.Now()
	first.traces = []inspect.Trace{{Session: "tab-1", Outcome: inspect.NotSubscribed, Time: now}, {Session: "tab-2", Outcome: inspect.Pending, Time: now}}
	second.traces = []inspect.Trace{{Session: "tab-3", Outcome: inspect.Delivered, Time: now}}
	body := r.get("/admin/v1/explain?user=alice&channel=jobs:1&cursor=" + cursor.String())
	require.Equal(t, "delivered", body["outcome"])
	var order []any
	for _, trace := range list(t, body, "traces") {
		order = append(order, trace["session"], trace["gateway"])
	}
	require.Equal(t, []any{"tab-3", "gw-2", "tab-2", "gw-1", "tab-1", "gw-1"}, order)
}

func TestExplainOfNothing(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	for query, code := range map[string]string{
		"user=alice&channel=jobs:1&cursor=41":                        "invalid_cursor",
		"user=alice&channel=jobs:1&cursor=":                          "invalid_cursor",
		"user=alice&channel=jobs:1&cursor=0":                         "invalid_cursor",
		"user=alice&channel=jobs:1&cursor=1-99999999999999999999999": "invalid_cursor",
		"user=alice&channel=&cursor=2-2":                             "invalid_channel",
		"user=&channel=jobs:1&cursor=2-2":                            "invalid_request",
		"user=a%20b&channel=jobs:1&cursor=2-2":                       "invalid_request",
	} {
		r.refused(400, code, http.MethodGet, "/admin/v1/explain?"+query, "")
	}
	// The store's numbers are 64 bits, and so may be what is asked.
	for _, cursor := range []string{"18446744073709551615-18446744073709551615", "2-9000000000000000000"} {
		body := r.get("/admin/v1/explain?user=alice&channel=jobs:1&cursor=" + cursor)
		require.Equal(t, "expired", body["stream"].(object)["state"])
		require.NotContains(t, body["stream"], "published")
	}
}
