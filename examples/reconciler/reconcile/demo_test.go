package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t).sampled()
		var mu sync.Mutex
		var ended []string
		done := func(job string, attempt int, _ reconcile.Totals, err error) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, fmt.Sprintf("%s.%d %t", job, attempt, err == nil))
		}
		require.NoError(t, reconcile.Demo(t.Context(), r, reconcile.DemoOptions{Rounds: 3, Done: done}))
		require.Equal(t, []string{
			"recon-0000.1 true", "recon-0001.1 true", "recon-0003.1 true", "recon-0002.1 true", "recon-0004.1 false", "recon-0004.2 true",
		}, ended)

		overlap := func(job string) (from, to time.Time) {
			return r.on("jobs:"+job, "job.started")[0].Time, r.on("jobs:"+job, "job.completed")[0].Time
		}
		from2, to2 := overlap("recon-0002")
		from3, to3 := overlap("recon-0003")
		require.True(t, from2.Before(from3) && to3.Before(to2), "two jobs at once")
		var silence time.Duration
		for last, steps := from3, r.on("jobs:recon-0003", "job.progress"); len(steps) > 0; last, steps = steps[0].Time, steps[1:] {
			silence = max(silence, steps[0].Time.Sub(last))
		}
		require.GreaterOrEqual(t, silence, 10*time.Second, "one of them is kept waiting")

		var story []string
		for _, e := range r.on("jobs:recon-0004", "") {
			if e.Type != "job.progress" && e.Type != "error.raised" {
				story = append(story, e.Type)
			}
		}
		require.Equal(t, []string{"job.started", "job.failed", "job.started", "job.completed"}, story)
		failed := data(t, r.on("jobs:recon-0004", "job.failed")[0])
		require.Equal(t, true, failed["will_retry"])
		require.Equal(t, "bad_file", failed["error"].(map[string]any)["code"])
		statuses := []string{}
		for _, e := range r.on("system:status", "") {
			statuses = append(statuses, data(t, e)["status"].(string))
		}
		require.True(t, slices.Contains(statuses, "degraded"))
		require.Equal(t, "operational", statuses[len(statuses)-1])
	})
}

func TestDemoEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, after := range []time.Duration{10 * time.Second, 82 * time.Second, 120 * time.Second} { // a job, a pause, two jobs
			r := newRecorder(t).sampled()
			ctx, cancel := context.WithTimeout(t.Context(), after)
			begin := time.Now()
			require.NoError(t, reconcile.Demo(ctx, r, reconcile.DemoOptions{Tag: "eu"}))
			cancel()
			require.Equal(t, after, time.Since(begin))
			require.NotEmpty(t, r.on("jobs:recon-eu-0001", "job.started"))
		}
	})
}

func TestDemoOutlivesItsPublisher(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, begin := newRecorder(t).sampled(), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r.before = func(_ context.Context, _ int, p reconcile.Publication) error {
			if time.Since(begin) < 10*time.Minute {
				return errors.New("down")
			}
			if p.Event.Type == "match.created" {
				cancel() // seen enough
			}
			return nil
		}
		failures := 0
		require.NoError(t, reconcile.Demo(ctx, r, reconcile.DemoOptions{Done: func(_ string, _ int, _ reconcile.Totals, err error) {
			if errors.As(err, new(*reconcile.PublishError)) {
				failures++
			}
		}}))
		require.Positive(t, failures)
		require.Error(t, ctx.Err(), "it goes on when the store is back")
	})
}

func TestRunTagsDiffer(t *testing.T) {
	begin := time.Date(2026, time.March, 31, 12, 0, 0, 0, time.UTC)
	seen := map[string]time.Duration{}
	for after := time.Duration(0); after < 18*24*time.Hour; after += 7 * time.Second {
		tag := reconcile.RunTag(begin.Add(after))
		require.Regexp(t, `^[0-9a-z]{4}$`, tag)
		before, twice := seen[tag]
		require.False(t, twice, "%s after %s and %s", tag, before, after)
		seen[tag] = after
	}
	require.Equal(t, "0000", reconcile.RunTag(time.Time{}))
}

func TestDemoRefusesABadTag(t *testing.T) {
	require.Error(t, reconcile.Demo(t.Context(), newRecorder(t), reconcile.DemoOptions{Tag: "a b"}))
}
