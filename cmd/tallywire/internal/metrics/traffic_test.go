package metrics_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/goclient"
)

// TestTraffic drives what a gateway does, once each, and looks at what it says of that.
func TestTraffic(t *testing.T) {
	r := newRig(t, nil)
	require.InDelta(t, 1, r.scrape()[`tallywire_build_info{gateway="gw-1",version="v1.2.3"}`], 0)
	alice := r.connect("alice")
	alice.send(`{"type":"subscribe","id":1,"channel":"jobs:1"}`)
	start := *alice.expect("subscribed").Cursor
	stop := r.stream("jobs:1")
	r.untilIs("tallywire_subscriptions", 2)

	for n := range 3 { // by a worker
		r.publish("jobs:1", fmt.Sprintf(`{"type":"x.test","data":{"n":%d}}`, n))
	}
	alice.send(`{"type":"publish","id":2,"channel":"jobs:1","event":{"type":"x.test"}}`)
	alice.expect("published")
	a := r.request(t.Context(), http.MethodPost, "/v1/publish", `{"channel":"jobs:1","event":{"type":"x.test"}}`)
	a.Body.Close()
	require.Equal(t, http.StatusOK, a.StatusCode)
	r.untilIs(`tallywire_events_total{direction="out"}`, 10)
	s := r.scrape()
	require.InDelta(t, 2, s[`tallywire_events_total{direction="in"}`], 0)
	require.InDelta(t, 5, s[`tallywire_events_total{direction="heard"}`], 0)
	require.LessOrEqual(t, s["tallywire_delivery_lag_seconds_count"], 10.0, "one for each message, of its last event")
	require.GreaterOrEqual(t, s["tallywire_delivery_lag_seconds_count"], 2.0)
	require.InDelta(t, s["tallywire_delivery_lag_seconds_count"], s[`tallywire_delivery_lag_seconds_bucket{le="+Inf"}`], 0)
	require.InDelta(t, s["tallywire_delivery_lag_seconds_count"], s["tallywire_flush_events_count"], 0)
	require.Positive(t, s["tallywire_delivery_lag_seconds_sum"])
	require.Positive(t, s["tallywire_fanout_duration_seconds_count"])
	require.LessOrEqual(t, s["tallywire_fanout_duration_seconds_count"], s["tallywire_flush_events_count"])
	require.Positive(t, s["tallywire_fanout_duration_seconds_sum"])
	require.InDelta(t, 5, s[`tallywire_namespace_events_total{channel_namespace="*",direction="heard"}`], 0)
	require.InDelta(t, 10, s[`tallywire_namespace_events_total{channel_namespace="*",direction="out"}`], 0)
	require.InDelta(t, 10, s["tallywire_flush_events_sum"], 0)
	require.Positive(t, s[`tallywire_bytes_total{direction="in"}`])
	require.Greater(t, s[`tallywire_bytes_total{direction="out"}`], 500.0)

	for _, query := range []string{"channel=jobs:1@" + start.String(), "channel=jobs:1&wait_ms=0"} {
		require.Positive(t, r.poll(query))
	}
	alice.send(`{"type":"subscribe","id":3,"channel":"jobs:1","cursor":"%s"}`, start)
	alice.expect("subscribed")
	alice.send(`{"type":"subscribe","id":4,"channel":"jobs:1","cursor":"7-7"}`)
	require.Equal(t, "expired", string(alice.expect("reset").Reason))
	alice.send(`{"type":"nonsense"}`)
	alice.expect("error")
	alice.send(`{"type":"presence","id":5,"channel":"matches:1","status":{}}`)
	alice.expect("present")
	r.publish("jobs:1", `not an event`) // which only a worker can
	r.untilIs(`tallywire_dead_letters_total{reason="invalid_event"}`, 1)

	s = r.scrape()
	for series, want := range map[string]float64{
		`tallywire_connections{transport="websocket"}`:                         1,
		`tallywire_connections{transport="sse"}`:                               1,
		`tallywire_connections{transport="poll"}`:                              0,
		`tallywire_connections_total{result="accepted",transport="websocket"}`: 1,
		`tallywire_connections_total{result="accepted",transport="sse"}`:       1,
		`tallywire_connections_total{result="accepted",transport="poll"}`:      2,
		`tallywire_connections_total{result="refused",transport="websocket"}`:  0,
		`tallywire_resume_total{result="resumed"}`:                             2, // the poll, and alice
		`tallywire_resume_total{result="reset"}`:                               1,
		`tallywire_fresh_subscriptions_total`:                                  3,
		`tallywire_resets_total{reason="expired"}`:                             1,
		`tallywire_resets_total{reason="forked"}`:                              0,
		`tallywire_commands_total{result="bad"}`:                               1,
		`tallywire_presence_members`:                                           1,
		`tallywire_probe_age_seconds`:                                          0,
		`tallywire_draining`:                                                   0,
	} {
		require.InDelta(t, want, s[series], 0, series)
		require.Contains(t, s, series)
	}

	stop()
	require.NoError(t, alice.Close(1000, ""))
	r.untilIs(`tallywire_connections{transport="websocket"}`, 0)
	r.untilIs(`tallywire_connections{transport="sse"}`, 0)
	r.untilIs(`tallywire_disconnects_total{code="1006",reason="client"}`, 2)
}

// TestRefusals: who is not let in is counted, and who is sent away for a token under 4401.
func TestRefusals(t *testing.T) {
	r := newRig(t, func(o *gateway.Options) { o.Limits.Connections = 1 })
	require.InDelta(t, 1, r.scrape()["tallywire_connection_limit"], 0)
	r.connect("alice")
	_, err := goclient.Dial(t.Context(), r.url, r.token("bob"))
	require.Error(t, err)
	require.InDelta(t, 1, r.scrape()[`tallywire_connections_total{result="refused",transport="websocket"}`], 0)

	r = newRig(t, nil)
	for range 3 {
		_, err = goclient.Dial(t.Context(), r.url, "no token")
		require.Error(t, err)
	}
	ws, _, err := websocket.Dial(t.Context(), r.url+"/v1/ws", nil) //nolint:bodyclose // none where it succeeds
	require.NoError(t, err)
	defer ws.CloseNow()
	for range 3 {
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"connect","token":"wrong"}`)))
	}
	for err == nil { // until it is closed
		_, _, err = ws.Read(t.Context())
	}
	r.untilIs(`tallywire_disconnects_total{code="4401",reason="unauthorized"}`, 1)
}

// TestSlowReader: a client that does not read shows, in how far it is behind and in its end.
func TestSlowReader(t *testing.T) {
	r := newRig(t, func(o *gateway.Options) { o.Limits.WriteTimeout = 5 * time.Second })
	transport := &http.Transport{DialContext: (&net.Dialer{Control: smallBuffer}).DialContext}
	defer transport.CloseIdleConnections()
	c, err := goclient.DialWith(t.Context(), goclient.DialOptions{
		URL: r.url, Token: r.token("alice"), HTTPClient: &http.Client{Transport: transport},
	})
	require.NoError(t, err)
	defer c.CloseNow()
	require.NoError(t, c.SendRaw(t.Context(), []byte(`{"type":"subscribe","channel":"jobs:1"}`)))
	r.untilIs("tallywire_subscriptions", 1)
	behind := false
	for n := 1; n <= 1000 && !behind; n++ { // 8 MB at most: it is to be looked at before the reader is dropped
		r.publish("jobs:1", `{"type":"x","data":"`+strings.Repeat("x", 8<<10)+`"}`)
		if n%50 == 0 {
			s := r.scrape()
			behind = s["tallywire_reader_lag_events"] > 100 && s["tallywire_slow_consumer_blocks_total"] > 0
		}
	}
	require.True(t, behind, "the reader does not read")
	r.untilIs("tallywire_slow_consumer_drops_total", 1)
	r.untilIs(`tallywire_disconnects_total{code="1006",reason="slow_consumer"}`, 1)
	require.Zero(t, r.scrape()["tallywire_reader_lag_events"])
}

// TestDrain: metrics are served while a gateway drains, and tell how far it is.
func TestDrain(t *testing.T) {
	r := newRig(t, nil)
	moves, stays := r.connect("alice"), r.connect("bob")
	require.NoError(t, r.gateway.StartDrain(gateway.Drain{Wait: time.Hour}))
	r.untilIs("tallywire_draining", 1) // while it waits for the load balancer, too
	require.Zero(t, r.scrape()["tallywire_ready"])
	require.NoError(t, r.gateway.UndoDrain())
	r.untilIs("tallywire_draining", 0)

	require.NoError(t, r.gateway.StartDrain(gateway.Drain{Window: time.Millisecond}))
	moves.expect("moving")
	require.NoError(t, moves.Close(1000, ""))
	stays.expect("moving")
	_, err := stays.Receive(t.Context())
	require.Error(t, err, "closed, since it stayed")
	s := r.until("everybody has left", func(s samples) bool {
		return s[`tallywire_connections{transport="websocket"}`] == 0
	})
	require.InDelta(t, 1, s["tallywire_draining"], 0)
	r.untilIs(`tallywire_drains_total{result="ended"}`, 1)
	for result, want := range map[string]float64{"begun": 2, "undone": 1, "forced": 0} {
		require.InDelta(t, want, s[`tallywire_drains_total{result="`+result+`"}`], 0, result)
	}
	require.InDelta(t, 2, s[`tallywire_drained_connections_total{result="told"}`], 0)
	require.InDelta(t, 1, s[`tallywire_disconnects_total{code="1012",reason="restart"}`], 0)
	_, err = goclient.Dial(t.Context(), r.url, r.token("carol"))
	require.Error(t, err)
	require.InDelta(t, 1, r.scrape()[`tallywire_connections_total{result="refused",transport="websocket"}`], 0)
}
