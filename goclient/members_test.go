package goclient

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// onlooker notes what it is told of members, in order.
type onlooker struct {
	recorder
	mu  sync.Mutex
	log []string
}

func (o *onlooker) note(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = append(o.log, fmt.Sprintf(format, args...))
}

func (o *onlooker) seen(n int) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.log) < n {
		return nil
	}
	return append([]string(nil), o.log...)
}

// look subscribes with members.
func look(t *testing.T, c *Client, channel string) *onlooker {
	t.Helper()
	o := &onlooker{}
	h := o.handler()
	h.OnMembers = func(_ context.Context, m Members) {
		stale := ""
		if !m.StaleSince.IsZero() {
			stale = " stale"
		}
		o.note("members %d of %d at %d%s", len(m.Members), m.Count, m.Version, stale)
	}
	h.OnMember = func(_ context.Context, m presence.Change) { o.note("%s %s %d", m.Action, m.Member.User, m.Version) }
	s, err := c.Subscribe(channel, SubscribeOptions{Presence: true, Handler: h})
	require.NoError(t, err)
	require.NoError(t, s.Ready(within(t)))
	return o
}

func (o *onlooker) expect(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprint(want), func() bool { return o.seen(len(want)) != nil })
	require.Equal(t, want, o.seen(0))
}

func snapshot(version uint64, users ...string) []byte {
	p := presence.Page{Version: version, Count: len(users)}
	for _, u := range users {
		p.Members = append(p.Members, presence.Member{User: u})
	}
	return wire.AppendMembers(nil, nil, "m:7", p)
}

func changed(action presence.Action, user string, version, prev uint64) []byte {
	return wire.AppendMemberChange(nil, &presence.Change{
		Channel: "m:7", Action: action, Version: version, Prev: prev, Member: presence.Member{User: user},
	})
}

// asks sees the requests for members.
type asks struct {
	mu     sync.Mutex
	seen   []wire.ClientFrame
	refuse wire.Code // what pages are refused with; empty means not
}

func (a *asks) script(g *fakeGateway) {
	g.onFrame = func(c *fakeConn, f *wire.ClientFrame) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		switch f.Type {
		case wire.TypeMembers:
			a.seen = append(a.seen, wire.ClientFrame{Limit: f.Limit})
			if len(f.ID) == 0 {
				return true // the test answers
			}
			if a.refuse != "" {
				c.fail(f.ID, f.Channel, a.refuse)
				return true
			}
			c.send(wire.AppendMembers(nil, f.ID, f.Channel, presence.Page{Version: 9, Count: 2, Members: []presence.Member{{User: f.After + "x"}}, Next: "n"}))
			return true
		case wire.TypeSubscribe:
			if !f.Channels[0].Presence {
				g.t.Errorf("members were not asked for")
			}
		}
		return false
	}
}

func (a *asks) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

func TestMembersAreFollowed(t *testing.T) {
	var a asks
	g := newFake(t, a.script)
	c := start(t, g, nil)
	o := look(t, c, "m:7")
	conn := g.conn(0)
	conn.send(changed(presence.Join, "early", 3, 2)) // before the snapshot, which has it
	conn.send(snapshot(5, "a", "b"))
	conn.send(changed(presence.Join, "b", 5, 4), changed(presence.Join, "c", 7, 5))
	conn.send(changed(presence.Leave, "a", 8, 7), changed(presence.Leave, "a", 8, 7))
	want := []string{"members 2 of 2 at 5", "join c 7", "leave a 8"}
	o.expect(t, want...)

	// Nothing between the gap and the snapshot that closes it is told.
	conn.send(changed(presence.Join, "e", 11, 10), changed(presence.Join, "f", 12, 11))
	eventually(t, "the question", func() bool { return a.count() == 1 })
	conn.send(snapshot(12, "b", "c", "e", "f"))
	conn.send(changed(presence.Join, "f", 12, 11), changed(presence.Update, "f", 13, 12))
	want = append(want, "members 4 of 4 at 12", "update f 13")
	o.expect(t, want...)
	require.Equal(t, uint64(1), c.Stats().MemberGaps)
	require.Equal(t, 1, a.count())

	// A page of a store that is away is followed by nothing, until there is a true one.
	conn.send(wire.AppendMembers(nil, nil, "m:7", presence.Page{Version: 10, StaleSince: time.Now()}))
	conn.send(changed(presence.Join, "g", 14, 13), snapshot(14, "b", "g"), changed(presence.Leave, "g", 15, 14))
	want = append(want, "members 0 of 0 at 10 stale", "members 2 of 2 at 14", "leave g 15")
	o.expect(t, want...)

	// A new connection begins with its own snapshot; what the old one had known counts no more.
	conn.cut()
	next := g.conn(1)
	eventually(t, "subscribed", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return next.subs["m:7"] })
	next.send(changed(presence.Join, "h", 16, 15), snapshot(3, "z"), changed(presence.Join, "y", 4, 3))
	o.expect(t, append(want, "members 1 of 1 at 3", "join y 4")...)
	require.Zero(t, c.Violations())
}

// Trouble with members is told, and does not touch the events.
func TestMembersTrouble(t *testing.T) {
	var a asks
	g := newFake(t, a.script)
	c := start(t, g, nil)
	o := look(t, c, "m:7")
	conn := g.conn(0)
	conn.send(snapshot(5))
	fail := func(code wire.Code) {
		conn.send(wire.AppendError(nil, nil, &wire.Error{Code: code, Message: "scripted", Channel: "m:7", Path: "/presence"}))
	}
	conn.send(changed(presence.Join, "a", 9, 8))
	eventually(t, "the question", func() bool { return a.count() == 1 })
	fail(wire.CodeUnavailable)
	eventually(t, "told", func() bool { return counted(&o.recorder, &o.errs) == 1 })
	var e *ChannelError
	require.ErrorAs(t, listed(&o.recorder, &o.errs)[0], &e)
	require.True(t, e.Retry)
	conn.send(changed(presence.Join, "b", 10, 9))
	eventually(t, "the question again", func() bool { return a.count() == 2 })
	conn.send(snapshot(10, "a", "b"))
	o.expect(t, "members 0 of 0 at 5", "members 2 of 2 at 10")
	fail(wire.CodeForbidden)
	g.publish("m:7", numbered(1))
	o.wait(t, 1)
	require.Len(t, listed(&o.recorder, &o.subscribed), 1, "the subscription was not touched")
}

func TestMembersPage(t *testing.T) {
	var a asks
	g := newFake(t, a.script)
	c := start(t, g, nil)
	p, err := c.Members(within(t), "m:7", `q"`, 50)
	require.NoError(t, err)
	require.Equal(t, presence.Page{Version: 9, Count: 2, Members: []presence.Member{{User: `q"x`}}, Next: "n"}, p)
	require.Equal(t, 50, a.seen[0].Limit)
	a.mu.Lock()
	a.refuse = wire.CodeForbidden
	a.mu.Unlock()
	_, err = c.Members(within(t), "m:7", "", 0)
	var refused *wire.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, wire.CodeForbidden, refused.Code)
}
