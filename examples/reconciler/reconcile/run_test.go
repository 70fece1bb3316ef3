package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/ledgers"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func data(t *testing.T, e events.Event) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, json.Unmarshal(e.Data, &out))
	return out
}

func text(name, content string) reconcile.Source {
	return reconcile.Source{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
}

func bundled(job string) reconcile.Options {
	left, right := reconcile.Bundled()
	return reconcile.Options{JobID: job, Left: left, Right: right, Tolerances: reconcile.DefaultTolerances}
}

// generated is a job with every trouble of the bundled ledgers, on smaller ones.
func generated(t *testing.T, job string) reconcile.Options {
	t.Helper()
	c := ledgers.Default()
	c.Movements = 1000
	files, err := ledgers.Generate(c)
	require.NoError(t, err)
	o := bundled(job)
	o.Left, o.Right = text("bank.csv", string(files.Bank)), text("ledger.csv", string(files.Ledger))
	return o
}

func small() reconcile.Options {
	return reconcile.Options{
		JobID: "42",
		Left:  text("bank.csv", header+"B1,2026-03-01,INV-7,100.00,EUR,Lahti\nB2,2026-03-01,INV-8,50.00,EUR,Lahti\nB3,2026-03-01\n"),
		Right: text("ledger.csv", header+"L1,2026-03-01,INV-7,100.00,EUR,Lahti\nL2,2026-03-01,INV-9,60.00,EUR,Isarnetz\n"),
	}
}

func TestRunPublishesAJob(t *testing.T) {
	r := newRecorder(t)
	totals, err := reconcile.Run(t.Context(), small(), r)
	require.NoError(t, err)
	require.Equal(t, [2]int{2, 2}, totals.Lines)
	require.Equal(t, [2]int{1, 0}, totals.BadLines)

	var got []string
	for _, p := range r.log {
		if p.Event.Type != "dashboard.metric" {
			got = append(got, p.Channel+" "+p.Event.Type+" "+p.Event.Subject+" "+p.Event.ID)
		}
	}
	require.Equal(t, []string{
		"jobs:42 job.started job/42 42.1.started.1",
		"notifications:ops notification.raised job/42 42.1.notification.1",
		"system:status system.status component/reconciler 42.1.status.1",
		"jobs:42 job.progress job/42 42.1.progress.1",
		"jobs:42 error.raised job/42 42.1.error.1",
		"matches:42 match.created match/42-m00001 42.1.match.1",
		"matches:42 error.raised line/B2 42.1.exception.1",
		"matches:42 error.raised line/L2 42.1.exception.2",
		"jobs:42 job.progress job/42 42.1.progress.2",
		"jobs:42 job.completed job/42 42.1.completed.1",
		"notifications:ops notification.raised job/42 42.1.notification.2",
		"system:status system.status component/reconciler 42.1.status.2",
	}, got)
	done := data(t, r.on("jobs:42", "job.completed")[0])
	require.Subset(t, done, map[string]any{
		"job_id": "42", "attempt": 1.0, "processed": 4.0, "matched": 2.0, "unmatched": 2.0, "exceptions": 0.0, "match_rate": 50.0,
		"bad_lines": 1.0, "matched_amount": map[string]any{"amount": "100.00", "currency": "EUR"},
		"unmatched_amount": map[string]any{"amount": "-10.00", "currency": "EUR"},
	})
	require.InDelta(t, 100, data(t, r.on("jobs:42", "job.progress")[1])["percent"], 0)
}

// TestBundledJobLooksAlive runs the demonstration's job at its pace, on a clock that does not wait.
func TestBundledJobLooksAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, begin := newRecorder(t), time.Now()
		o := bundled("recon-0001")
		o.Rate = 120
		totals, err := reconcile.Run(t.Context(), o, r)
		require.NoError(t, err)
		took := time.Since(begin)
		require.Greater(t, took, 60*time.Second)
		require.Less(t, took, 90*time.Second)

		progress := r.on("jobs:recon-0001", "job.progress")
		require.Greater(t, len(progress), int(8*took.Seconds()))
		require.LessOrEqual(t, len(progress), int(10*took.Seconds())+2)
		percent, processed := -1.0, -1.0
		for n, e := range progress {
			d := data(t, e)
			require.GreaterOrEqual(t, d["percent"], percent)
			require.GreaterOrEqual(t, d["processed"], processed)
			require.LessOrEqual(t, d["processed"], d["total"])
			percent, processed = d["percent"].(float64), d["processed"].(float64)
			if eta, ok := d["eta_ms"].(float64); ok && n > 100 {
				left := took - e.Time.Sub(begin)
				require.InDelta(t, left.Seconds(), eta/1000, 12, "estimate after %s", e.Time.Sub(begin))
			}
		}
		require.InDelta(t, 100, percent, 0)
		require.InDelta(t, totals.Lines[0]+totals.Lines[1], processed, 0)
		require.Len(t, r.on("jobs:recon-0001", "error.raised"), 7)
		require.Len(t, r.on("matches:recon-0001", "error.raised"), totals.Matches[reconcile.Unmatched]+totals.Matches[reconcile.Duplicate])
		requireReplay(t, r.on("matches:recon-0001", ""), totals)
	})
}

// requireReplay applies a job's events as a client does and compares the outcome with the totals.
func requireReplay(t *testing.T, log []events.Event, totals reconcile.Totals) {
	t.Helper()
	status, revision := map[string]string{}, map[string]int{}
	for _, e := range log {
		if e.Type == "error.raised" {
			continue
		}
		var d struct {
			ID       string `json:"match_id"`
			Revision int    `json:"revision"`
			Status   string `json:"status"`
			Previous string `json:"previous_status"`
		}
		require.NoError(t, json.Unmarshal(e.Data, &d))
		require.Equal(t, "match/"+d.ID, e.Subject)
		known, exists := status[d.ID]
		switch e.Type {
		case "match.created":
			require.False(t, exists, "%s is created twice", d.ID)
			require.Equal(t, 1, d.Revision)
			status[d.ID] = d.Status
		case "match.updated":
			require.Equal(t, revision[d.ID]+1, d.Revision)
			if d.Previous != "" {
				require.Equal(t, known, d.Previous)
			}
			status[d.ID] = d.Status
		case "match.deleted":
			require.Equal(t, revision[d.ID], d.Revision)
			delete(status, d.ID)
		}
		revision[d.ID] = d.Revision
	}
	count := map[string]int{}
	for _, s := range status {
		count[s]++
	}
	require.Equal(t, map[string]int{
		"confirmed": totals.Matches[reconcile.Matched], "proposed": totals.Matches[reconcile.Suggested],
	}, count)
}

func TestMatchEventsAreTheSameInEveryAttempt(t *testing.T) {
	t.Parallel()
	first, second := newRecorder(t).sampled(), newRecorder(t).sampled()
	_, err := reconcile.Run(t.Context(), generated(t, "7"), first)
	require.NoError(t, err)
	again := generated(t, "7")
	again.Attempt = 2
	_, err = reconcile.Run(t.Context(), again, second)
	require.NoError(t, err)
	a, b := first.on("matches:7", ""), second.on("matches:7", "")
	require.Len(t, b, len(a))
	for i := range a {
		require.NotEqual(t, a[i].ID, b[i].ID, "another attempt has ids of its own")
		require.Equal(t, a[i].Subject, b[i].Subject)
	}
}

func TestRepeatedPublishesDoNoHarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t).sampled()
		r.before = func(_ context.Context, call int, _ reconcile.Publication) error {
			if call%3 == 1 {
				return errors.New("not reached")
			}
			return nil
		}
		r.after = func(call int) error {
			if call%5 == 2 {
				return errors.New("reply lost") // it was appended all the same
			}
			return nil
		}
		totals, err := reconcile.Run(t.Context(), generated(t, "9"), r)
		require.NoError(t, err)
		require.Greater(t, r.calls, len(r.log))
		requireReplay(t, r.on("matches:9", ""), totals)
		require.Len(t, r.on("jobs:9", "job.completed"), 1)
	})
}

func TestRunFailsWhenPublishingDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection to secret.example refused")
		for name, c := range map[string]struct {
			err   error
			tries int
		}{"passing": {down, 6}, "refused": {errors.Join(reconcile.ErrRefused, down), 1}} {
			r, ids := newRecorder(t), []string{}
			r.before = func(_ context.Context, _ int, p reconcile.Publication) error {
				if p.Channel == "matches:42" {
					ids = append(ids, p.Event.ID)
					return c.err
				}
				return nil
			}
			_, err := reconcile.Run(t.Context(), small(), r)
			require.ErrorIs(t, err, down, name)
			var publish *reconcile.PublishError
			require.ErrorAs(t, err, &publish)
			require.Equal(t, c.tries, publish.Tries)
			require.Len(t, ids, c.tries)
			for _, id := range ids {
				require.Equal(t, "42.1.match.1", id, "the same event each time")
			}
			require.Empty(t, r.on("jobs:42", "job.completed"))
			failed := r.on("jobs:42", "job.failed")
			require.Len(t, failed, 1)
			require.NotContains(t, string(failed[0].Data), "secret.example")
			require.Subset(t, data(t, failed[0])["error"], map[string]any{"code": "publish_failed"})
		}
	})
}

func TestRunSaysThatItCouldNotEvenFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, begin := errors.New("down"), time.Now()
		r := newRecorder(t)
		r.before = func(ctx context.Context, _ int, _ reconcile.Publication) error {
			<-ctx.Done() // a server that does not answer
			return down
		}
		_, err := reconcile.Run(t.Context(), small(), r)
		require.ErrorIs(t, err, down)
		require.ErrorContains(t, err, "job.failed: ")
		require.Less(t, time.Since(begin), time.Minute)
	})
}

func TestCancelledJobSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, after := range []time.Duration{time.Second, 30 * time.Second} { // while it reads, while it matches
			r := newRecorder(t)
			ctx, cancel := context.WithTimeout(t.Context(), after)
			o := bundled("42")
			o.Rate, o.MaxAttempts = 120, 3
			begin := time.Now()
			_, err := reconcile.Run(ctx, o, r)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, after, time.Since(begin), "it stops at once")
			failed := r.on("jobs:42", "job.failed")
			require.Len(t, failed, 1)
			d := data(t, failed[0])
			require.Subset(t, d["error"], map[string]any{"code": "cancelled"})
			require.Equal(t, false, d["will_retry"])
		}
	})
}

func TestAJobThatIsStoppedWhileItsBankIsSlowSaysSo(t *testing.T) {
	r := newRecorder(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o, opened := small(), 0
	o.Left.Open = func() (io.ReadCloser, error) {
		if opened++; opened == 1 { // to count its lines
			return io.NopCloser(strings.NewReader(header)), nil
		}
		cancel()
		return io.NopCloser(iotest.ErrReader(ctx.Err())), nil
	}
	_, err := reconcile.Run(ctx, o, r)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, map[string]any{"code": "cancelled", "message": "The job was stopped."}, data(t, r.on("jobs:42", "job.failed")[0])["error"])
	told := r.on("notifications:ops", "")
	last := data(t, told[len(told)-1])
	require.Equal(t, "info", last["severity"])
	require.Equal(t, "42: stopped", last["title"])
	states := r.on("system:status", "")
	require.Equal(t, "operational", data(t, states[len(states)-1])["status"])
}

func TestBadFilesFailTheJob(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*reconcile.Options)
		code   string
		says   string
	}{
		"cut off": {func(o *reconcile.Options) { o.Right = text("r.csv", header+"a,2026-01-01,\"R") }, "bad_file", "r.csv:2: the file ends inside"},
		"no file": {func(o *reconcile.Options) {
			o.Left.Open = func() (io.ReadCloser, error) { return nil, errors.New("gone") }
		}, "bad_file", "bank.csv: cannot be opened: gone"},
		"empty":    {func(o *reconcile.Options) { o.Left = text("l.csv", "") }, "bad_file", "l.csv: is empty"},
		"bad line": {func(o *reconcile.Options) { o.MaxBadLines = -1 }, "too_many_bad_lines", "bank.csv:4: has 2 fields"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t)
			o := small()
			o.MaxAttempts, o.RetryIn = 2, time.Minute
			c.change(&o)
			_, err := reconcile.Run(t.Context(), o, r)
			require.ErrorContains(t, err, c.says)
			failed := r.on("jobs:42", "job.failed")
			require.Len(t, failed, 1)
			d := data(t, failed[0])
			require.Equal(t, c.code, d["error"].(map[string]any)["code"])
			require.Contains(t, d["error"].(map[string]any)["message"], c.says)
			require.Equal(t, true, d["will_retry"])
			require.NotEmpty(t, d["retry_at"])
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*reconcile.Options){
		"no id":        func(o *reconcile.Options) { o.JobID = "" },
		"id":           func(o *reconcile.Options) { o.JobID = "a b" },
		"colon":        func(o *reconcile.Options) { o.JobID = "a:b" },
		"long id":      func(o *reconcile.Options) { o.JobID = strings.Repeat("a", 65) },
		"attempt":      func(o *reconcile.Options) { o.Attempt = -1 },
		"rate":         func(o *reconcile.Options) { o.Rate = -1 },
		"no ledger":    func(o *reconcile.Options) { o.Right = reconcile.Source{} },
		"date window":  func(o *reconcile.Options) { o.Tolerances = reconcile.DefaultTolerances; o.Tolerances.DateWindow = 100 },
		"long worker":  func(o *reconcile.Options) { o.Worker = strings.Repeat("w", 129) },
		"retry before": func(o *reconcile.Options) { o.RetryIn = -time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			o, r := small(), newRecorder(t)
			change(&o)
			_, err := reconcile.Run(t.Context(), o, r)
			require.Error(t, err)
			require.Zero(t, r.calls, "nothing is published for it")
		})
	}
}
