package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MasterName is what the sentinels of a [Set] call their primary.
const MasterName = "tw"

// Set is a primary, its replicas, and the sentinels that watch them.
type Set struct {
	Primary   *Server
	Replicas  []*Server
	Sentinels []*Server
}

// StartPair starts a primary and one replica and waits until they are in sync.
func StartPair(t testing.TB, options ...Option) (primary, replica *Server) {
	t.Helper()
	primary = Start(t, options...)
	replica = Start(t, append(append([]Option{}, options...), WithReplicaOf(primary))...)
	replica.Eventually("replication", func() bool { return replica.Info("master_link_status") == "up" })
	// A replica counts as online before it acknowledges: wait for what WAIT says of something propagated.
	primary.Eventually("a replica that acknowledges", func() bool {
		pipe := primary.Admin().Pipeline()
		ctx := t.Context()
		pipe.Publish(ctx, "redistest", "x")
		acknowledged := redis.NewIntCmd(ctx, "WAIT", 1, 1000)
		_ = pipe.Process(ctx, acknowledged)
		_, err := pipe.Exec(ctx)
		return err == nil && acknowledged.Val() >= 1
	})
	return primary, replica
}

// StartSentinel starts a primary with one replica and n sentinels, a majority of which fails over
// about a second after the primary stopped answering.
func StartSentinel(t testing.TB, n int, options ...Option) *Set {
	t.Helper()
	primary, replica := StartPair(t, options...)
	set := &Set{Primary: primary, Replicas: []*Server{replica}}
	for i := range n {
		s := &Server{t: t, dir: t.TempDir(), kind: "sentinel"}
		config := filepath.Join(s.dir, "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d %d\n"+
			"sentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 3000\nsentinel parallel-syncs %s 1\n",
			s.dir, MasterName, primary.port, n/2+1, MasterName, MasterName, MasterName)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatalf("redistest: sentinel %d: %v", i, err)
		}
		s.args = []string{config}
		s.begin()
		set.Sentinels = append(set.Sentinels, s)
	}
	for _, s := range set.Sentinels {
		s.Eventually("a sentinel that knows the set", func() bool {
			m := set.master(s)
			return m["num-slaves"] == "1" && m["num-other-sentinels"] == strconv.Itoa(n-1) && m["flags"] == "master"
		})
	}
	return set
}

// master returns what a sentinel knows about the primary; empty where it does not answer.
func (set *Set) master(s *Server) map[string]string {
	c := redis.NewSentinelClient(s.options())
	defer func() { _ = c.Close() }()
	m, err := c.Master(context.WithoutCancel(s.t.Context()), MasterName).Result()
	if err != nil {
		return nil
	}
	return m
}

// URL returns the set's redis-sentinel:// URL.
func (set *Set) URL() string {
	addrs := make([]string, len(set.Sentinels))
	for i, s := range set.Sentinels {
		addrs[i] = s.Addr()
	}
	return "redis-sentinel://" + strings.Join(addrs, ",") + "/" + MasterName
}

// AwaitPromotion waits until the sentinels name the replica as primary and it accepts writes.
func (set *Set) AwaitPromotion(replica *Server) {
	replica.t.Helper()
	replica.Eventually("a promotion", func() bool {
		if replica.Info("role") != "master" {
			return false
		}
		for _, s := range set.Sentinels {
			if set.master(s)["port"] != strconv.Itoa(replica.port) {
				return false
			}
		}
		return true
	})
}
