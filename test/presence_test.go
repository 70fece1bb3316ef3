package test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
)

// Times of these tests, but of the rolling restart, which has the defaults.
const (
	leaseTTL  = 2 * time.Second
	roomGrace = 500 * time.Millisecond
)

// trio are three gateways with short leases.
type trio struct {
	server  *redistest.Server
	a, b, c *process
}

func startTrio(t *testing.T, server *redistest.Server) *trio {
	t.Helper()
	file := namespaceFile(t, fmt.Sprintf("namespaces:\n  room:\n    grace: %s\n", roomGrace))
	args := []string{"--redis", server.URL(), "--lease-ttl", leaseTTL.String(), "--config", file}
	x := &trio{server: server}
	x.a = startGateway(t, "gw-a", args...)
	x.b = startGateway(t, "gw-b", args...)
	x.c = startGateway(t, "gw-c", args...)
	for _, p := range []*process{x.a, x.b, x.c} {
		p.awaitReady()
	}
	return x
}

// awaitIncarnations waits until Redis knows so many incarnations of gateways: the dead are reaped.
func awaitIncarnations(t *testing.T, server *redistest.Server, n int64) {
	t.Helper()
	admin := server.Admin()
	require.Eventually(t, func() bool { return admin.HLen(context.Background(), "tw:_gateways").Val() == n },
		patience, poll, "%d incarnations", n)
}

// incarnations returns which incarnations of gateways Redis knows.
func incarnations(t *testing.T, server *redistest.Server) []string {
	t.Helper()
	keys, err := server.Admin().HKeys(t.Context(), "tw:_gateways").Result()
	require.NoError(t, err)
	return keys
}

// The crowd of the tests: everybody has two tabs at the gateway that fails, the first ones have another tab
// elsewhere.
const (
	everybody = 1000
	elsewhere = 300
)

func fillTrio(t *testing.T, x *trio) (*crowd, []*observer) {
	t.Helper()
	people := newCrowd(t, everybody, rooms(10)...)
	people.open(x.c.addr, "tab-1", 0, everybody)
	people.open(x.c.addr, "tab-2", 0, everybody)
	people.open(x.a.addr, "tab-3", 0, elsewhere)
	observers := []*observer{
		observe(t, "observer-a", x.a.addr, people.channels...),
		observe(t, "observer-b", x.b.addr, people.channels...),
	}
	for _, o := range observers {
		o.awaitMembers(everybody, 2*everybody+elsewhere)
		o.take()
	}
	return people, observers
}

// judgeLeaves requires that exactly those left who were nowhere else, once, in time, and that all saw it.
func judgeLeaves(t *testing.T, observers []*observer, failed time.Time) {
	t.Helper()
	var told [][]observed
	for _, o := range observers {
		changes := o.take()
		require.Equal(t, once(elsewhere, everybody), tally(changes, presence.Leave), o.name)
		require.Empty(t, tally(changes, presence.Join), o.name)
		last := time.Duration(0)
		for _, c := range changes {
			if c.Action == presence.Leave {
				last = max(last, c.at.Sub(failed))
			}
		}
		t.Logf("%s: the last of %d leaves came after %s", o.name, everybody-elsewhere, last.Round(time.Millisecond))
		// Within a second of the lease's end; a machine that is busy with other tests gets another one.
		require.LessOrEqual(t, last, leaseTTL+2*time.Second, o.name)
		told = append(told, changes)
	}
	agree(t, told...)
}

// TestPresenceOfAKilledGateway: each user who was at the killed gateway only leaves once, within the lease's
// lifetime and a second; nobody else does.
func TestPresenceOfAKilledGateway(t *testing.T) {
	x := startTrio(t, redistest.Start(t))
	people, observers := fillTrio(t, x)
	failed := time.Now()
	x.c.kill()
	for _, o := range observers {
		o.awaitMembers(elsewhere, elsewhere)
	}
	awaitIncarnations(t, x.server, 2)
	judgeLeaves(t, observers, failed)

	// What comes then is only what happens then.
	people.open(x.b.addr, "again", elsewhere, elsewhere+10)
	for _, o := range observers {
		o.awaitMembers(elsewhere+10, elsewhere+10)
		changes := o.take()
		require.Len(t, changes, 10)
		require.Equal(t, once(elsewhere, elsewhere+10), tally(changes, presence.Join))
		o.unbroken()
	}
}

// TestPresenceOfAFrozenGateway: the same of one that is stopped for longer than its lease. When it goes on,
// those who are still connected to it join again, once. Those who have closed their tabs meanwhile do not stay:
// the gateway may come to declare one again before it comes to read that their connection ended, and then takes
// it back.
func TestPresenceOfAFrozenGateway(t *testing.T) {
	x := startTrio(t, redistest.Start(t))
	people, observers := fillTrio(t, x)
	failed := time.Now()
	require.NoError(t, x.c.cmd.Process.Signal(syscall.SIGSTOP))
	for _, o := range observers {
		o.awaitMembers(elsewhere, elsewhere)
	}
	judgeLeaves(t, observers, failed)

	const closed = 100 // users who close both tabs while the gateway is frozen, the last ones
	for _, tab := range people.tabs {
		if tab.user >= userName(everybody-closed) {
			tab.close()
		}
	}
	require.NoError(t, x.c.cmd.Process.Signal(syscall.SIGCONT))
	for _, o := range observers {
		o.awaitMembers(everybody-closed, 2*(everybody-closed)+elsewhere)
	}
	awaitIncarnations(t, x.server, 3)
	var told [][]observed
	for _, o := range observers {
		changes := o.take()
		joins, leaves := tally(changes, presence.Join), tally(changes, presence.Leave)
		for user := range leaves {
			require.GreaterOrEqual(t, user, userName(everybody-closed), "%s: left though still connected", o.name)
			require.Equal(t, joins[user], leaves[user], "%s: %s", o.name, user)
			delete(joins, user)
		}
		require.Equal(t, once(elsewhere, everybody-closed), joins, o.name)
		told = append(told, changes)
		o.unbroken()
	}
	agree(t, told...)
}

// TestPresenceThroughARollingRestart: three gateways are replaced one after the other while events flow. The
// clients move, and nobody sees any of them join or leave.
func TestPresenceThroughARollingRestart(t *testing.T) {
	server := redistest.Start(t)
	front := &balancer{}
	var olds []*process
	for i := range 3 {
		olds = append(olds, startGateway(t, "gw-"+itoa(i), "--redis", server.URL()))
	}
	quiet := startGateway(t, "gw-quiet", "--redis", server.URL()).awaitReady() // where the observer is
	for _, p := range olds {
		front.addrs = append(front.addrs, p.awaitReady().addr)
	}
	j := newJournal()
	clients := startReaders(t, j, front, 60, "room:1")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i, c := range clients.clients {
		require.NoError(t, c.Presence(ctx, "room:1", fmt.Appendf(nil, `{"client":%d}`, i)))
	}
	o := observe(t, "observer", quiet.addr, "room:1")
	o.awaitMembers(60, 60)
	w := newWorker(t, j, &redis.UniversalOptions{Addrs: []string{server.Addr()}})
	last := map[string]string{}
	for round, old := range olds {
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			old.stop()
		}()
		for done := false; !done; {
			last["room:1"] = w.publish("room:1")
			select {
			case <-stopped:
				done = true
			default:
			}
		}
		fresh := startGateway(t, "gw-new-"+itoa(round), "--redis", server.URL()).awaitReady()
		front.mu.Lock()
		front.addrs[round] = fresh.addr
		front.mu.Unlock()
	}
	clients.await(last)
	// Whoever had been lost on the way would leave before one who goes now.
	zoe, err := openTab(ctx, quiet.addr, token(t, "zoe"), "zoe", "z", "room:1")
	require.NoError(t, err)
	zoe.close()
	o.eventually("zoe has left", func() bool {
		n := len(o.changes)
		return n > 0 && o.changes[n-1].Action == presence.Leave && o.changes[n-1].Member.User == "zoe"
	})
	o.awaitMembers(60, 60)
	awaitIncarnations(t, server, 4)
	changes := o.take()
	require.Equal(t, map[string]int{"zoe": 1}, tally(changes, presence.Join))
	require.Equal(t, map[string]int{"zoe": 1}, tally(changes, presence.Leave))
	o.unbroken()
	moved := uint64(0)
	for _, c := range clients.clients {
		moved += c.Stats().Moves
	}
	require.GreaterOrEqual(t, moved, uint64(60), "everybody has moved")
	require.Empty(t, j.check(false))
	require.Zero(t, clients.violations())
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.rosters["room:1"].Members() {
		require.Equal(t, presence.Live, m.State, m.User)
		require.JSONEq(t, fmt.Sprintf(`{"client":%s}`, m.User[len("client-"):]), string(m.Status), "the status came along")
	}
}

// TestPresenceWithoutRedis: while Redis is away, answers say since when they are stale; when it is back,
// whether after less than a lease's lifetime or more, nobody has left.
func TestPresenceWithoutRedis(t *testing.T) {
	for _, away := range []time.Duration{leaseTTL / 4, 2 * leaseTTL} {
		t.Run("for "+away.String(), func(t *testing.T) {
			x := startTrio(t, redistest.Start(t, redistest.WithAOF()))
			people := newCrowd(t, 40, "room:1")
			people.open(x.a.addr, "tab-1", 0, 20)
			people.open(x.c.addr, "tab-2", 10, 40)
			o := observe(t, "observer", x.b.addr, "room:1")
			o.awaitMembers(40, 50)
			o.take()
			page := askMembers(t, o.client)
			require.True(t, page.StaleSince.IsZero())
			asked := time.Now()
			leases := incarnations(t, x.server)

			x.server.Kill()
			var stale presence.Page
			require.Eventually(t, func() bool {
				stale = askMembers(t, o.client)
				return !stale.StaleSince.IsZero()
			}, patience, poll, "a stale answer")
			require.WithinDuration(t, asked, stale.StaleSince, time.Second)
			require.Equal(t, page.Members, stale.Members)
			<-time.After(away) // the outage lasts
			x.server.Restart()
			for _, p := range []*process{x.a, x.b, x.c} {
				p.awaitReady()
			}
			require.Eventually(t, func() bool { return askMembers(t, o.client).StaleSince.IsZero() }, patience, poll, "a true answer")
			if away > leaseTTL { // the leases are over: there are new ones, and nothing is left of the old
				require.Eventually(t, func() bool {
					now := incarnations(t, x.server)
					return len(now) == 3 && !slices.ContainsFunc(now, func(s string) bool { return slices.Contains(leases, s) })
				}, patience, poll, "new incarnations")
			}
			o.awaitMembers(40, 50)
			// Whoever is taken for gone by mistake leaves before one who goes now.
			zoe, err := openTab(t.Context(), x.b.addr, token(t, "zoe"), "zoe", "z", "room:1")
			require.NoError(t, err)
			zoe.close()
			o.eventually("zoe has left", func() bool {
				return tally(o.changes, presence.Leave)["zoe"] == 1
			})
			changes := o.take()
			require.Equal(t, map[string]int{"zoe": 1}, tally(changes, presence.Join))
			require.Equal(t, map[string]int{"zoe": 1}, tally(changes, presence.Leave))
			o.awaitMembers(40, 50)
			// Nor has anybody left and joined again while nobody looked.
			require.Equal(t, page.Members, askMembers(t, o.client).Members)
		})
	}
}

func askMembers(t *testing.T, c *goclient.Client) presence.Page {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	page, err := c.Members(ctx, "room:1", "", 0)
	if err != nil {
		return presence.Page{StaleSince: time.Unix(1, 0)} // as good as none
	}
	return page
}
