package redisinbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// A replica takes over, and the inbox goes on there: the group and what is pending are replicated, and the blocking
// connection finds the new primary, too.
func TestFailover(t *testing.T) {
	set := redistest.StartSentinel(t, 3)
	replica := set.Replicas[0]
	patient := brief
	patient.Patience = time.Hour
	a, b := startNode(t, set.URL(), "a", patient), startNode(t, set.URL(), "b", patient)
	active(t, set.Primary, a, b)
	for i := 1; i <= 50; i++ {
		add(t, set.Primary, "channel", "jobs:1", "event", step(i))
	}
	drained(t, set.Primary)
	replica.Eventually("the same on the replica", func() bool { return len(log(t, replica, "jobs:1")) == 50 })
	// Some wait while the primary dies: nobody takes them, since the channel's key is in the way.
	set.Primary.Do("SET", "tw:{jobs:2}", "somebody else's")
	for i := 1; i <= 20; i++ {
		add(t, set.Primary, "channel", "jobs:2", "event", step(i))
	}
	set.Primary.Eventually("taken", func() bool { return a.Stats().Held+b.Stats().Held == 20 })
	replica.Eventually("pending on the replica", func() bool {
		p, err := replica.Admin().XPending(t.Context(), inboxKey, "gateways").Result()
		return err == nil && p.Count == 20
	})
	set.Primary.Pause()
	set.AwaitPromotion(replica)
	replica.Do("DEL", "tw:{jobs:2}")
	for i := 51; i <= 100; i++ {
		add(t, replica, "channel", "jobs:1", "event", step(i))
	}
	drained(t, replica)
	require.Equal(t, upTo(100), log(t, replica, "jobs:1"))
	require.Equal(t, upTo(20), log(t, replica, "jobs:2"))
	require.NotZero(t, a.Stats().Claimed+b.Stats().Claimed)
}
