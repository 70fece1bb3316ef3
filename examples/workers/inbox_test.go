package workers_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/inbox/redisinbox"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/namespace"
)

// inboxWorkers are the workers that add to the inbox.
func inboxWorkers() map[string]func(*testing.T) worker {
	all := workers()
	return map[string]func(*testing.T) worker{
		"python": func(t *testing.T) worker {
			t.Helper()
			w := all["python"](t)
			return worker{"python-inbox-worker", []string{w.command[0], "python/inbox.py"}}
		},
		"shell": func(t *testing.T) worker {
			t.Helper()
			all["shell"](t)
			return worker{"shell-inbox-worker", []string{"sh", "shell/inbox.sh"}}
		},
	}
}

// takeInbox runs a gateway's part of the inbox until the end of the test.
func takeInbox(t *testing.T, url string) {
	t.Helper()
	client, _, err := redisconn.Open(url)
	require.NoError(t, err)
	table, err := namespace.NewTable(nil)
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{Strict: true})
	require.NoError(t, err)
	b, err := redisbroker.New(client, redisbroker.Options{Namespaces: table})
	require.NoError(t, err)
	store, err := redisinbox.New(client, redisinbox.Options{})
	require.NoError(t, err)
	in, err := inbox.New(store, inbox.Options{
		Gateway: "gw", Broker: b, Dead: b, Namespaces: table, Registry: registry, Log: zerolog.Nop(), Passing: redisinbox.Passing,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- b.Run(ctx, &brokertest.Sink{}) }()
	go func() { ended <- in.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, <-ended)
		require.NoError(t, store.Close())
		require.NoError(t, client.Close())
	})
}

var added = regexp.MustCompile(`(?m)^[0-9]+-[0-9]+ `)

func TestInboxWorkers(t *testing.T) {
	server := redistest.Start(t)
	users := server.Users("../../docs/redis-contract.md")
	// They get by with what the contract gives a worker that only adds; the gateway with what it gives a gateway.
	url := "redis://" + users["inboxworker"] + "@" + server.Addr()
	takeInbox(t, "redis://"+users["gateway"]+"@"+server.Addr())
	empty := func() {
		t.Helper()
		server.Eventually("an empty inbox", func() bool { return server.Do("XLEN", "tw:_inbox") == int64(0) })
	}
	for name, find := range inboxWorkers() {
		t.Run(name, func(t *testing.T) {
			w := find(t)
			out, stderr, status := w.run(t, url, name)
			require.Zero(t, status, stderr)
			require.Len(t, added.FindAllString(out, -1), 7)
			empty()
			log := published(t, server, w, name)
			require.Equal(t, types(log), types(out))

			_, stderr, status = w.run(t, url, name)
			require.Zero(t, status, stderr)
			empty()
			require.Equal(t, log, published(t, server, w, name), "a repetition appends nothing")

			_, stderr, status = w.run(t, url, name, "2")
			require.Zero(t, status, stderr)
			empty()
			require.EqualValues(t, 15, server.Do("XLEN", "tw:{jobs:"+name+"}"), "another attempt is something new")
			require.EqualValues(t, 0, server.Do("EXISTS", "tw:_dead"))
		})
	}
}

// types drops what stands before each line's last word.
func types(out string) string {
	lines := strings.Split(out, "\n")
	for i, line := range lines {
		lines[i] = line[strings.LastIndexByte(line, ' ')+1:]
	}
	return strings.Join(lines, "\n")
}
