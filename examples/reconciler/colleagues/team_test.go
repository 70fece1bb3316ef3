package colleagues_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/colleagues"
)

// floor is the office and the log of a test.
type floor struct {
	t        *testing.T
	registry *events.Registry

	mu      sync.Mutex
	here    map[string]string // channel by user
	visits  int
	log     []events.Event
	refuse  bool
	decided map[string]int // decisions by match
}

func newFloor(t *testing.T) *floor {
	t.Helper()
	registry, err := events.NewRegistry(events.Options{Strict: true})
	require.NoError(t, err)
	return &floor{t: t, registry: registry, here: map[string]string{}, decided: map[string]int{}}
}

func (f *floor) Enter(_ context.Context, channel string, p colleagues.Person, status colleagues.Status) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Regexp(f.t, `^match/`, status.Viewing)
	if at, ok := f.here[p.User]; ok {
		require.Equal(f.t, at, channel, "%s leaves before being elsewhere", p.User)
	}
	f.here[p.User] = channel
	f.visits++
	return nil
}

func (f *floor) Leave(_ context.Context, channel string, p colleagues.Person) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(f.t, f.here[p.User], channel)
	delete(f.here, p.User)
	return nil
}

func (f *floor) Publish(_ context.Context, channel string, e events.Event) error {
	raw, err := e.MarshalJSON()
	require.NoError(f.t, err)
	envelope, err := events.Scan(raw)
	require.NoError(f.t, err)
	require.NoError(f.t, f.registry.Check(envelope, raw), "%s on %s", e.Type, channel)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse {
		return errors.New("refused")
	}
	f.log = append(f.log, e)
	if e.Type == "match.updated" {
		f.decided[e.Subject]++
	}
	return nil
}

// job publishes a job with proposals through the team.
func job(t *testing.T, team *colleagues.Team, id string, proposals int) {
	t.Helper()
	publish := func(channel, eventType, subject string, data any) {
		e, err := events.New(eventType, data)
		require.NoError(t, err)
		e.ID, e.Source, e.Subject = fmt.Sprintf("%s %s %s", id, eventType, subject), "worker", subject
		_ = team.Publish(t.Context(), channel, e)
	}
	publish("jobs:"+id, "job.started", "job/"+id, map[string]any{"job_id": id})
	for n := range proposals {
		m := fmt.Sprintf("%s-m%d", id, n)
		publish("matches:"+id, "match.created", "match/"+m, map[string]any{
			"match_id": m, "revision": 1, "status": "proposed", "job_id": id, "left_ids": []string{"a"}, "right_ids": []string{"b"},
		})
	}
	publish("matches:"+id, "match.deleted", "match/"+id+"-m0", map[string]any{"match_id": id + "-m0"})
	publish("jobs:"+id, "job.completed", "job/"+id, map[string]any{"job_id": id})
}

func TestEveryProposalIsDecidedOnce(t *testing.T) {
	f := newFloor(t)
	synctest.Test(t, func(t *testing.T) {
		team, err := colleagues.New(colleagues.Options{Office: f, Publisher: f})
		require.NoError(t, err)
		job(t, team, "1", 50)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		require.NoError(t, team.Run(ctx))
		require.Len(t, f.decided, 49, "all but the one that was given up")
		for subject, times := range f.decided {
			require.Equal(t, 1, times, subject)
		}
		require.Empty(t, f.here, "everybody has left")
		require.Greater(t, f.visits, 49)
		ids := map[string]bool{}
		for _, e := range f.log {
			require.False(t, ids[e.Source+"/"+e.ID], "ids are unique")
			ids[e.Source+"/"+e.ID] = true
		}
	})
}

func TestARunningJobIsOnlyLookedAt(t *testing.T) {
	f := newFloor(t)
	synctest.Test(t, func(t *testing.T) {
		team, err := colleagues.New(colleagues.Options{Office: f, Publisher: f})
		require.NoError(t, err)
		job(t, team, "1", 5)
		e, err := events.New("job.started", map[string]any{"job_id": "1"}) // a second attempt begins
		require.NoError(t, err)
		require.NoError(t, team.Publish(t.Context(), "jobs:1", e))
		e, err = events.New("match.created", json.RawMessage(`{"match_id":"x","status":"proposed","left_ids":["a"],"right_ids":["b"]}`))
		require.NoError(t, err)
		e.Subject = "match/x"
		require.NoError(t, team.Publish(t.Context(), "matches:1", e))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, team.Run(ctx))
		require.Positive(t, f.visits)
		require.Empty(t, f.decided)
	})
}

func TestTheDayGoesOnWhenNothingCanBePublished(t *testing.T) {
	f := newFloor(t)
	synctest.Test(t, func(t *testing.T) {
		team, err := colleagues.New(colleagues.Options{Office: f, Publisher: f})
		require.NoError(t, err)
		job(t, team, "1", 30)
		f.refuse = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, team.Run(ctx))
		require.Empty(t, f.decided)
		require.Greater(t, f.visits, 8)
	})
}

func TestNewWantsItsParts(t *testing.T) {
	_, err := colleagues.New(colleagues.Options{})
	require.Error(t, err)
}
