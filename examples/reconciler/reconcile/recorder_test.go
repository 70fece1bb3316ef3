package reconcile_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// recorder is a channel log of its own: it checks events against their schemas, and keeps the first of
// each id, as a broker does.
type recorder struct {
	t        *testing.T
	registry *events.Registry
	sample   int            // check the first hundred of each type, and then one in so many
	types    map[string]int // events by type

	mu     sync.Mutex
	log    []reconcile.Publication
	seen   map[string]events.Event
	calls  int
	before func(ctx context.Context, call int, p reconcile.Publication) error // may refuse, or append and fail
	after  func(call int) error
}

// builtIn is compiled once: schemas take longer to compile than most tests to run.
var builtIn = sync.OnceValues(func() (*events.Registry, error) {
	return events.NewRegistry(events.Options{Strict: true})
})

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	registry, err := builtIn()
	require.NoError(t, err)
	return &recorder{t: t, registry: registry, sample: 1, types: map[string]int{}, seen: map[string]events.Event{}}
}

func (r *recorder) Publish(ctx context.Context, channel string, e events.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.before != nil {
		if err := r.before(ctx, r.calls, reconcile.Publication{Channel: channel, Event: e}); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.types[e.Type]++; r.types[e.Type] <= 100 || r.types[e.Type]%r.sample == 0 {
		r.check(channel, e)
	}
	key := channel + " " + e.Source + "/" + e.ID
	if first, twice := r.seen[key]; twice {
		require.Equal(r.t, first, e, "a repeated id carries the same event")
	} else {
		r.seen[key] = e
		r.log = append(r.log, reconcile.Publication{Channel: channel, Event: e})
	}
	if r.after != nil {
		return r.after(r.calls)
	}
	return nil
}

func (r *recorder) check(channel string, e events.Event) {
	raw, err := e.MarshalJSON()
	require.NoError(r.t, err)
	env, err := events.Scan(raw)
	require.NoError(r.t, err)
	require.NoError(r.t, r.registry.Check(env, raw), "%s", raw)
	require.NoError(r.t, events.ValidateChannel(channel))
	require.NotEmpty(r.t, e.ID)
	require.NotEmpty(r.t, e.Source)
	require.NotEmpty(r.t, e.Subject)
	require.False(r.t, e.Time.IsZero())
}

// sampled makes a recorder for long runs, whose events another test checks one by one.
func (r *recorder) sampled() *recorder {
	r.sample = 100
	return r
}

// on returns the events of a channel, of one type unless that is empty.
func (r *recorder) on(channel, eventType string) []events.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []events.Event
	for _, p := range r.log {
		if p.Channel == channel && (eventType == "" || p.Event.Type == eventType) {
			out = append(out, p.Event)
		}
	}
	return out
}
