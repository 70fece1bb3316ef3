package metrics_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/metrics"
	"github.com/tallywire/tallywire/internal/redistest"
)

// trips returns how many round trips of each label were measured, and how many failed, those above zero.
func trips(t *testing.T, hook *metrics.Redis) (measured, failed map[string]float64) {
	t.Helper()
	m, err := metrics.New(metrics.Sources{Gateway: newRig(t, nil).gateway, Redis: hook})
	require.NoError(t, err)
	s, _ := scrape(t, m.Handler())
	measured, failed = map[string]float64{}, map[string]float64{}
	for _, label := range []string{
		"tw_publish", "tw_signal", "tw_open", "tw_read", "tw_dead", "tw_presence", "tw_inbox", "tw_receipt", "pipeline", "other",
	} {
		for name, into := range map[string]map[string]float64{"redis_round_trip_seconds_count": measured, "redis_failures_total": failed} {
			n, there := s[`tallywire_`+name+`{command="`+label+`"}`]
			require.True(t, there, "%s of %s from the start", name, label)
			if n > 0 {
				into[label] = n
			}
		}
	}
	return measured, failed
}

// TestRoundTrips: commands are measured under the few names that there are, and those that are meant to wait
// are not.
func TestRoundTrips(t *testing.T) {
	server := redistest.Start(t)
	hook := metrics.NewRedis()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, MaxRetries: -1, DisableIdentity: true})
	defer client.Close()
	client.AddHook(hook)
	ctx := t.Context()
	require.NoError(t, client.Ping(ctx).Err())
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error { return p.Ping(ctx).Err() }) // has connections of its own
	require.NoError(t, err)
	greeted, _ := trips(t, hook)
	for _, function := range []string{"tw_publish", "tw_presence_enter", "tw_inbox_hold", "tw_receipt_open", "somebody_elses", "tw_read"} {
		require.Error(t, client.Do(ctx, "FCALL", function, 0).Err(), "there is no such function here, which Redis says")
	}
	require.NoError(t, client.Set(ctx, "a", 1, 0).Err())
	require.ErrorIs(t, client.Get(ctx, "b").Err(), redis.Nil)
	require.Error(t, client.Do(ctx, "nonsense").Err())
	require.Error(t, client.Do(ctx, "FCALL").Err())
	require.ErrorIs(t, client.XRead(ctx, &redis.XReadArgs{Streams: []string{"s", "0"}, Block: time.Millisecond}).Err(), redis.Nil)
	require.NoError(t, client.Wait(ctx, 0, time.Millisecond).Err())
	_, _ = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "FCALL", "tw_publish", 0)
		p.Do(ctx, "FCALL", "tw_publish", 0)
		return nil
	})
	_, _ = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "FCALL", "tw_publish", 0)
		p.Get(ctx, "a")
		return nil
	})
	_, _ = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "FCALL", "tw_publish", 0)
		p.Do(ctx, "WAIT", 0, 1)
		return nil
	})
	measured, failed := trips(t, hook)
	for label, n := range greeted { // what new connections send
		if measured[label] -= n; measured[label] == 0 {
			delete(measured, label)
		}
	}
	require.Equal(t, map[string]float64{
		"tw_publish": 2, "tw_presence": 1, "tw_inbox": 1, "tw_receipt": 1, "tw_read": 1, "other": 5, "pipeline": 1,
	}, measured)
	require.Empty(t, failed)
}

// TestRoundTripsThatFail: what was not answered is counted, and is no round trip.
func TestRoundTripsThatFail(t *testing.T) {
	hook := metrics.NewRedis()
	client := redis.NewClient(&redis.Options{
		MaxRetries: -1, DialerRetries: 1,
		Dialer: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed },
	})
	defer client.Close()
	client.AddHook(hook)
	require.Error(t, client.Do(t.Context(), "FCALL", "tw_dead", 0).Err())
	require.Error(t, client.Ping(t.Context()).Err())
	measured, failed := trips(t, hook)
	require.Equal(t, map[string]float64{"tw_dead": 1, "other": 1}, failed)
	require.Empty(t, measured)
}

// TestMeasuringIsCheap: it adds nothing to what the garbage collector has to do on the way of publishes.
func TestMeasuringIsCheap(t *testing.T) {
	hook := metrics.NewRedis()
	ctx := t.Context()
	cmds := []redis.Cmder{redis.NewCmd(ctx, "FCALL", "tw_publish", 1, "k"), redis.NewCmd(ctx, "FCALL", "tw_publish", 1, "k")}
	run := hook.ProcessPipelineHook(func(context.Context, []redis.Cmder) error { return nil })
	one := hook.ProcessHook(func(context.Context, redis.Cmder) error { return nil })
	allocated := testing.AllocsPerRun(1000, func() {
		_ = run(ctx, cmds)
		_ = one(ctx, cmds[0])
	})
	require.Zero(t, allocated)
}
