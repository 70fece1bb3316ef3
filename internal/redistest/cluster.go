package redistest

import (
	"context"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterSlots is the number of slots of a Redis Cluster.
const clusterSlots = 16384

// Cluster is a Redis Cluster. Its methods are for the test's own goroutine.
type Cluster struct {
	t         testing.TB
	Primaries []*Server
	Replicas  []*Server // of the primary with the same place; nil where they were not wanted
}

// StartCluster starts a cluster of n primaries, which share the slots evenly, each with a replica if so wanted. A
// replica takes over one to two seconds after its primary stopped answering.
func StartCluster(t testing.TB, n int, replicas bool, options ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	start := func() *Server {
		o := append([]Option{WithConfig(
			"cluster-enabled", "yes", "cluster-config-file", "nodes.conf", "cluster-node-timeout", "1000",
			"cluster-replica-validity-factor", "0", "cluster-require-full-coverage", "no",
		), func(s *Server) { s.cluster = true }}, options...)
		return Start(t, o...)
	}
	for i := range n {
		s := start()
		s.Do("CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/n, (i+1)*clusterSlots/n-1)
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		c.Primaries = append(c.Primaries, s)
	}
	if replicas {
		for range n {
			c.Replicas = append(c.Replicas, start())
		}
	}
	first := c.Primaries[0]
	for _, s := range c.nodes()[1:] {
		first.Do("CLUSTER", "MEET", "127.0.0.1", s.port, s.busPort)
	}
	for _, s := range c.nodes() {
		s.Eventually("a node that knows all others", func() bool {
			return clusterInfo(s)["cluster_known_nodes"] == strconv.Itoa(len(c.nodes()))
		})
	}
	for i, r := range c.Replicas {
		id := clusterID(c.Primaries[i])
		r.Eventually("a replica that may follow", func() bool {
			return r.Admin().Do(t.Context(), "CLUSTER", "REPLICATE", id).Err() == nil
		})
	}
	c.await()
	return c
}

// nodes returns the primaries and their replicas.
func (c *Cluster) nodes() []*Server {
	nodes := append([]*Server{}, c.Primaries...)
	for _, r := range c.Replicas {
		if r != nil {
			nodes = append(nodes, r)
		}
	}
	return nodes
}

// await waits until every node sees the cluster as it was started.
func (c *Cluster) await() {
	c.t.Helper()
	for _, r := range c.Replicas {
		r.Eventually("replication", func() bool { return r.Info("master_link_status") == "up" })
	}
	for _, s := range c.nodes() {
		s.Eventually("a cluster that is well", func() bool {
			info := clusterInfo(s)
			if info["cluster_state"] != "ok" || info["cluster_slots_ok"] != strconv.Itoa(clusterSlots) {
				return false
			}
			ranges, err := served(s)
			if err != nil || len(ranges) != len(c.Primaries) {
				return false
			}
			for _, r := range ranges {
				if c.Replicas != nil && len(r.Nodes) != 2 {
					return false
				}
			}
			return true
		})
	}
}

// clusterInfo returns the fields of CLUSTER INFO.
func clusterInfo(s *Server) map[string]string {
	text, err := s.Admin().ClusterInfo(s.t.Context()).Result()
	if err != nil {
		return nil
	}
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// served returns who serves what, as a node sees it and as clients ask it.
func served(s *Server) ([]redis.ClusterSlot, error) {
	return s.Admin().ClusterSlots(s.t.Context()).Result() //nolint:staticcheck // CLUSTER SHARDS says it otherwise
}

func clusterID(s *Server) string {
	s.t.Helper()
	id, _ := s.Do("CLUSTER", "MYID").(string)
	return id
}

// URL returns the cluster's redis-cluster:// URL. It names all nodes.
func (c *Cluster) URL() string {
	var addrs []string
	for _, s := range c.nodes() {
		addrs = append(addrs, s.Addr())
	}
	return "redis-cluster://" + strings.Join(addrs, ",")
}

// Slot returns the slot of a key.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	for _, s := range c.nodes() {
		if n, err := s.Admin().ClusterKeySlot(c.t.Context(), key).Result(); err == nil {
			return int(n)
		}
	}
	c.t.Fatal("redistest: no node of the cluster answers")
	return 0
}

// Owner returns the place of the primary that serves a key, as the nodes agree on it.
func (c *Cluster) Owner(key string) int {
	c.t.Helper()
	slot := c.Slot(key)
	for i, s := range c.Primaries {
		ranges, err := served(s)
		if err != nil {
			continue
		}
		for _, r := range ranges {
			if r.Start <= slot && slot <= r.End && r.Nodes[0].Addr == s.Addr() {
				return i
			}
		}
	}
	c.t.Fatalf("redistest: no primary serves %s", key)
	return 0
}

// Move gives the slot of a key, with all that is in it, to the primary with the given place, as a resharding does.
func (c *Cluster) Move(key string, to int) {
	c.t.Helper()
	slot, from := c.Slot(key), c.Owner(key)
	if from == to {
		return
	}
	source, target, ctx := c.Primaries[from], c.Primaries[to], c.t.Context()
	target.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", clusterID(source))
	source.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", clusterID(target))
	for {
		keys, err := source.Admin().ClusterGetKeysInSlot(ctx, slot, 100).Result()
		if err != nil {
			c.t.Fatalf("redistest: keys of slot %d: %v", slot, err)
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		source.Do(args...)
	}
	for _, s := range append([]*Server{target, source}, c.nodes()...) {
		if role := s.Info("role"); role == "master" {
			s.Do("CLUSTER", "SETSLOT", slot, "NODE", clusterID(target))
		}
	}
}

// FailOver kills the primary with the given place and waits until its replica serves its slots. The replica is
// the primary of that place then.
func (c *Cluster) FailOver(place int) {
	c.t.Helper()
	heir := c.Replicas[place]
	c.Primaries[place].Kill()
	c.Primaries[place], c.Replicas[place] = heir, nil
	for _, s := range c.Primaries {
		s.Eventually("a promotion", func() bool {
			ranges, err := served(s)
			if err != nil || clusterInfo(s)["cluster_state"] != "ok" {
				return false
			}
			for _, r := range ranges {
				if r.Nodes[0].Addr == heir.Addr() {
					return true
				}
			}
			return false
		})
	}
}

// Way is one client's way to a cluster: a proxy before every node that was there when it was made.
type Way struct {
	cluster *Cluster
	proxies map[string]*Proxy // by the address of the node
}

// Way returns a new way; it ends with the test.
func (c *Cluster) Way(t testing.TB) *Way {
	t.Helper()
	w := &Way{cluster: c, proxies: map[string]*Proxy{}}
	for _, s := range c.nodes() {
		w.proxies[s.Addr()] = StartProxy(t, s)
	}
	return w
}

// Cut breaks the connections to all nodes and refuses new ones; Stall lets nothing through; Heal ends both.
func (w *Way) Cut() { w.each((*Proxy).Cut) }

// Stall is described at Cut.
func (w *Way) Stall() { w.each((*Proxy).Stall) }

// Heal is described at Cut.
func (w *Way) Heal() { w.each((*Proxy).Heal) }

func (w *Way) each(f func(*Proxy)) {
	for _, p := range w.proxies {
		f(p)
	}
}

// Client returns a client that goes this way, with the settings that gateways have; it ends with the test.
func (w *Way) Client(t testing.TB) *redis.ClusterClient {
	t.Helper()
	var addrs []string
	for _, s := range w.cluster.Primaries {
		addrs = append(addrs, s.Addr())
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addrs, Protocol: 2, MaxRetries: -1, DialerRetries: 1, DialTimeout: 2 * time.Second,
		ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second, PoolTimeout: 2 * time.Second,
		ContextTimeoutEnabled: true, PoolSize: 16, PipelinePoolSize: 4, DisableIdentity: true,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if p := w.proxies[addr]; p != nil {
				addr = p.Addr()
			}
			return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, addr)
		},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

var clusterRights = regexp.MustCompile(`(?m)^ {6}([a-z]+): +(\+.*)$`)

// Users is [Server.Users] on every node, with what a document says, indented, that a cluster needs beside that.
func (c *Cluster) Users(document string) (users map[string]string) {
	c.t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		c.t.Fatalf("redistest: %v", err)
	}
	more := clusterRights.FindAllStringSubmatch(string(text), -1)
	if len(more) == 0 {
		c.t.Fatalf("redistest: no rights for a cluster in %s", document)
	}
	for _, s := range c.nodes() {
		users = s.Users(document)
		for _, m := range more {
			args := []any{"ACL", "SETUSER", m[1]}
			for _, word := range strings.Fields(m[2]) {
				args = append(args, word)
			}
			s.Do(args...)
		}
	}
	return users
}

// Denied returns what the nodes have refused for want of rights.
func (c *Cluster) Denied() (denied []any) {
	c.t.Helper()
	for _, s := range c.nodes() {
		list, _ := s.Do("ACL", "LOG").([]any)
		denied = append(denied, list...)
	}
	return denied
}

// Flush empties the cluster, of its functions too.
func (c *Cluster) Flush() {
	c.t.Helper()
	for _, s := range c.Primaries {
		s.Do("FLUSHALL")
		s.Do("FUNCTION", "FLUSH")
	}
}
