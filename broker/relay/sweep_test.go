package relay

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// A channel without news keeps neither encoded batches nor pages.
func TestQuietRelaysKeepNoCaches(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(30)
		pos := at(x, cursors[3])
		page, _, err := r.fetch(x, pos)
		require.NoError(r, err)
		require.NotNil(r, x.Pull(pos, page, 1<<16).Message)
		x.mu.Lock()
		require.NotZero(r, x.batches)
		require.NotZero(r, x.pages.recent)
		x.mu.Unlock()
		r.rest()
		x.mu.Lock()
		require.Zero(r, x.batches)
		require.Zero(r, x.pages.recent)
		x.mu.Unlock()
		require.Equal(r, cursors[4:], cursorsOf(x.Pull(pos, page, 1<<16), r), "a page that a reader holds is good")
	}, small)
}

// Relays that are opened, read, let go and swept by many at once hear what is published after each opening.
func TestChurn(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		stop := make(chan struct{})
		var sweeping, wg sync.WaitGroup
		sweeping.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					r.hub.sweep()
				}
			}
		})
		for range 8 {
			wg.Go(func() {
				for range 200 {
					x, err := r.hub.Acquire(r.Context(), channel)
					if err != nil {
						r.Errorf("acquire: %v", err)
						return
					}
					pos := x.Tail()
					c := r.publish(1)[0]
					if head := x.Head(); head.Offset < c.Offset {
						r.Errorf("%s was published, the relay is at %s", c, head)
					}
					if got := cursorsOf(x.Pull(pos, nil, 1<<20), r); len(got) == 0 || got[len(got)-1].Offset < c.Offset {
						r.Errorf("%s was published, got %v", c, got)
					}
					r.hub.Release(x)
				}
			})
		}
		wg.Wait()
		close(stop)
		sweeping.Wait()
	}, func(o *Options) { o.Linger = time.Nanosecond })
}

// While anybody holds a relay it stays; afterwards it lingers, and goes.
func TestLinger(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		count := func() (n int) {
			r.hub.Each(func(*Relay) { n++ })
			return n
		}
		time.Sleep(time.Hour) // the bubble's clock
		require.Equal(r, 1, count())
		y, ok := r.hub.AcquireOpen(channel)
		require.True(r, ok)
		require.Same(r, x, y)
		r.hub.Release(x)
		time.Sleep(time.Hour) // the bubble's clock
		require.Equal(r, 1, count())
		r.hub.Release(x)
		time.Sleep(20 * time.Second) // the bubble's clock
		require.Equal(r, 1, count())
		time.Sleep(20 * time.Second) // the bubble's clock
		synctest.Wait()
		require.Zero(r, count())
		_, ok = r.hub.AcquireOpen(channel)
		require.False(r, ok)
	})
}

// A channel that could not be opened is opened by the next who asks; one who cannot wait is let go.
func TestOpeningFails(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		r.store.ForTest().Cut(r.own)
		_, err := r.hub.Acquire(r.Context(), channel)
		require.ErrorIs(r, err, broker.ErrUnavailable)
		r.store.ForTest().Heal(r.own)
		r.gate.holdSubscribes()
		ctx, cancel := context.WithCancel(r.Context())
		failed := make(chan error)
		go func() {
			_, err := r.hub.Acquire(ctx, channel)
			failed <- err
		}()
		synctest.Wait()
		_, ok := r.hub.AcquireOpen(channel)
		require.False(r, ok)
		cancel()
		require.ErrorIs(r, <-failed, context.Canceled)
		r.gate.release()
		x := r.open()
		r.publish(1)
		require.NotZero(r, x.Head())
	})
}

// What arrives before the first head is known is taken in once it is.
func TestDeliveriesWhileOpening(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		r.gate.holdSubscribes()
		opened := make(chan *Relay)
		go func() { opened <- r.open() }()
		synctest.Wait()
		r.store.ForTest().Duplicate(channel, 2)
		cursors := r.publish(5)
		r.gate.release()
		x := <-opened
		require.Equal(r, cursors[4], x.Head())
		require.Zero(r, r.hub.Counters().Repairs.Load())
	})
}

// A relay that is swept while its repair opens the stream again leaves no subscription behind.
func TestSweptWhileReopening(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(20)
		r.store.ForTest().Delete(channel)
		r.gate.hold(&r.gate.subscribing)
		_, _, err := r.fetch(x, at(x, cursors[0])) // which has the relay look
		require.ErrorIs(r, err, ErrRetry)
		synctest.Wait()
		r.hub.Release(x)
		time.Sleep(time.Millisecond) // the bubble's clock
		r.hub.sweep()
		r.gate.release()
		synctest.Wait()
		delivered := r.hub.Counters().Delivered.Load()
		r.publish(1)
		require.Equal(r, delivered, r.hub.Counters().Delivered.Load())
		require.Zero(r, r.hub.Counters().Repairs.Load(), "nothing was settled")
		require.Zero(r, r.hub.Counters().Repairing.Load())
	}, small, func(o *Options) { o.Linger = time.Millisecond })
}
