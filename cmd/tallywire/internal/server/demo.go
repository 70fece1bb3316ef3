package server

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// runDemo has the example worker reconcile in this process, where that is asked for. It ends with ctx.
func (s *Server) runDemo(ctx context.Context, work *errgroup.Group) {
	if !s.settings.Demo {
		return
	}
	options := reconcile.DemoOptions{Done: func(job string, attempt int, _ reconcile.Totals, err error) {
		s.log.Info().Str("event", "demo_job").Str("job", job).Int("attempt", attempt).AnErr("outcome", err).Msg("demonstration job ended")
	}}
	work.Go(func() error { return reconcile.Demo(ctx, demoPublisher{s}, options) })
}

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
	_, err = broker.PublishWait(ctx, p.s.store.broker, broker.Publication{
		Channel: channel, Event: raw, ID: e.Source + "/" + e.ID,
	})
	if errors.Is(err, broker.ErrRefused) {
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	return err
}
