package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/mempresence"
)

// follower watches a channel and holds every frame against the one before it.
type follower struct {
	name   string
	client *client
	roster presence.Roster
	shots  int
}

// follow reads until the roster is what it should be, which wanted says.
func (f *follower) follow(wanted func([]presence.Member) bool) error {
	for !wanted(f.roster.Members()) || !f.roster.Settled() {
		x, err := f.client.read()
		if err != nil {
			return fmt.Errorf("%s: %w, has %d members", f.name, err, f.roster.Len())
		}
		switch x.Type {
		case "members":
			f.shots++
			if x.StaleSinceMS == 0 {
				f.roster.Load("", pageOf(x))
			}
		case "member":
			// The gateway's part is that what follows a snapshot follows on it.
			if o := f.roster.Apply(changeOf(x)); o != presence.Applied {
				return fmt.Errorf("%s: %v: %s %s %d after %d, at %d", f.name, o, x.Action, x.Member.User, x.Version, x.Prev, f.roster.Version())
			}
		case "error":
			if x.Path != "/presence" {
				return fmt.Errorf("%s: %+v", f.name, x)
			}
		}
	}
	return nil
}

// Members come and go at two gateways, by leaving, by losing the connection, by moving; watchers come
// meanwhile; a store is away for a moment. No watcher misses a change or is told one twice, and at the end all
// know the same.
func TestWatchersAreNeverWrong(t *testing.T) {
	for round := range 3 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) { churnMembers(t, round) })
	}
}

func churnMembers(t *testing.T, round int) {
	t.Helper()
	events, members := membroker.NewStore(membroker.Options{}), mempresence.NewStore(mempresence.StoreOptions{})
	rigs := make([]*crowd, 2)
	for i := range rigs {
		o := crowdOptions{rigOptions: graced(20 * time.Millisecond), members: members, id: fmt.Sprint("gw-", i)}
		o.store = events
		o.change = func(g *gateway.Options) { g.RelayLinger = 50 * time.Millisecond }
		rigs[i] = newCrowd(t, o)
	}
	const channel, people, visits, watchers = "room:1", 12, 25, 8
	var ended atomic.Bool
	var walking, watching errgroup.Group
	for u := range people {
		walking.Go(func() error { return visit(rigs, channel, fmt.Sprint("user-", u), visits, round) })
	}
	followers := make([]*follower, watchers)
	for i := range followers {
		f := &follower{name: fmt.Sprint("watcher-", i)}
		f.client = rigs[i%2].session(f.name, "w")
		f.client.send(`{"type":"subscribe","channels":[{"channel":"%s","presence":true}]}`, channel)
		followers[i] = f
		watching.Go(func() error {
			return f.follow(func(m []presence.Member) bool { return ended.Load() && len(m) == 1 && m[0].User == "last" })
		})
	}
	for _, r := range rigs {
		r.tracker.ForTest().Cut()
		<-time.After(20 * time.Millisecond) // an outage has to last
		r.tracker.ForTest().Heal()
	}
	require.NoError(t, walking.Wait())
	rigs[0].eventually("all have left", func() bool { return len(rigs[0].here(channel)) == 0 })
	ended.Store(true)
	rigs[1].session("last", "l").enter(channel, "")
	require.NoError(t, watching.Wait())

	// Whoever goes, however it goes, leaves nothing behind at the gateway.
	for _, f := range followers {
		f.client.close()
	}
	r := rigs[0]
	r.eventually("no channel is open", func() bool { return r.gateway.Connections() == 0 && r.gateway.Overview().Channels == 0 })
}

// visit has a user come and go. It may be refused while the store is away.
func visit(rigs []*crowd, channel, user string, visits, seed int) error {
	random := rand.New(rand.NewPCG(uint64(seed), uint64(len(user)*1000+int(user[len(user)-1]))))
	var last *websocket.Conn
	for n := range visits {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		r := rigs[random.IntN(2)]
		ws, _, err := websocket.Dial(ctx, strings.Replace(r.url, "http", "ws", 1)+"/v1/ws", nil) //nolint:bodyclose // an upgrade has none
		if err != nil {
			cancel()
			return err
		}
		if last != nil {
			_ = last.CloseNow() // after the next one is open: the session moves
		}
		ws.SetReadLimit(8 << 20)
		last = ws
		message := fmt.Sprintf(`[{"type":"connect","token":"%s","session":"s%d"},{"type":"subscribe","channels":[{"channel":"%s","presence":true}]}`,
			r.token(user, nil), random.IntN(2), channel)
		for range 1 + random.IntN(3) {
			message += fmt.Sprintf(`,{"type":"presence","id":"here","channel":"%s","status":%d}`, channel, n)
		}
		err = ws.Write(ctx, websocket.MessageText, []byte(message+"]"))
		if err == nil && random.IntN(4) > 0 { // else it ends in the middle of it
			err = await(ctx, ws)
		}
		if err == nil && random.IntN(3) == 0 {
			err = ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"unsubscribe","channels":[{"channel":"%s"}]}`, channel))
		}
		if random.IntN(2) == 0 {
			_ = ws.CloseNow()
			last = nil
		}
		cancel()
		if err != nil {
			return fmt.Errorf("%s, visit %d: %w", user, n, err)
		}
	}
	if last != nil {
		_ = last.CloseNow()
	}
	return nil
}

// await reads until a presence frame is answered.
func await(ctx context.Context, ws *websocket.Conn) error {
	for {
		_, msg, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		frames, err := wire.Message(msg)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(frames, func(f wire.Frame) bool { return string(f.ID) == `"here"` }) {
			return nil
		}
	}
}

// heldTracker holds back its answers once it is told to.
type heldTracker struct {
	presence.Tracker
	before, after atomic.Pointer[hold] // the store is asked
}

type hold struct{ reached, let chan struct{} }

func newHold() *hold { return &hold{reached: make(chan struct{}), let: make(chan struct{})} }

func pass(at *atomic.Pointer[hold]) {
	if h := at.Swap(nil); h != nil {
		close(h.reached)
		<-h.let
	}
}

func (h *heldTracker) Members(ctx context.Context, channel string, r presence.PageRequest) (presence.Page, error) {
	pass(&h.before)
	page, err := h.Tracker.Members(ctx, channel, r)
	pass(&h.after)
	return page, err
}

// A change that comes while a snapshot is taken is in the snapshot or follows it, and not both.
func TestChangeDuringSnapshot(t *testing.T) {
	held := &heldTracker{}
	o := crowdOptions{}
	o.wrap = func(tr presence.Tracker) presence.Tracker { held.Tracker = tr; return held }
	r := newCrowd(t, o)
	first, _ := r.watcher("first", "m:7")
	watchDuring := func(user string, at *atomic.Pointer[hold], then func()) (*client, wire.Frame) {
		h := newHold()
		at.Store(h)
		c := r.connect(user, nil)
		c.subscribe("m:7", `,"presence":true`)
		<-h.reached
		then()
		close(h.let)
		return c, c.expect("members")
	}
	enter := func(i int) {
		require.NoError(t, r.tracker.Enter(t.Context(), guest(i, "")))
		first.change(presence.Join, fmt.Sprintf("guest-%05d", i)) // the room has heard of it
	}
	late, shot := watchDuring("late", &held.after, func() { enter(1); enter(2) })
	require.Empty(t, shot.Members)
	late.change(presence.Join, "guest-00001")
	late.change(presence.Join, "guest-00002")

	early, shot := watchDuring("early", &held.before, func() { enter(3) })
	require.Len(t, shot.Members, 3)
	late.change(presence.Join, "guest-00003")
	enter(4)
	early.change(presence.Join, "guest-00004")
	late.change(presence.Join, "guest-00004")

	// More changes than are kept for it: another snapshot.
	crowded, shot := watchDuring("crowded", &held.after, func() {
		for i := range 5000 {
			enter(100 + i)
		}
	})
	require.Len(t, shot.Members, 4)
	again := crowded.expect("members")
	require.Equal(t, 5004, again.Count)
	enter(5)
	crowded.change(presence.Join, "guest-00005")
}

// leakyTracker loses changes on their way to the gateway.
type leakyTracker struct {
	presence.Tracker
	lose atomic.Int32
}

type leakySink struct {
	presence.Sink
	tracker *leakyTracker
}

func (l *leakyTracker) Run(ctx context.Context, sink presence.Sink) error {
	return l.Tracker.Run(ctx, leakySink{sink, l})
}

func (s leakySink) Change(c presence.Change) {
	if s.tracker.lose.Add(-1) < 0 {
		s.Sink.Change(c)
	}
}

// A change that is lost shows with the next one: a new snapshot comes in its place.
func TestLostChange(t *testing.T) {
	leaky := &leakyTracker{}
	o := crowdOptions{}
	o.wrap = func(tr presence.Tracker) presence.Tracker { leaky.Tracker = tr; return leaky }
	r := newCrowd(t, o)
	bob, _ := r.watcher("bob", "m:7")
	r.fill(1)
	bob.change(presence.Join, "guest-00000")
	leaky.lose.Store(1)
	r.fill(2) // one is new
	require.NoError(t, r.tracker.Enter(t.Context(), guest(2, "")))
	require.Equal(t, []string{"guest-00000", "guest-00001", "guest-00002"}, users(bob.expect("members")))
	require.NoError(t, r.tracker.Enter(t.Context(), guest(3, "")))
	bob.change(presence.Join, "guest-00003")
}
