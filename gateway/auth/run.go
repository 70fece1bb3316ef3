package auth

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// Run keeps key sets and revocations fresh until ctx ends, and returns nil then, when everything it started
// has ended. It is called at most once.
func (a *Authenticator) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, keys := range a.issuers {
		if keys.remote != nil {
			g.Go(func() error {
				keys.remote.run(ctx)
				return nil
			})
		}
	}
	if a.revoked != nil {
		rings := make(chan struct{}, 1)
		g.Go(func() error {
			a.watchRevocations(ctx, rings)
			return nil
		})
		g.Go(func() error {
			a.readRevocations(ctx, rings)
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		return nil
	})
	return g.Wait()
}

// watchRevocations passes on that the list may have changed.
func (a *Authenticator) watchRevocations(ctx context.Context, rings chan<- struct{}) {
	for ctx.Err() == nil {
		err := a.o.Revocations.Watch(ctx, func() {
			select {
			case rings <- struct{}{}:
			default: // the list will be read after this anyway
			}
		})
		if ctx.Err() == nil {
			a.o.Log.Warn().Str("event", "revocations_unwatched").Err(err).Msg("revocations not watched, reading them in turn")
			pause(ctx, a.o.RevocationsEvery-jitter(a.o.RevocationsEvery/2))
		}
	}
}

// readRevocations reads the list when the doorbell rings, and in any case in turn: a doorbell can be lost.
func (a *Authenticator) readRevocations(ctx context.Context, rings <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-rings:
		case <-ctx.Done():
			return
		}
		news, err := a.revoked.read(ctx)
		if err != nil && ctx.Err() == nil {
			a.o.Log.Warn().Str("event", "revocations_unread").Err(err).Msg("revocations not read, the last list holds")
		}
		if news {
			a.announceRevoked()
		}
		timer.Reset(a.o.RevocationsEvery - jitter(a.o.RevocationsEvery/5))
	}
}
