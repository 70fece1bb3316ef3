package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/internal/programtest"
)

// logbook keeps what is logged.
type logbook struct{ programtest.Log }

// of returns the lines of one event.
func (l *logbook) of(event string) (out []gjson.Result) {
	for line := range strings.Lines(l.String()) {
		if r := gjson.Parse(line); r.Get("event").Str == event {
			out = append(out, r)
		}
	}
	return out
}

func (l *logbook) takes(o *gateway.Options) { o.Log = zerolog.New(l) }

// TestConnectionsAreLogged: who came, and why they went.
func TestConnectionsAreLogged(t *testing.T) {
	log := &logbook{}
	r := newRig(t, rigOptions{change: log.takes})
	c := r.connect("alice", nil)
	line := log.of("connected")[0]
	require.Equal(t, []string{"alice", "s-alice", "websocket"}, []string{line.Get("user").Str, line.Get("session").Str, line.Get("transport").Str})
	require.Equal(t, "127.0.0.1", line.Get("remote").Str)
	_ = c.ws.CloseNow()
	r.eventually("gone", func() bool { return len(log.of("disconnected")) == 1 })

	d := r.dial(nil)
	for range 3 {
		d.send(`{"type":"connect","token":"nonsense"}`)
	}
	d.expectErrorAmong("unauthorized")
	for err := error(nil); err == nil; {
		_, err = d.read()
	}
	r.eventually("expelled", func() bool { return len(log.of("disconnected")) == 2 })
	lines := log.of("disconnected")
	require.EqualValues(t, 1006, lines[0].Get("code").Int())
	require.Equal(t, "client", lines[0].Get("reason").Str)
	require.Equal(t, "alice", lines[0].Get("user").Str)
	require.EqualValues(t, 4401, lines[1].Get("code").Int())
	require.Equal(t, "unauthorized", lines[1].Get("reason").Str)
	require.Empty(t, lines[1].Get("user").Str, "it never said who it is")

	a := r.request(http.MethodGet, "/v1/poll?channel=jobs:1&wait_ms=0", r.token("alice", nil), nil, nil)
	require.Equal(t, http.StatusOK, a.status)
	require.Len(t, log.of("connected"), 1, "polls come and go")
}

// TestConnectionLogIsBounded: a crowd is told of by the metrics.
func TestConnectionLogIsBounded(t *testing.T) {
	log := &logbook{}
	r := newRig(t, rigOptions{change: log.takes})
	const crowd = 200
	for range crowd {
		_ = r.connect("alice", nil).ws.CloseNow()
	}
	r.eventually("gone", func() bool { return r.gateway.Connections() == 0 })
	for _, event := range []string{"connected", "disconnected"} {
		lines := log.of(event)
		require.NotEmpty(t, lines)
		require.Less(t, len(lines), crowd, event)
	}
	require.EqualValues(t, crowd, r.gateway.Counters().Accepted.Load())
	require.False(t, slices.ContainsFunc(log.of("connected"), func(l gjson.Result) bool { return l.Get("token").Exists() }))
}
