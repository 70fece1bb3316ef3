package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/presence"
)

// sessions returns what the store says of a user.
func (r *crowd) sessions(user string) []presence.SessionInfo {
	r.t.Helper()
	list, err := r.tracker.UserSessions(r.t.Context(), user)
	require.NoError(r.t, err)
	return list
}

// awaitSession waits until the store says something about a user's only session.
func (r *crowd) awaitSession(user, what string, ok func(presence.SessionInfo) bool) {
	r.t.Helper()
	r.eventually(what, func() bool {
		list := r.sessions(user)
		return len(list) == 1 && ok(list[0])
	})
}

func TestDirectoryKnowsSessions(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{})
	before := time.Now().Add(-time.Millisecond)
	require.Empty(t, r.sessions("alice"), "an unknown user has none")
	alice := r.session("alice", "tab-1")
	r.awaitSession("alice", "connected", func(s presence.SessionInfo) bool { return s.Session == "tab-1" })
	s := r.sessions("alice")[0]
	require.Equal(t, "gw-test", s.Gateway)
	require.Equal(t, "websocket", s.Transport)
	require.Equal(t, "test/1", s.UserAgent)
	require.True(t, strings.HasPrefix(s.Remote, "127.0.0.1"), s.Remote)
	require.WithinRange(t, s.Since, before, time.Now())
	require.WithinRange(t, s.LastSeen, s.Since, time.Now())
	require.Zero(t, s.ChannelCount)

	alice.subscribe("jobs:1", "")
	alice.subscribe("jobs:2", "")
	r.awaitSession("alice", "two channels", func(s presence.SessionInfo) bool {
		return s.ChannelCount == 2 && strings.Join(s.Channels, " ") == "jobs:1 jobs:2"
	})
	alice.send(`{"type":"unsubscribe","channels":[{"channel":"jobs:1"}]}`)
	r.awaitSession("alice", "one channel", func(s presence.SessionInfo) bool {
		return s.ChannelCount == 1 && s.Channels[0] == "jobs:2"
	})

	other := r.session("alice", "tab-2")
	r.eventually("both", func() bool { return len(r.sessions("alice")) == 2 })
	alice.close()
	r.awaitSession("alice", "the other", func(s presence.SessionInfo) bool { return s.Session == "tab-2" })
	other.close()
	r.eventually("none", func() bool { return len(r.sessions("alice")) == 0 })
}

// A session that comes back before its old connection has ended is not taken for gone when that ends.
func TestDirectoryFollowsTheNewestConnection(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{})
	old := r.session("alice", "tab-1")
	r.awaitSession("alice", "connected", func(presence.SessionInfo) bool { return true })
	since := r.sessions("alice")[0].Since
	next := r.session("alice", "tab-1")
	next.subscribe("jobs:1", "")
	r.awaitSession("alice", "the next connection", func(s presence.SessionInfo) bool {
		return s.Since.After(since) && s.ChannelCount == 1
	})
	old.close()
	// One that begins and ends after it shows that the store has been told.
	r.session("zoe", "z").close()
	r.eventually("only one", func() bool { return r.gateway.Connections() == 1 })
	marker := r.session("marker", "m")
	r.awaitSession("marker", "told", func(presence.SessionInfo) bool { return true })
	require.Len(t, r.sessions("alice"), 1)
	require.Empty(t, r.sessions("zoe"))
	marker.close()
}

// Of a session with very many channels the store is told some, and how many there are.
func TestDirectoryBoundsChannels(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{})
	alice := r.session("alice", "a")
	var list []string
	for i := range 150 {
		list = append(list, fmt.Sprintf(`{"channel":"jobs:%d"}`, i))
	}
	alice.send(`{"type":"subscribe","channels":[%s]}`, strings.Join(list, ","))
	r.awaitSession("alice", "150 channels", func(s presence.SessionInfo) bool {
		return s.ChannelCount == 150 && len(s.Channels) == presence.MaxSessionChannels
	})
}

// A store that is away is told when it is back, of those who came and of those who went.
func TestDirectoryHeals(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{timeout: 200 * time.Millisecond})
	alice := r.session("alice", "a")
	r.awaitSession("alice", "connected", func(presence.SessionInfo) bool { return true })
	r.tracker.ForTest().Cut()
	r.session("bob", "b")
	alice.close()
	r.eventually("gone", func() bool { return r.gateway.Connections() == 1 })
	_, err := r.tracker.UserSessions(t.Context(), "alice")
	require.ErrorIs(t, err, presence.ErrUnavailable, "and does not lie")
	r.tracker.ForTest().Heal()
	r.awaitSession("bob", "told later", func(presence.SessionInfo) bool { return true })
	r.eventually("alice is gone", func() bool { return len(r.sessions("alice")) == 0 })
}

// The lease tells what the gateway does, as of its last refresh.
func TestLeaseCarriesTheReport(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{ttl: presence.MinTTL})
	alice := r.connect("alice", nil)
	alice.subscribe("jobs:1", "")
	r.publish("jobs:1", event(1))
	alice.expect("event")
	want := presence.Report{Connections: 1, Sessions: 1, Channels: 1, Delivered: 1}
	r.eventually("reported", func() bool {
		list, err := r.tracker.Gateways(t.Context())
		return err == nil && len(list) == 1 && list[0].ID == "gw-test" && list[0].Live && list[0].Report == want
	})
}
