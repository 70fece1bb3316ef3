package publisher_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/publisher"
)

func TestMain(m *testing.M) {
	redisconn.LogTo(func(string) {}) // connections break on purpose here
	goleak.VerifyTestMain(m)
}

// client returns a go-redis client as a worker makes it: with its default retries.
func client(t *testing.T, addr string, change func(*redis.Options)) *redis.Client {
	t.Helper()
	o := &redis.Options{Addr: addr, ReadTimeout: time.Second}
	if change != nil {
		change(o)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// load starts a server with the functions.
func load(t *testing.T) *redistest.Server {
	t.Helper()
	s := redistest.Start(t)
	b, err := redisbroker.New(client(t, s.Addr(), func(o *redis.Options) { o.MaxRetries = -1 }), redisbroker.Options{})
	require.NoError(t, err)
	require.NoError(t, b.Load(t.Context()))
	return s
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func published(t *testing.T, s *redistest.Server, channel string) []redis.XMessage {
	t.Helper()
	entries, err := s.Admin().XRange(t.Context(), "tw:{"+channel+"}", "-", "+").Result()
	require.NoError(t, err)
	return entries[1:] // without the genesis
}

func TestPublish(t *testing.T) {
	s := load(t)
	p, err := publisher.New(client(t, s.Addr(), nil), "")
	require.NoError(t, err)
	ev, err := events.New("job.progress", map[string]int{"percent": 40})
	require.NoError(t, err)
	ev.ID, ev.Source, ev.Subject = "e1", "worker-3", "job/42"

	first, duplicate, err := p.Publish(within(t), "jobs:42", ev, publisher.Options{})
	require.NoError(t, err)
	require.False(t, duplicate)
	require.Equal(t, uint64(2), first.Offset)

	again, duplicate, err := p.Publish(within(t), "jobs:42", ev, publisher.Options{})
	require.NoError(t, err)
	require.True(t, duplicate)
	require.Equal(t, first, again)

	second, duplicate, err := p.Publish(within(t), "jobs:42", ev, publisher.Options{ID: "worker-3/attempt-2"})
	require.NoError(t, err)
	require.False(t, duplicate)
	require.Equal(t, first.Offset+1, second.Offset)

	raw := json.RawMessage("\n{\"type\":\"job.progress\",\n \"data\":{\"percent\":41}}\n")
	for range 2 { // without an id every publish is an event of its own
		_, duplicate, err = p.Publish(within(t), "jobs:42", raw, publisher.Options{})
		require.NoError(t, err)
		require.False(t, duplicate)
	}
	entries := published(t, s, "jobs:42")
	require.Len(t, entries, 4)
	require.Equal(t, first.String(), entries[0].ID)
	require.JSONEq(t, string(raw), entries[3].Values["e"].(string))
	require.NotContains(t, entries[3].Values["e"], "\n")
	require.Equal(t, first.String(), s.Admin().Get(t.Context(), "tw:{jobs:42}:seen:worker-3/e1").Val())
}

func TestRetentionOfOnePublish(t *testing.T) {
	s := load(t)
	p, err := publisher.New(client(t, s.Addr(), nil), "")
	require.NoError(t, err)
	for range 5 {
		_, _, err := p.Publish(within(t), "jobs:1", json.RawMessage(`{"type":"n"}`), publisher.Options{MaxLen: 2, TTL: time.Minute})
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, s.Admin().XLen(t.Context(), "tw:{jobs:1}").Val())
	require.LessOrEqual(t, s.Admin().PTTL(t.Context(), "tw:{jobs:1}").Val(), time.Minute)
}

// TestLostRepliesAppendOnce loses the replies of calls that Redis has executed.
func TestLostRepliesAppendOnce(t *testing.T) {
	s := load(t)
	proxy := redistest.StartProxy(t, s)
	for name, maxRetries := range map[string]int{"client without retries": -1, "client with retries": 3} {
		t.Run(name, func(t *testing.T) {
			p, err := publisher.New(client(t, proxy.Addr(), func(o *redis.Options) { o.MaxRetries = maxRetries }), "tw")
			require.NoError(t, err)
			channel := "jobs:" + strings.ReplaceAll(name, " ", "-")
			for range 5 {
				proxy.LoseReplies(2, "tw_publish")
				_, duplicate, err := p.Publish(within(t), channel, json.RawMessage(`{"type":"n"}`), publisher.Options{})
				require.NoError(t, err)
				require.True(t, duplicate, "the first call was executed, its reply was lost")
			}
			require.Len(t, published(t, s, channel), 5)
		})
	}
	t.Run("at most once", func(t *testing.T) {
		p, err := publisher.New(client(t, proxy.Addr(), func(o *redis.Options) { o.MaxRetries = -1 }), "tw")
		require.NoError(t, err)
		proxy.LoseReplies(1, "tw_publish")
		_, _, err = p.Publish(within(t), "jobs:once", json.RawMessage(`{"type":"n"}`), publisher.Options{AtMostOnce: true})
		require.ErrorIs(t, err, publisher.ErrUnknownOutcome)
		require.Len(t, published(t, s, "jobs:once"), 1)
	})
}

func TestServerRestart(t *testing.T) {
	s := load(t)
	p, err := publisher.New(client(t, s.Addr(), nil), "")
	require.NoError(t, err)
	s.Kill()
	type result struct {
		cursor broker.Cursor
		err    error
	}
	done := make(chan result, 1)
	go func() {
		c, _, err := p.Publish(within(t), "jobs:1", json.RawMessage(`{"type":"n"}`), publisher.Options{})
		done <- result{c, err}
	}()
	s.Restart() // without persistence: the functions are gone as well
	b, err := redisbroker.New(client(t, s.Addr(), func(o *redis.Options) { o.MaxRetries = -1 }), redisbroker.Options{})
	require.NoError(t, err)
	require.NoError(t, b.Load(t.Context()))
	r := <-done
	require.NoError(t, r.err)
	require.Equal(t, uint64(2), r.cursor.Offset)
}

func TestNoLibrary(t *testing.T) {
	s := redistest.Start(t)
	p, err := publisher.New(client(t, s.Addr(), nil), "")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err = p.Publish(ctx, "jobs:1", json.RawMessage(`{"type":"n"}`), publisher.Options{})
	require.ErrorIs(t, err, publisher.ErrNoLibrary)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, publisher.ErrUnknownOutcome)
}

func TestRefusals(t *testing.T) {
	s := load(t)
	retrying := client(t, s.Addr(), nil)
	p, err := publisher.New(retrying, "")
	require.NoError(t, err)
	ok := json.RawMessage(`{"type":"n"}`)

	_, _, err = p.Publish(within(t), "jobs 1", ok, publisher.Options{})
	require.ErrorIs(t, err, events.ErrInvalidChannel)
	var invalid *events.InvalidError
	_, _, err = p.Publish(within(t), "jobs:1", json.RawMessage(`{"data":1}`), publisher.Options{})
	require.ErrorAs(t, err, &invalid)
	_, _, err = p.Publish(within(t), "jobs:1", events.Event{}, publisher.Options{})
	require.Error(t, err)
	for _, o := range []publisher.Options{
		{MaxLen: -1}, {TTL: -1}, {TTL: time.Millisecond}, {AtMostOnce: true, ID: "x"}, {AtMostOnce: true},
	} {
		_, _, err = p.Publish(within(t), "jobs:1", ok, o)
		require.ErrorContains(t, err, "options:", "%+v", o)
	}
	var refused *publisher.ContractError
	_, _, err = p.Publish(within(t), "jobs:1", ok, publisher.Options{ID: strings.Repeat("x", 513)})
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "invalid_option", refused.Code)
	require.NotErrorIs(t, err, publisher.ErrUnknownOutcome)
	s.Do("SET", "tw:{jobs:2}", "not a stream")
	_, _, err = p.Publish(within(t), "jobs:2", ok, publisher.Options{})
	require.ErrorContains(t, err, "WRONGTYPE")
	require.Zero(t, s.Admin().Exists(t.Context(), "tw:{jobs:1}").Val())

	_, err = publisher.New(nil, "")
	require.Error(t, err)
	_, err = publisher.New(retrying, "a{b}")
	require.Error(t, err)
}

// scripted answers calls one after another.
type scripted struct {
	replies []any // an error, or a reply
	calls   [][]any
	at      []time.Time
}

func (s *scripted) Do(ctx context.Context, args ...any) *redis.Cmd {
	s.calls, s.at = append(s.calls, args), append(s.at, time.Now())
	cmd := redis.NewCmd(ctx, args...)
	switch r := s.replies[min(len(s.calls), len(s.replies))-1].(type) {
	case error:
		cmd.SetErr(r)
	default:
		cmd.SetVal(r)
	}
	return cmd
}

// replyError is an error reply of Redis.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

func TestRepetitions(t *testing.T) {
	broken, ok := errors.New("EOF"), any([]any{"7-1700000000000000", int64(1)})
	for name, c := range map[string]struct {
		replies   []any
		options   publisher.Options
		calls     int // 0: until the deadline
		fails     bool
		unknown   bool
		duplicate bool
	}{
		"answered at once":        {replies: []any{ok}, calls: 1, duplicate: true},
		"after trouble":           {replies: []any{broken, replyError("LOADING x"), replyError("READONLY x"), ok}, calls: 4, duplicate: true},
		"network never heals":     {replies: []any{broken}, fails: true, unknown: true},
		"redis never ready":       {replies: []any{replyError("LOADING x")}, fails: true},
		"refused":                 {replies: []any{replyError("OOM x")}, calls: 1, fails: true},
		"refused after a loss":    {replies: []any{broken, replyError("OOM x")}, calls: 2, fails: true, unknown: true},
		"refused by the contract": {replies: []any{replyError("ERR tallywire invalid_event x")}, calls: 1, fails: true},
		"not repeated":            {replies: []any{broken}, options: publisher.Options{AtMostOnce: true}, calls: 1, fails: true, unknown: true},
		"odd reply":               {replies: []any{[]any{"x", int64(0)}}, calls: 1, fails: true, unknown: true},
		"closed client":           {replies: []any{redis.ErrClosed}, calls: 1, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{replies: c.replies}
				p, err := publisher.New(s, "x")
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cursor, duplicate, err := p.Publish(ctx, "jobs:1", json.RawMessage(`{"type":"n"}`), c.options)
				require.Equal(t, c.fails, err != nil, "%v", err)
				require.Equal(t, c.unknown, errors.Is(err, publisher.ErrUnknownOutcome), "%v", err)
				require.Equal(t, c.duplicate, duplicate)
				require.Equal(t, "x:{jobs:1}", s.calls[0][3])
				for i := range s.calls {
					require.Equal(t, s.calls[0], s.calls[i], "the same call with the same key")
				}
				if c.calls == 0 {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.Greater(t, len(s.calls), 30, "a minute of waits of 1 s in the mean")
					return
				}
				require.Len(t, s.calls, c.calls)
				if !c.fails {
					require.Equal(t, uint64(7), cursor.Offset)
				}
			})
		})
	}
}
