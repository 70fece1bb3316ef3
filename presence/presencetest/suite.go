package presencetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/presence"
)

// Times of the suite. They leave room for a busy machine.
const (
	TTL   = 1500 * time.Millisecond
	Grace = 300 * time.Millisecond
)

// Tracker is what is tested.
type Tracker interface {
	presence.Tracker
	presence.Directory
	Stats() presence.Stats
}

// Handle is a tracker and the way between it and its store.
type Handle interface {
	Tracker
	// Hear makes sure that the tracker's sink is told the changes of a channel, before it returns.
	Hear(ctx context.Context, channel string) error
	// Cut breaks the way to the store and keeps it broken, Stall keeps what is sent waiting as in a
	// process that is stopped, Heal ends both.
	Cut()
	Stall()
	Heal()
}

// Backend is one empty store under test.
type Backend interface {
	// Tracker returns a new tracker over the store, not yet running. What else it needs it releases with
	// t.Cleanup.
	Tracker(t *testing.T, o presence.Options) Handle
}

// Run tests an implementation. Every case gets a new backend. Most of them wait for times to pass, so that
// they run beside each other; the package's TestMain looks for goroutines that were left behind.
func Run(t *testing.T, newBackend func(t *testing.T) Backend) {
	t.Helper()
	for _, group := range [][]testCase{memberCases, statusCases, pageCases, moveCases, leaseCases, faultCases, directoryCases} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 4*Patience)
				t.Cleanup(cancel)
				c.run(&suite{T: t, ctx: ctx, backend: newBackend(t)})
			})
		}
	}
}

type testCase struct {
	name string
	run  func(s *suite)
}

// suite is a case in progress.
type suite struct {
	*testing.T
	ctx     context.Context //nolint:containedctx // a test's context, for the helpers
	backend Backend
}

// node is a running tracker and its sink.
type node struct {
	Handle
	*Sink
	s  *suite
	id string
	// stop ends Run and waits for it.
	stop func()
}

// node runs a tracker until the end of the test and waits until it has its lease.
func (s *suite) node(id string) *node {
	s.Helper()
	return s.nodeWith(presence.Options{Gateway: id, Version: "v1", Address: "127.0.0.1:9090"})
}

func (s *suite) nodeWith(o presence.Options) *node {
	s.Helper()
	o.TTL, o.Timeout = TTL, 2*time.Second
	n := &node{Handle: s.backend.Tracker(s.T, o), Sink: &Sink{}, s: s, id: o.Gateway}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.Run(ctx, n.Sink); err != nil {
			s.Errorf("Run: %v", err)
		}
	}()
	n.stop = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(Patience):
			s.Errorf("Run did not return within %s of the end of its context", Patience)
		}
	}
	s.Cleanup(func() {
		n.stop()
		for _, v := range n.Violations() {
			s.Error(v)
		}
	})
	n.Until(s, "the lease", func() bool { return n.Stats().Incarnation > 0 })
	return n
}

// kill ends the tracker as a crash does: nothing reaches the store any more.
func (n *node) kill() {
	n.Cut()
	n.stop()
}

var channelCount atomic.Int64

// channel returns a new channel that the nodes hear.
func (s *suite) channel(nodes ...*node) string {
	s.Helper()
	channel := fmt.Sprintf("room:%d", channelCount.Add(1))
	for _, n := range nodes {
		require.NoError(s, n.Hear(s.ctx, channel))
	}
	return channel
}

// entry returns an entry of a user's session, claimed as "<session>.1".
func entry(channel, user, session string) presence.Entry {
	return presence.Entry{
		Channel: channel, User: user, Session: session, Claim: session + ".1",
		Name: "Name of " + user, Grace: Grace,
	}
}

func (n *node) enter(e presence.Entry) {
	n.s.Helper()
	require.NoError(n.s, n.Enter(n.s.ctx, e))
}

// leave ends an entry; now skips the grace.
func (n *node) leave(e presence.Entry, now bool) {
	n.s.Helper()
	require.NoError(n.s, n.Leave(n.s.ctx, presence.Exit{
		Channel: e.Channel, User: e.User, Session: e.Session, Claim: e.Claim, Now: now,
	}))
}

// pages reads all members in pages of a size.
func (n *node) pages(channel string, limit int) (all []presence.Member, last presence.Page) {
	n.s.Helper()
	for after := ""; ; after = last.Next {
		p, err := n.Members(n.s.ctx, channel, presence.PageRequest{After: after, Limit: limit})
		require.NoError(n.s, err)
		require.True(n.s, p.StaleSince.IsZero())
		all, last = append(all, p.Members...), p
		if p.Next == "" {
			return all, last
		}
	}
}

// member returns a member, and whether the user is one.
func (n *node) member(channel, user string) (presence.Member, bool) {
	n.s.Helper()
	all, _ := n.pages(channel, presence.MaxPageLimit)
	for _, m := range all {
		if m.User == user {
			return m, true
		}
	}
	return presence.Member{}, false
}

// pass lets a grace pass: somebody comes, goes into the same grace, and leaves. What was due before must
// have happened then.
func (n *node) pass(channel string, grace time.Duration) {
	n.s.Helper()
	user := fmt.Sprintf("passer-%d", channelCount.Add(1))
	e := entry(channel, user, user)
	e.Grace = grace
	n.enter(e)
	n.leave(e, false)
	n.Until(n.s, "the passer's leave", func() bool { return n.Count(channel, presence.Leave, user) == 1 })
}

// actions are the changes of a user in a channel, in order.
func (n *node) actions(channel, user string) (out []presence.Action) {
	for _, c := range n.Changes(channel) {
		if c.Member.User == user {
			out = append(out, c.Action)
		}
	}
	return out
}

// last returns the last change of a user in a channel.
func (n *node) last(channel, user string) presence.Change {
	n.s.Helper()
	changes := n.Changes(channel)
	for i := len(changes) - 1; i >= 0; i-- {
		if changes[i].Member.User == user {
			return changes[i].Change
		}
	}
	n.s.Fatalf("no change of %s in %s", user, channel)
	return presence.Change{}
}

// chained requires that no change of a channel is missing.
func (n *node) chained(channel string) {
	n.s.Helper()
	changes := n.Changes(channel)
	for i := 1; i < len(changes); i++ {
		require.Equal(n.s, changes[i-1].Version, changes[i].Prev, "change %d of %d", i, len(changes))
	}
}
