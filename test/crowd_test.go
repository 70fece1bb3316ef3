package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/presence"
)

// tab is a bare connection whose session is present in one channel. It reads what it is sent and does not
// look at it.
type tab struct {
	user, session, channel string
	conn                   *goclient.Conn
	ended                  chan struct{} // closed when the connection has
}

// openTab opens a tab and returns when it is present.
func openTab(ctx context.Context, addr, token, user, session, channel string) (*tab, error) {
	conn, err := goclient.DialWith(ctx, goclient.DialOptions{URL: "ws://" + addr, Token: token, Session: session})
	if err != nil {
		return nil, err
	}
	x := &tab{user: user, session: session, channel: channel, conn: conn, ended: make(chan struct{})}
	frame := fmt.Sprintf(`{"type":"presence","id":2,"channel":"%s","status":{"tab":"%s"}}`, channel, session)
	err = conn.SendRaw(ctx, []byte(frame))
	for present := false; err == nil && !present; {
		frames, e := conn.Receive(ctx)
		err = e
		for i := range frames {
			present = present || frames[i].Type == "present"
			if frames[i].Type == "error" {
				err = fmt.Errorf("%s: %s", frames[i].Code, frames[i].Message)
			}
		}
	}
	if err != nil {
		conn.CloseNow()
		return nil, fmt.Errorf("%s/%s: %w", user, session, err)
	}
	reading := context.WithoutCancel(ctx)
	go func() {
		defer close(x.ended)
		for {
			if _, err := conn.ReceiveRaw(reading); err != nil {
				return
			}
		}
	}()
	return x, nil
}

func (x *tab) close() {
	x.conn.CloseNow()
	<-x.ended
}

// crowd are users with tabs. User i is in the channel of its number.
type crowd struct {
	t        testing.TB
	channels []string
	tokens   []string
	mu       sync.Mutex // guards the following
	tabs     []*tab
}

func newCrowd(t testing.TB, users int, channels ...string) *crowd {
	t.Helper()
	c := &crowd{t: t, channels: channels}
	for i := range users {
		c.tokens = append(c.tokens, token(t, userName(i)))
	}
	t.Cleanup(func() {
		for _, x := range c.tabs {
			x.close()
		}
	})
	return c
}

func userName(i int) string { return fmt.Sprintf("user-%04d", i) }

func (c *crowd) channel(i int) string { return c.channels[i%len(c.channels)] }

// open opens a tab of each of the users from first up to end at a gateway, and returns when all are present.
func (c *crowd) open(addr, session string, first, end int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(64)
	for i := first; i < end; i++ {
		g.Go(func() error {
			x, err := openTab(ctx, addr, c.tokens[i], userName(i), session, c.channel(i))
			if err != nil {
				return err
			}
			c.mu.Lock()
			c.tabs = append(c.tabs, x)
			c.mu.Unlock()
			return nil
		})
	}
	require.NoError(c.t, g.Wait())
}

// observer watches all channels by one connection that is expected to last, and writes down what it is told.
type observer struct {
	t      testing.TB
	name   string
	client *goclient.Client

	mu        sync.Mutex // guards the following
	rosters   map[string]*presence.Roster
	changes   []observed
	snapshots int
	problems  []error
}

type observed struct {
	presence.Change
	at time.Time
}

func (o observed) String() string {
	return fmt.Sprintf("%s %s %s (%d after %d, sessions %d, %s)", o.Channel, o.Action, o.Member.User, o.Version, o.Prev, o.Member.Sessions, o.Member.State)
}

func observe(t testing.TB, name, addr string, channels ...string) *observer {
	t.Helper()
	o := &observer{t: t, name: name, rosters: map[string]*presence.Roster{}}
	var err error
	o.client, err = goclient.New(goclient.Options{URL: "ws://" + addr, Token: token(t, name), Session: name})
	require.NoError(t, err)
	handler := goclient.Handler{OnMembers: o.onMembers, OnMember: o.onMember, OnError: func(_ context.Context, err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.problems = append(o.problems, err)
	}}
	var ready []*goclient.Subscription
	for _, channel := range channels {
		o.rosters[channel] = &presence.Roster{}
		sub, err := o.client.Subscribe(channel, goclient.SubscribeOptions{Presence: true, Handler: handler})
		require.NoError(t, err)
		ready = append(ready, sub)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- o.client.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	wait, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for _, sub := range ready {
		require.NoError(t, sub.Ready(wait))
	}
	o.eventually("every channel's members", func() bool { return o.snapshots >= len(channels) })
	return o
}

// onMembers loads a snapshot, whose channels in these tests have one page or are loaded page by page.
func (o *observer) onMembers(ctx context.Context, m goclient.Members) {
	if !m.StaleSince.IsZero() {
		return
	}
	pages := []presence.Page{m.Page}
	var err error
	for next := m.Next; next != "" && err == nil; next = pages[len(pages)-1].Next {
		var p presence.Page
		if p, err = o.client.Members(ctx, m.Channel, next, presence.MaxPageLimit); err == nil {
			pages = append(pages, p)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.problems = append(o.problems, err)
		return
	}
	after := ""
	for _, p := range pages {
		if r := o.rosters[m.Channel].Load(after, p); r != presence.Applied {
			o.problems = append(o.problems, fmt.Errorf("%s: page after %q: outcome %d", m.Channel, after, r))
		}
		after = p.Next
	}
	o.snapshots++
}

func (o *observer) onMember(_ context.Context, c presence.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.rosters[c.Channel].Apply(c); r != presence.Applied {
		o.problems = append(o.problems, fmt.Errorf("%s at %d: outcome %d", c.Channel, c.Version, r))
	}
	o.changes = append(o.changes, observed{c, time.Now()})
}

// eventually waits for a condition, which is looked at with the lock held.
func (o *observer) eventually(what string, ok func() bool) {
	o.t.Helper()
	require.Eventually(o.t, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return ok()
	}, patience, poll, "%s: %s", o.name, what)
}

// awaitMembers waits until so many members are known in all channels together.
func (o *observer) awaitMembers(members, sessions int) {
	o.t.Helper()
	o.eventually(fmt.Sprintf("%d members with %d sessions", members, sessions), func() bool {
		m, s := 0, 0
		for _, r := range o.rosters {
			m += r.Len()
			for _, x := range r.Members() {
				s += x.Sessions
			}
		}
		return m == members && s == sessions
	})
}

// take returns the changes so far, and forgets them.
func (o *observer) take() []observed {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.changes
	o.changes = nil
	return out
}

// unbroken requires that the observer was told every change: by one connection, with one snapshot of each
// channel.
func (o *observer) unbroken() {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.Empty(o.t, o.problems, o.name)
	require.Equal(o.t, len(o.rosters), o.snapshots, o.name)
	require.Zero(o.t, o.client.Stats().MemberGaps, o.name)
	require.EqualValues(o.t, 1, o.client.Stats().Connections, o.name)
}

// tally counts the changes of an action by user.
func tally(changes []observed, action presence.Action) map[string]int {
	out := map[string]int{}
	for _, c := range changes {
		if c.Action == action {
			out[c.Member.User]++
		}
	}
	return out
}

// once is what tally says of users from first up to end that changed once.
func once(first, end int) map[string]int {
	out := map[string]int{}
	for i := first; i < end; i++ {
		out[userName(i)] = 1
	}
	return out
}

// agree requires that observers were told the same, channel by channel.
func agree(t testing.TB, told ...[]observed) {
	t.Helper()
	sequence := func(changes []observed) map[string]string {
		by := map[string][]string{}
		for _, c := range changes {
			by[c.Channel] = append(by[c.Channel], c.String())
		}
		out := map[string]string{}
		for channel, list := range by {
			out[channel] = strings.Join(list, "\n")
		}
		return out
	}
	for _, other := range told[1:] {
		require.Equal(t, sequence(told[0]), sequence(other))
	}
}

// namespaceFile writes a configuration.
func namespaceFile(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "namespaces.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// rooms returns names of channels.
func rooms(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("room:", i)
	}
	return slices.Clip(out)
}
