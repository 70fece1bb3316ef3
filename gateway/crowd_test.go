package gateway_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/mempresence"
)

// crowd is a rig with presence.
type crowd struct {
	*rig
	store   *mempresence.Store
	tracker *mempresence.Tracker
}

type crowdOptions struct {
	rigOptions
	id      string // of the gateway
	members *mempresence.Store
	timeout time.Duration // of the tracker, and the lifetime of its lease; 0 means the default
	ttl     time.Duration
	// wrap puts something between the gateway and its tracker.
	wrap func(presence.Tracker) presence.Tracker
}

func newCrowd(t testing.TB, o crowdOptions) *crowd {
	t.Helper()
	if o.id == "" {
		o.id = "gw-test"
	}
	if o.members == nil {
		o.members = mempresence.NewStore(mempresence.StoreOptions{})
	}
	tracker, err := o.members.Tracker(presence.Options{Gateway: o.id, Timeout: o.timeout, TTL: o.ttl})
	require.NoError(t, err)
	change := o.change
	o.change = func(g *gateway.Options) {
		g.ID, g.Presence, g.Directory = o.id, tracker, tracker
		if o.wrap != nil {
			g.Presence = o.wrap(tracker)
		}
		if change != nil {
			change(g)
		}
	}
	return &crowd{rig: newRig(t, o.rigOptions), store: o.members, tracker: tracker}
}

// session opens a session with a name of its own.
func (r *rig) session(user, session string) *client {
	r.t.Helper()
	c := r.dial(http.Header{"User-Agent": {"test/1"}})
	c.send(`{"type":"connect","id":1,"token":"%s","session":"%s"}`, r.token(user, nil), session)
	require.Equal(r.t, session, c.expect("connected").Session)
	return c
}

// watcher opens a session that sees the members of a channel, and returns the first snapshot.
func (r *rig) watcher(user, channel string) (*client, wire.Frame) {
	r.t.Helper()
	c := r.connect(user, nil)
	return c, c.watch(channel)
}

// watch subscribes to a channel with its members, and returns the first snapshot.
func (c *client) watch(channel string) wire.Frame {
	c.t.Helper()
	c.subscribe(channel, `,"presence":true`)
	return c.expect("members")
}

// enter is present in a channel: it is answered with `present` and, in either order, with the members.
// Its own join may come on the way.
func (c *client) enter(channel, rest string) (members wire.Frame) {
	c.t.Helper()
	c.send(`{"type":"presence","id":7,"channel":"%s"%s}`, channel, rest)
	for answered := false; !answered || members.Type == ""; {
		switch f := c.next(); f.Type {
		case "present":
			require.Equal(c.t, "7", string(f.ID))
			require.Equal(c.t, channel, f.Channel)
			answered = true
		case "members":
			members = f
		default:
			require.Equal(c.t, "member", f.Type, "%+v", f)
		}
	}
	return members
}

// until reads until a frame that it wants.
func (c *client) until(what string, wanted func(wire.Frame) bool) wire.Frame {
	c.t.Helper()
	for {
		f, err := c.read()
		require.NoError(c.t, err, "until %s", what)
		if wanted(f) {
			return f
		}
	}
}

// change returns the next frame, which must tell of a member.
func (c *client) change(action presence.Action, user string) presence.Member {
	c.t.Helper()
	f := c.expect("member")
	require.Equal(c.t, string(action)+" "+user, string(f.Action)+" "+f.Member.User)
	require.Less(c.t, f.Prev, f.Version)
	return *f.Member
}

func (c *client) close() { _ = c.ws.CloseNow() }

// users returns the members of a frame by name.
func users(f wire.Frame) []string {
	out := []string{}
	for _, m := range f.Members {
		out = append(out, m.User)
	}
	return out
}

// here returns who the store says is in a channel.
func (r *crowd) here(channel string) []string {
	r.t.Helper()
	out := []string{}
	for after, more := "", true; more; more = after != "" {
		p, err := r.tracker.Members(r.t.Context(), channel, presence.PageRequest{After: after, Limit: presence.MaxPageLimit})
		require.NoError(r.t, err)
		for _, m := range p.Members {
			out = append(out, fmt.Sprintf("%s %s %d", m.User, m.State, m.Sessions))
		}
		after = p.Next
	}
	return out
}
