package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
)

// people returns who a gateway says is in a channel, and the version of that: while it is the same, nobody
// was told of a change.
func (in *inhabitant) people(channel string) (out []string, version uint64) {
	in.world.t.Helper()
	p, err := in.tracker.Members(context.Background(), channel, presence.PageRequest{})
	require.NoError(in.world.t, err)
	out = []string{}
	for _, m := range p.Members {
		out = append(out, fmt.Sprintf("%s %s %d %s", m.User, m.State, m.Sessions, m.Status))
	}
	return out, p.Version
}

// inWorld runs a test of sessions between their requests at two gateways.
func inWorld(t *testing.T, test func(t *testing.T, w *world, a, b *inhabitant, token string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]namespace.Options{"m": {Grace: 10 * time.Second}}, nil)
		test(t, w, w.gateway("gw-a"), w.gateway("gw-b"), w.token("alice"))
	})
}

const enterM7 = `{"session":"s","frames":{"type":"presence","id":1,"channel":"m:7","status":1}}`

// A session that says that it is present is so for a minute, then in grace, then gone.
func TestPresenceByCommandsLastsAMinute(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, b *inhabitant, token string) {
		answers := a.command(token, enterM7)
		require.Equal(t, []string{"present"}, types(answers), "and nothing of the members, which nobody asked for")
		w.pass(59 * time.Second)
		here, _ := b.people("m:7")
		require.Equal(t, []string{"alice live 1 1"}, here)
		w.pass(3 * time.Second)
		here, _ = b.people("m:7")
		require.Equal(t, []string{"alice grace 1 1"}, here)
		w.pass(12 * time.Second)
		here, _ = b.people("m:7")
		require.Empty(t, here)
		// Who comes back begins anew.
		a.command(token, enterM7)
		here, _ = b.people("m:7")
		require.Equal(t, []string{"alice live 1 1"}, here)
	})
}

// Repeated in time it lasts for as long as that, wherever it is said, and nobody is told of it.
func TestPresenceIsCarriedFromGatewayToGateway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, b *inhabitant, token string) {
		a.command(token, enterM7)
		_, version := a.people("m:7")
		for i := range 20 {
			w.pass(25 * time.Second)
			in := []*inhabitant{a, b}[i*i/3%2] // not in turn
			in.command(token, enterM7)
			here, now := in.people("m:7")
			require.Equal(t, []string{"alice live 1 1"}, here)
			require.Equal(t, version, now, "nobody joined, left or changed")
		}
		// A gateway that ends takes nobody with it who was seen elsewhere since.
		b.command(token, enterM7)
		a.stop()
		w.pass(20 * time.Second)
		_, now := b.people("m:7")
		require.Equal(t, version, now)
	})
}

// When the gateway that a session was seen at ends before the session's minute is over, nobody leaves: it has
// the time to be seen elsewhere. Who is not, is gone after that.
func TestPresenceOutlivesTheGateway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, b *inhabitant, token string) {
		a.command(token, enterM7)
		bob := w.token("bob")
		a.command(bob, enterM7)
		w.pass(20 * time.Second)
		a.stop()
		w.pass(45 * time.Second)
		here, _ := b.people("m:7")
		require.Equal(t, []string{"alice grace 1 1", "bob grace 1 1"}, here)
		b.command(token, enterM7)
		w.pass(20 * time.Second)
		here, _ = b.people("m:7")
		require.Equal(t, []string{"alice live 1 1"}, here)
		w.pass(50 * time.Second)
		here, _ = b.people("m:7")
		require.Equal(t, []string{"alice grace 1 1"}, here, "where it is over in time, the grace is the namespace's")
		w.pass(10 * time.Second)
		here, _ = b.people("m:7")
		require.Empty(t, here)
	})
}

// Polls are a session's heartbeat, however long they wait, and however long it is between them.
func TestPresenceByPolls(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, b *inhabitant, token string) {
		const present = `"present":[{"channel":"m:7","status":{"row":2}}]`
		start := publishWith(t, a.broker, "m:7", event(0))
		body := fmt.Sprintf(`{"session":"s","channels":[{"channel":"m:7","cursor":"%s"}],"wait_ms":60000,%s}`, start, present)
		poll := a.begin(t.Context(), http.MethodPost, "/v1/poll", token, body)
		synctest.Wait()
		here, version := b.people("m:7")
		require.Equal(t, []string{`alice live 1 {"row":2}`}, here)
		<-poll.done
		for i := range 12 {
			w.pass(time.Duration(i%4) * 15 * time.Second)
			in := []*inhabitant{a, a, b}[i%3]
			began := time.Now()
			if a := in.poll(token, body); true {
				require.Empty(t, a.frames)
			}
			require.GreaterOrEqual(t, time.Since(began), time.Minute)
			_, now := in.people("m:7")
			require.Equal(t, version, now)
		}
		// One that does not list the channel keeps it too, where the session is.
		a.poll(token, body)
		for range 3 {
			a.poll(token, fmt.Sprintf(`{"session":"s","channels":[{"channel":"m:7","cursor":"%s"}],"wait_ms":60000}`, start))
			w.pass(30 * time.Second)
			_, now := a.people("m:7")
			require.Equal(t, version, now)
		}
		w.pass(33 * time.Second)
		here, _ = b.people("m:7")
		require.Equal(t, []string{`alice grace 1 {"row":2}`}, here)
	})
}

// A status is what was said last, at whatever gateway.
func TestStatusByPollsAndCommands(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, b *inhabitant, token string) {
		say := func(in *inhabitant, status string) {
			in.poll(token, fmt.Sprintf(`{"session":"s","channels":[{"channel":"n:1"}],"wait_ms":0,"present":[{"channel":"m:7"%s}]}`, status))
		}
		say(a, `,"status":1`)
		say(a, `,"status":2`)
		here, _ := b.people("m:7")
		require.Equal(t, []string{"alice live 1 2"}, here)
		say(b, "")
		here, _ = b.people("m:7")
		require.Equal(t, []string{"alice live 1 2"}, here, "none keeps what there is")
		say(a, `,"status":null`)
		here, _ = b.people("m:7")
		require.Equal(t, []string{"alice live 1 "}, here)
		b.command(token, `{"session":"s","frames":{"type":"presence","channel":"m:7","status":3}}`)
		here, _ = a.people("m:7")
		require.Equal(t, []string{"alice live 1 3"}, here)
	})
}

// A goodbye counts at once, also at a gateway that has not seen the session, or not last.
func TestGoodbyeByCommands(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, b *inhabitant, token string) {
		const leave = `{"session":"s","frames":{"type":"presence","id":2,"channel":"m:7","leave":true}}`
		for _, at := range [][]*inhabitant{{a, a}, {a, b}, {a, b, a}, {b, a, b}} {
			for _, in := range at[:len(at)-1] {
				in.command(token, enterM7)
			}
			require.Equal(t, []string{"present"}, types(at[len(at)-1].command(token, leave)))
			here, version := a.people("m:7")
			require.Empty(t, here)
			// Who is not there cannot leave, and is not seen to come for it.
			for _, in := range []*inhabitant{a, b} {
				again := in.command(token, leave)
				require.Equal(t, []string{"error"}, types(again))
				require.Equal(t, wire.CodeNotSubscribed, again[0].Code)
				require.Equal(t, "m:7", again[0].Channel)
			}
			_, now := a.people("m:7")
			require.Equal(t, version, now)
			w.pass(2 * time.Minute)
			here, _ = a.people("m:7")
			require.Empty(t, here, "and what the gateways had of it is over")
		}
	})
}

// The member is one, whatever it reads through.
func TestGoodbyeOfOneOfTwoSessions(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, b *inhabitant, token string) {
		for _, user := range []string{"alice", "alicd", "alicf", "alic", "alice2"} {
			a.command(w.token(user), enterM7)
		}
		b.command(token, `{"session":"t","frames":{"type":"presence","channel":"m:7","status":2}}`)
		b.command(token, `{"session":"s","frames":{"type":"presence","channel":"m:7","leave":true}}`)
		here, _ := a.people("m:7")
		require.Equal(t, []string{"alic live 1 1", "alicd live 1 1", "alice live 1 2", "alice2 live 1 1", "alicf live 1 1"}, here)
	})
}

// Requests without a session are nobody, and many sessions are many.
func TestPresenceNeedsASession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, _ *inhabitant, token string) {
		answers := a.command(token, `{"frames":[{"type":"presence","id":1,"channel":"m:8"},{"type":"members","id":2,"channel":"m:8"}]}`)
		require.ElementsMatch(t, []string{"error", "members"}, types(answers))
		for _, f := range answers {
			if f.Type == "error" {
				require.Equal(t, wire.CodeInvalidFrame, f.Code)
				require.Equal(t, "1", string(f.ID))
			} else {
				require.Empty(t, f.Members)
			}
		}
		for i := range 200 {
			a.command(token, fmt.Sprintf(`{"session":"s-%d","frames":{"type":"presence","channel":"m:8"}}`, i))
		}
		here, _ := a.people("m:8")
		require.Equal(t, []string{"alice live 200 "}, here)
		w.pass(80 * time.Second)
		here, _ = a.people("m:8")
		require.Empty(t, here)
	})
}

// A token that ends takes the presence that it gave with it.
func TestPresenceEndsWithTheToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, a, _ *inhabitant, _ string) {
		a.command(mint(t, "alice", "", everything(), time.Now(), 20*time.Second), enterM7)
		w.pass(15 * time.Second)
		here, _ := a.people("m:7")
		require.Equal(t, []string{"alice live 1 1"}, here)
		w.pass(7 * time.Second)
		here, _ = a.people("m:7")
		require.Equal(t, []string{"alice grace 1 1"}, here)
		a.command(mint(t, "alice", "", everything(), time.Now(), 20*time.Second), enterM7)
		here, _ = a.people("m:7")
		require.Equal(t, []string{"alice live 1 1"}, here)
	})
}
