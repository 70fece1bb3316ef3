package redisinbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/inbox/redisinbox"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/namespace"
)

// Names of the keys.
const (
	inboxKey = "tw:_inbox"
	leaseKey = "{tw:_inbox}:lease"
)

// brief is for tests that see many leases end, and that do not mind one that ends on a busy machine.
var brief = settings{Options: inbox.Options{LeaseTTL: time.Second}, timeout: time.Second}

func TestMain(m *testing.M) {
	redisconn.LogTo(func(string) {}) // connections break on purpose here
	if url := os.Getenv(childURL); url != "" {
		os.Exit(child(url))
	}
	goleak.VerifyTestMain(m)
}

// node is a gateway as far as the inbox is concerned.
type node struct {
	*inbox.Inbox
	broker *redisbroker.Broker
	store  *redisinbox.Store
	// stop ends the inbox as a drain does.
	stop func()
	// close ends the rest, too.
	close func()
}

// settings are what tests vary.
type settings struct {
	inbox.Options
	timeout time.Duration
}

func spaces() (*namespace.Table, error) {
	return namespace.NewTable(map[string]namespace.Options{
		"typed": {Types: []string{"job.*"}},
		"short": {Dedupe: time.Second},
	})
}

// start runs a gateway's inbox over a URL.
func start(url, name string, s settings) (*node, error) {
	client, _, err := redisconn.Open(url)
	if err != nil {
		return nil, err
	}
	table, err := spaces()
	if err != nil {
		return nil, err
	}
	registry, err := events.NewRegistry(events.Options{})
	if err != nil {
		return nil, err
	}
	n := &node{}
	n.broker, err = redisbroker.New(client, redisbroker.Options{Namespaces: table, Timeout: s.timeout})
	if err != nil {
		return nil, err
	}
	n.store, err = redisinbox.New(client, redisinbox.Options{Timeout: s.timeout})
	if err != nil {
		return nil, err
	}
	o := s.Options
	o.Gateway, o.Broker, o.Dead, o.Namespaces, o.Registry, o.Log = name, n.broker, n.broker, table, registry, zerolog.Nop()
	o.Passing = redisinbox.Passing
	if n.Inbox, err = inbox.New(n.store, o); err != nil {
		return nil, err
	}
	n.run(client)
	return n, nil
}

func (n *node) run(client redis.UniversalClient) {
	ctx, cancel := context.WithCancel(context.Background())
	inboxCtx, stop := context.WithCancel(ctx)
	brokerEnded, inboxEnded := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(brokerEnded)
		if err := n.broker.Run(ctx, &brokertest.Sink{}); err != nil {
			panic(err)
		}
	}()
	go func() {
		defer close(inboxEnded)
		if err := n.Run(inboxCtx); err != nil {
			panic(err)
		}
	}()
	n.stop = func() {
		stop()
		<-inboxEnded
	}
	n.close = func() {
		n.stop()
		cancel()
		<-brokerEnded
		_ = n.store.Close()
		_ = client.Close()
	}
}

func startNode(t testing.TB, url, name string, s settings) *node {
	t.Helper()
	n, err := start(url, name, s)
	require.NoError(t, err)
	t.Cleanup(n.close)
	return n
}

// add does what a worker does.
func add(t testing.TB, s *redistest.Server, fields ...any) string {
	t.Helper()
	id, ok := s.Do(append([]any{"XADD", inboxKey, "*"}, fields...)...).(string)
	require.True(t, ok)
	return id
}

// step is the n-th event for a channel.
func step(n int) string {
	return fmt.Sprintf(`{"id":"%d","source":"w","type":"test.step","data":{"n":%d}}`, n, n)
}

// log returns the numbers of a channel's steps, in the order of its log.
func log(t testing.TB, s *redistest.Server, channel string) (numbers []int) {
	t.Helper()
	entries, err := s.Admin().XRange(context.WithoutCancel(t.Context()), "tw:{"+channel+"}", "-", "+").Result()
	require.NoError(t, err)
	for _, e := range entries {
		raw, _ := e.Values["e"].(string)
		if raw == "" {
			continue // genesis
		}
		var event struct {
			Data struct{ N int }
		}
		require.NoError(t, json.Unmarshal([]byte(raw), &event), raw)
		numbers = append(numbers, event.Data.N)
	}
	return numbers
}

// upTo returns 1 … n.
func upTo(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i + 1
	}
	return numbers
}

// drained waits until the inbox is empty.
func drained(t testing.TB, s *redistest.Server) {
	t.Helper()
	s.Eventually("an empty inbox", func() bool {
		n, err := s.Admin().XLen(t.Context(), inboxKey).Result()
		return err == nil && n == 0
	})
	s.Eventually("nothing pending", func() bool {
		p, err := s.Admin().XPending(t.Context(), inboxKey, "gateways").Result()
		return err == nil && p.Count == 0
	})
}

// active waits until one of the nodes holds the lease, and returns it.
func active(t testing.TB, s *redistest.Server, nodes ...*node) *node {
	t.Helper()
	var found *node
	s.Eventually("an active gateway", func() bool {
		i := slices.IndexFunc(nodes, func(n *node) bool { return n.Stats().Active })
		if i >= 0 {
			found = nodes[i]
		}
		return found != nil
	})
	return found
}

func letters(t testing.TB, n *node) []broker.DeadLetter {
	t.Helper()
	all, _, err := n.broker.List(t.Context(), "", 1000)
	require.NoError(t, err)
	return all
}
