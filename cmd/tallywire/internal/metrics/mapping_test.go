package metrics_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/metrics"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/presence"
)

// full returns the metrics of a gateway with everything that one can have.
func full(t *testing.T, g *gateway.Gateway) *metrics.Metrics {
	t.Helper()
	m, err := metrics.New(metrics.Sources{
		Gateway: g, Limit: 50, Dead: metrics.CountDead(membroker.NewDead(1)), Redis: metrics.NewRedis(),
		Presence: func() presence.Stats {
			return presence.Stats{Members: 2, Reaped: 3, Waiting: 4, Failures: 5, Voids: 6, Entries: 99}
		},
		Inbox: func() inbox.Stats {
			return inbox.Stats{
				Waiting: 7, Oldest: time.Minute, At: time.Now().Add(-time.Minute), Active: true,
				Published: 10, Duplicates: 4, Refused: 9, Errors: 8, Lost: 1, LettersLost: 30,
			}
		},
		Broker: func() redisbroker.Stats {
			return redisbroker.Stats{
				Probed: time.Now().Add(-time.Hour), Published: 11, Retried: 12, Unavailable: 13, Refused: 14, Overloaded: 15,
				Unreplicated: 16, InFlight: 17, Reconnects: 18, Doorbells: 119, Malformed: 19, ProbesLost: 20, LibraryLoads: 21,
				Audits: 22, AuditsFailed: 23,
			}
		},
		CertificateEnd: func() time.Time { return time.Unix(1_900_000_000, 0) },
		Pool:           func() *redis.PoolStats { return &redis.PoolStats{IdleConns: 24, TotalConns: 49, Timeouts: 26} },
	})
	require.NoError(t, err)
	return m
}

// TestMapping: every count comes out under its name.
func TestMapping(t *testing.T) {
	r := newRig(t, nil)
	n, h := r.gateway.Counters(), r.gateway.Hub().Counters()
	n.Skipped.Store(31)
	n.SignalsLost.Store(32)
	n.Panics.Store(33)
	n.Leftovers.Store(34)
	n.Moved.Store(35)
	n.Drains.Store(36)
	n.Blocked.Store(37)
	n.SlowConsumers.Store(38)
	n.Messages.Store(39)
	h.Repairs.Store(40)
	h.Failed.Store(41)
	h.Cuts.Store(42)
	h.Pages.Store(43)
	h.DeadLost.Store(44)
	h.Repairing.Store(45)
	n.DrainsEnded.Store(46)
	n.DrainsUndone.Store(47)
	n.DrainsForced.Store(48)
	s, _ := scrape(t, full(t, r.gateway).Handler())
	for series, want := range map[string]float64{
		`tallywire_presence_members`: 2, `tallywire_presence_reaps_total`: 3, `tallywire_presence_waiting`: 4,
		`tallywire_presence_failures_total`: 5, `tallywire_presence_lease_losses_total`: 6,
		`tallywire_inbox_waiting`: 7, `tallywire_inbox_active`: 1, `tallywire_inbox_errors_total`: 8,
		`tallywire_inbox_lease_losses_total`: 1, `tallywire_inbox_events_total{result="published"}`: 6,
		`tallywire_inbox_events_total{result="duplicate"}`: 4, `tallywire_inbox_events_total{result="refused"}`: 9,
		`tallywire_publishes_total{result="published"}`: 11, `tallywire_publishes_total{result="repeated"}`: 12,
		`tallywire_publishes_total{result="unavailable"}`: 13, `tallywire_publishes_total{result="refused"}`: 14,
		`tallywire_publishes_total{result="overloaded"}`: 15, `tallywire_publishes_total{result="unreplicated"}`: 16,
		`tallywire_publishes_in_flight`: 17, `tallywire_redis_reconnects_total`: 18,
		`tallywire_redis_doorbells_total{result="ok"}`: 100, `tallywire_redis_doorbells_total{result="malformed"}`: 19,
		`tallywire_probes_lost_total`: 20, `tallywire_redis_library_loads_total`: 21,
		`tallywire_audits_total{result="done"}`: 22, `tallywire_audits_total{result="failed"}`: 23,
		`tallywire_redis_pool_connections{state="idle"}`: 24, `tallywire_redis_pool_connections{state="used"}`: 25,
		`tallywire_redis_pool_timeouts_total`: 26, `tallywire_connection_limit`: 50,
		`tallywire_events_total{direction="skipped"}`: 31, `tallywire_signals_lost_total`: 32, `tallywire_panics_total`: 33,
		`tallywire_drained_connections_total{result="closed"}`: 34, `tallywire_drained_connections_total{result="told"}`: 35,
		`tallywire_drains_total{result="begun"}`: 36, `tallywire_slow_consumer_blocks_total`: 37,
		`tallywire_slow_consumer_drops_total`: 38, `tallywire_messages_total`: 39,
		`tallywire_repairs_total{result="repaired"}`: 40, `tallywire_repairs_total{result="failed"}`: 41,
		`tallywire_channels_repairing`: 45, `tallywire_drains_total{result="ended"}`: 46,
		`tallywire_drains_total{result="undone"}`: 47, `tallywire_drains_total{result="forced"}`: 48,
		`tallywire_tls_certificate_expiry_timestamp_seconds`: 1_900_000_000,
		`tallywire_cuts_total`:                               42, `tallywire_pages_total`: 43, `tallywire_dead_letters_lost_total`: 74,
	} {
		require.Contains(t, s, series)
		require.InDelta(t, want, s[series], 0, series)
	}
	require.InDelta(t, 3600, s["tallywire_probe_age_seconds"], 5)
	require.InDelta(t, 120, s["tallywire_inbox_oldest_seconds"], 5, "it has grown older since it was looked at")
}

// TestProbeThatNeverReturned: a gateway that has not reached its Redis since the start says since when.
func TestProbeThatNeverReturned(t *testing.T) {
	r := newRig(t, nil)
	m, err := metrics.New(metrics.Sources{Gateway: r.gateway, Broker: func() redisbroker.Stats { return redisbroker.Stats{} }})
	require.NoError(t, err)
	first, _ := scrape(t, m.Handler())
	require.Less(t, first["tallywire_probe_age_seconds"], patience.Seconds())
	second, _ := scrape(t, m.Handler())
	require.Greater(t, second["tallywire_probe_age_seconds"], first["tallywire_probe_age_seconds"])
}

// TestEmbeddedStoreAway: an engine without probes is as old as its trouble.
func TestEmbeddedStoreAway(t *testing.T) {
	r := newRig(t, nil)
	r.store.ForTest().Cut(r.broker)
	r.until("trouble", func(s samples) bool { return s["tallywire_probe_age_seconds"] > 0 && s["tallywire_ready"] == 0 })
}

func TestDead(t *testing.T) {
	d := metrics.CountDead(refusing{})
	require.Error(t, d.Bury(t.Context(), broker.DeadLetter{Code: "invalid_event"}))
	r := newRig(t, nil)
	kept := metrics.CountDead(membroker.NewDead(10))
	for n, code := range []string{"invalid_event", "refused", "refused", "invented by somebody"} {
		require.NoError(t, kept.Bury(t.Context(), broker.DeadLetter{Code: code, Cursor: broker.Cursor{Offset: uint64(n)}}))
	}
	for dead, want := range map[*metrics.Dead][]float64{d: {0, 0, 0}, kept: {1, 2, 1}} {
		m, err := metrics.New(metrics.Sources{Gateway: r.gateway, Dead: dead})
		require.NoError(t, err)
		s, _ := scrape(t, m.Handler())
		for i, reason := range []string{"invalid_event", "refused", "other"} {
			require.InDelta(t, want[i], s[`tallywire_dead_letters_total{reason="`+reason+`"}`], 0)
		}
	}
}

type refusing struct{ broker.DeadLetters }

func (refusing) Bury(context.Context, broker.DeadLetter) error { return errors.New("no room") }

func TestSourcesAreRequired(t *testing.T) {
	_, err := metrics.New(metrics.Sources{})
	require.ErrorContains(t, err, "Gateway is required")
}
