package colleagues

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// leaveTimeout bounds how long somebody takes to leave when the day is over.
const leaveTimeout = 2 * time.Second

// Team is the people and their desk. It is safe for concurrent use.
type Team struct {
	o       Options
	desk    desk
	worker  string // the source of the team's events, another one each time
	decided atomic.Int64
}

// New makes a team. It does nothing until [Team.Run].
func New(o Options) (*Team, error) {
	if o.Office == nil || o.Publisher == nil {
		return nil, errors.New("office and publisher: are required")
	}
	return &Team{o: o.withDefaults(), worker: "colleagues-" + strconv.FormatInt(time.Now().UnixMilli(), 36)}, nil
}

// Publish implements [reconcile.Publisher]: it publishes, and puts what was published on the team's desk.
func (t *Team) Publish(ctx context.Context, channel string, e events.Event) error {
	if err := t.o.Publisher.Publish(ctx, channel, e); err != nil {
		return err
	}
	t.desk.note(channel, &e)
	return nil
}

// Run lets everybody work until ctx ends. Nothing that goes wrong ends it: a colleague whose publish was
// refused, or whom nobody sees for now, goes on with the next match.
func (t *Team) Run(ctx context.Context) error {
	var day errgroup.Group
	for _, p := range t.o.People {
		day.Go(func() error { t.work(ctx, p); return nil })
	}
	return day.Wait()
}

// work is one person's day.
func (t *Team) work(ctx context.Context, p Person) {
	at := "" // the channel where the person is seen
	leave := func() {
		if at == "" {
			return
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		_ = t.o.Office.Leave(last, at, p) // the lease's end does the same
		at = ""
	}
	defer leave()
	for pause(ctx, t.o.Look/2+rand.N(t.o.Look)) {
		next, ok := t.desk.take()
		if !ok {
			continue
		}
		if at != next.channel {
			leave()
		}
		if t.o.Office.Enter(ctx, next.channel, p, Status{Viewing: next.subject}) == nil {
			at = next.channel
		}
		if next.proposal == nil || !pause(ctx, t.o.Look/4) {
			continue
		}
		// What could not be published stays a proposal that nobody takes up again.
		_ = t.Publish(ctx, next.channel, t.decision(p, next))
	}
}

// decision is what a person makes of a proposal: mostly yes.
func (t *Team) decision(p Person, of task) events.Event {
	m := of.proposal
	status, note := "confirmed", "Checked against the statement."
	switch rand.IntN(10) { //nolint:gosec // a demonstration
	case 0:
		status, note = "rejected", "These do not belong together."
	case 1, 2:
		status, note = "disputed", "Asked the counterparty."
	}
	now := time.Now().UTC()
	e, err := events.New("match.updated", map[string]any{
		"match_id": m.ID, "revision": m.Revision + 1, "job_id": m.JobID, "left_ids": m.LeftIDs, "right_ids": m.RightIDs,
		"changed": []string{"status", "note", "author"}, "previous_status": m.Status, "status": status, "note": note,
		"author": map[string]string{"kind": "user", "id": p.User, "name": p.Name}, "updated_at": now.Format(time.RFC3339Nano),
	})
	if err != nil {
		panic(err) // text and numbers
	}
	e.ID = fmt.Sprintf("decision.%d", t.decided.Add(1))
	e.Source, e.Subject, e.Time = t.worker, of.subject, now
	return e
}

var _ reconcile.Publisher = (*Team)(nil)

// pause waits for d and reports whether ctx lets things go on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
