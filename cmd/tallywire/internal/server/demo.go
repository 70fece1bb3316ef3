package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/colleagues"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
	"github.com/tallywire/tallywire/presence"
)

// runDemo has the example worker reconcile in this process, and a team work beside it, where that is asked
// for. Both end with ctx.
func (s *Server) runDemo(ctx context.Context, work *errgroup.Group) {
	if !s.settings.Demo {
		return
	}
	options := reconcile.DemoOptions{Done: func(job string, attempt int, _ reconcile.Totals, err error) {
		s.log.Info().Str("event", "demo_job").Str("job", job).Int("attempt", attempt).AnErr("outcome", err).Msg("demonstration job ended")
	}}
	if s.settings.Redis != "" { // which has the jobs of earlier runs
		options.Tag = reconcile.RunTag(time.Now())
	}
	work.Go(func() error {
		team, err := colleagues.New(colleagues.Options{Office: demoOffice{s}, Publisher: demoPublisher{s}})
		if err != nil {
			return err
		}
		var together errgroup.Group
		together.Go(func() error { return team.Run(ctx) })
		together.Go(func() error { return reconcile.Demo(ctx, team, options) })
		return together.Wait()
	})
}

// demoOffice shows the team in the gateway's presence, as if it were connected here.
type demoOffice struct{ s *Server }

// Enter implements colleagues.Office.
func (o demoOffice) Enter(ctx context.Context, channel string, p colleagues.Person, status colleagues.Status) error {
	raw, err := json.Marshal(status)
	if err != nil {
		return err
	}
	return o.s.store.presence.Enter(ctx, presence.Entry{
		Channel: channel, User: p.User, Name: p.Name, Session: o.session(p), Claim: demoClaim(p), Status: raw,
	})
}

// Leave implements colleagues.Office.
func (o demoOffice) Leave(ctx context.Context, channel string, p colleagues.Person) error {
	return o.s.store.presence.Leave(ctx, presence.Exit{
		Channel: channel, User: p.User, Session: o.session(p), Claim: demoClaim(p), Now: true,
	})
}

// session names a person's session, which is one at each gateway.
func (o demoOffice) session(p colleagues.Person) string { return "demo-" + p.User + "-" + o.s.id }

// demoClaim is the same for as long as this process runs: the team's sessions never come from elsewhere.
func demoClaim(p colleagues.Person) string { return "demo-" + p.User }

// demoPublisher publishes as a client of the gateway would: what is invalid is refused.
type demoPublisher struct{ s *Server }

// Publish implements reconcile.Publisher.
func (p demoPublisher) Publish(ctx context.Context, channel string, e events.Event) error {
	raw, err := e.MarshalJSON()
	if err != nil {
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	envelope, err := events.Scan(raw)
	if err == nil {
		err = p.s.registry.Check(envelope, raw)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	_, err = broker.PublishWait(ctx, p.s.outlet, broker.Publication{
		Channel: channel, Event: raw, ID: e.Source + "/" + e.ID,
	})
	if errors.Is(err, broker.ErrRefused) {
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	return err
}
