package redisbroker_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// ear records what is heard for presence.
type ear struct {
	mu    sync.Mutex
	heard []string // guarded by mu
}

func (e *ear) hear(channel string, payload []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if payload == nil {
		e.heard = append(e.heard, channel+" missed")
		return
	}
	e.heard = append(e.heard, fmt.Sprintf("%s %s", channel, payload))
}

func (e *ear) has(text string) func() bool {
	return func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, h := range e.heard {
			if h == text {
				return true
			}
		}
		return false
	}
}

// Doorbells of presence are handed on as they are, and are nothing to the log; a connection that was
// replaced makes every channel doubtful.
func TestPresenceIsHandedOn(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	var e ear
	o := quick(t)
	o.Presence = e.hear
	b := open(t, proxy.URL(), o)
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	_, err := b.Subscribe(t.Context(), "room:1")
	require.NoError(t, err)
	s.Do("PUBLISH", key("room:1"), `% 2 1 {"action":"join"}`)
	s.Do("PUBLISH", key("room:2"), `% 2 1 {"action":"join"}`)
	sink.Until(t, "the doorbell", e.has(`room:1 % 2 1 {"action":"join"}`))
	require.Empty(t, sink.Entries("room:1"))
	require.Zero(t, b.Stats().Malformed)
	require.False(t, e.has("room:1 missed")())
	proxy.Cut()
	sink.UntilHealthy(t, false)
	proxy.Heal()
	sink.Until(t, "the doubt", e.has("room:1 missed"))
	s.Do("PUBLISH", key("room:1"), `% 3 2 {"action":"leave"}`)
	sink.Until(t, "a doorbell after it", e.has(`room:1 % 3 2 {"action":"leave"}`))
	require.False(t, e.has(`room:2 % 2 1 {"action":"join"}`)())
}

// Without anybody to take them they are nothing at all.
func TestPresenceIsIgnored(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	_, err := b.Subscribe(t.Context(), "room:1")
	require.NoError(t, err)
	s.Do("PUBLISH", key("room:1"), `% 2 1 {"action":"join"}`)
	s.Do("FCALL", "tw_publish", 1, key("room:1"), `{"n":1}`)
	sink.Until(t, "an event", func() bool { return len(sink.Entries("room:1")) == 1 })
	require.Zero(t, b.Stats().Malformed)
}
