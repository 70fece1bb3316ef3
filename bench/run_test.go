package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// small is a load that a busy machine stands, too. Nothing in these tests depends on speed but that
// something happens within the patience.
func small(o Options) Options {
	o.Clients, o.Window, o.Rate = 20, 8, 200
	o.Duration, o.Warm, o.Patience = 200*time.Millisecond, 50*time.Millisecond, 20*time.Second
	return o
}

// results runs scenarios and reads their JSON.
func results(t *testing.T, o Options) map[string]Result {
	t.Helper()
	t.Setenv("GORACE", "atexit_sleep_ms=0") // for the servers, which are this binary
	o.JSON = filepath.Join(t.TempDir(), "results")
	var table bytes.Buffer
	require.NoError(t, Run(t.Context(), small(o), &table))
	text, err := os.ReadFile(o.JSON)
	require.NoError(t, err)
	all := map[string]Result{}
	for line := range bytes.Lines(text) {
		var r Result
		require.NoError(t, json.Unmarshal(line, &r))
		require.NotNil(t, r.Gateway, r.Note)
		require.Contains(t, table.String(), r.Scenario)
		all[r.Scenario] = r
	}
	return all
}

// requireDelivered says that everything was delivered, once and in order.
func requireDelivered(t *testing.T, f *Figures) {
	t.Helper()
	require.NotNil(t, f)
	require.Equal(t, 20, f.Clients)
	require.Positive(t, f.Published)
	require.Positive(t, f.Delivered)
	require.Positive(t, f.CPUPerDelivery)
	require.Positive(t, f.Latency.P50)
	require.Zero(t, f.Missed)
	require.Zero(t, f.Unsent)
	require.Zero(t, f.Disordered)
	require.Zero(t, f.Resets)
	require.Zero(t, f.Refused, f.Problem)
}

func TestRun_EmbeddedAndFloor(t *testing.T) {
	all := results(t, Options{Scenarios: []string{"fanout", "fanout-rate", "channels", "publish-ws", "idle"}})
	for _, name := range []string{"fanout", "fanout-rate@200", "channels", "publish-ws"} {
		r := all[name]
		require.Equal(t, "embedded", r.Store)
		requireDelivered(t, r.Gateway)
		requireDelivered(t, r.Floor)
		require.Positive(t, r.Ratio)
	}
	require.Positive(t, all["fanout-rate@200"].Gateway.AckLatency.Count)
	require.Positive(t, all["idle"].Gateway.ResidentMB)
}

func TestRun_Redis(t *testing.T) {
	redistest.Binary(t)
	all := results(t, Options{Scenarios: []string{"redis-fanout", "redis-rate", "redis-publish", "resume"}})
	for _, name := range []string{"redis-fanout", "redis-rate"} {
		require.Equal(t, "redis", all[name].Store)
		requireDelivered(t, all[name].Gateway)
		requireDelivered(t, all[name].Floor)
	}
	require.Positive(t, all["redis-publish"].Gateway.AcksPerSecond)

	storm := all["resume"]
	for _, f := range []*Figures{storm.Gateway, storm.Floor} {
		require.EqualValues(t, 20*behind, f.Delivered, "everybody got what they had missed")
		require.Zero(t, f.Missed)
		require.Zero(t, f.Disordered)
		require.EqualValues(t, 20, f.Latency.Count, "one time a client")
	}
	require.Positive(t, storm.Gateway.RangeReads)
	require.Less(t, storm.Gateway.RangeReads, int64(20), "reads are the gateway's, not the clients'")
}

func TestRun_RunningGateway(t *testing.T) {
	o := Options{URL: serveGateway(t), PID: os.Getpid(), NoFloor: true}
	o.Scenarios = []string{"fanout", "fanout-rate", "channels", "publish-ws"}
	for _, r := range results(t, o) {
		requireDelivered(t, r.Gateway)
		require.Nil(t, r.Floor)
		require.Zero(t, r.Ratio)
	}
	o.Scenarios = []string{"resume"}
	r := results(t, o)["resume"]
	require.EqualValues(t, 20*behind, r.Gateway.Delivered)
	require.EqualValues(t, -1, r.Gateway.RangeReads, "not known without its Redis")
}

func TestRun_SaysWhatIsMissing(t *testing.T) {
	o := small(Options{URL: serveGateway(t), NoFloor: true})
	o.Scenarios = []string{"idle"}
	require.ErrorContains(t, Run(t.Context(), o, &bytes.Buffer{}), "--pid")
	o.Scenarios = []string{"redis-rate"}
	require.ErrorContains(t, Run(t.Context(), o, &bytes.Buffer{}), "--redis")

	o = small(Options{Scenarios: []string{"fanout"}, ServerCommand: []string{"/bin/sh", "-c", "echo no such key >&2; exit 3"}})
	err := Run(t.Context(), o, &bytes.Buffer{})
	require.ErrorIs(t, err, errEnded)
	require.ErrorContains(t, err, "no such key", "what the server wrote")
}

func TestRun_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, context.Canceled)
	defer cancel()
	o := small(Options{URL: serveGateway(t), NoFloor: true, Scenarios: []string{"fanout"}})
	o.Duration = time.Hour
	require.ErrorIs(t, Run(ctx, o, &bytes.Buffer{}), context.Canceled)
}

// The counts of a run against the floor are exact: what was published by what was delivered.
func TestDrive_FloorCountsExactly(t *testing.T) {
	s := serveFloor(t)
	o := load{
		clients: 7, channels: 1, role: publisher, rate: 100, measure: 300 * time.Millisecond, patience: 20 * time.Second, padding: 5,
	}
	f, err := drive(t.Context(), s, -1, o)
	require.NoError(t, err)
	require.Zero(t, f.Missed)
	require.Zero(t, f.Disordered)
	require.EqualValues(t, 30*7, f.Latency.Count, "30 events were due, to 7 subscribers each")
	require.EqualValues(t, 30, f.AckLatency.Count)
}
