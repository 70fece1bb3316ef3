package relay

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// at returns a position as Resume would.
func at(x *Relay, c broker.Cursor) Position {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.positionLocked(c)
}

// A page that its bytes end at the very place where a reader stands leads on to the next one.
func TestPageEndsWhereTheReaderStands(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publishOf(20, "t", 50_000)
		for i, c := range cursors[:11] {
			page, reset, err := r.fetch(x, at(x, c))
			require.NoError(r, err, i)
			require.Nil(r, reset)
			require.Equal(r, cursors[i+1], page.after(c)[0].cursor)
		}
	}, small)
}

// A reader that joins a read which has begun before its own place was appended is not judged by it.
func TestLateToAFlight(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(20)
		type answer struct {
			page  *Page
			reset *Reset
			err   error
		}
		answers := make(chan answer, 101)
		done := func(p *Page, reset *Reset, err error) { answers <- answer{p, reset, err} }
		r.gate.holdAfter()
		x.Fetch(at(x, cursors[3]), done)
		synctest.Wait()
		cursors = append(cursors, r.publish(20)...)
		for range 100 {
			x.Fetch(at(x, cursors[29]), done)
		}
		r.gate.release()
		for range 101 {
			a := <-answers
			require.NoError(r, a.err)
			require.Nil(r, a.reset, "in a stream that has lost nothing")
			require.NotNil(r, a.page)
		}
		require.Equal(r, 2, r.gate.count(), "all that were late share the next read")
	}, small)
}

// While a stream is gone, readers behind wait; then they are reset once, to where the new one begins.
func TestStreamIsGone(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(20)
		pos := at(x, cursors[3])
		r.store.ForTest().Delete(channel)
		_, reset, err := r.fetch(x, pos)
		require.ErrorIs(r, err, ErrRetry)
		require.Nil(r, reset)
		_, reset, err = x.Resume(r.Context(), broker.Cursor{Offset: 99, Stamp: 1})
		if err == nil { // the repair has been faster
			require.False(r, reset.Cursor.IsZero())
		} else {
			require.ErrorIs(r, err, ErrRetry)
		}
		synctest.Wait()
		head, _ := r.stream()
		require.True(r, head.Exists, "the fetch has had the relay look, and open the stream again")
		b := x.Pull(pos, nil, 1000)
		require.Equal(r, &Reset{Reason: broker.Expired, Cursor: head.Cursor, Head: head.Cursor}, b.Reset)
	}, small)
}

// However many readers are behind, and at whatever places, a page is read once.
func TestOnePageForAll(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		cursors := r.publish(400)
		x := r.open()
		r.gate.holdBefore()
		const readers = 5000
		done := make(chan error, readers)
		for i := range readers {
			c := cursors[len(cursors)-101+i%100]
			go func() {
				pos, reset, err := x.Resume(r.Context(), c)
				if err == nil && (reset != nil || pos.Cursor != c) {
					err = fmt.Errorf("resumed at %s instead of %s: %v", pos.Cursor, c, reset)
				}
				done <- err
			}()
		}
		synctest.Wait()
		r.gate.release()
		for range readers {
			require.NoError(r, <-done)
		}
		require.LessOrEqual(r, r.gate.count(), 2)
		for i := range readers {
			c := cursors[len(cursors)-101+i%100]
			page, reset, err := r.fetch(x, at(x, c))
			require.NoError(r, err)
			require.Nil(r, reset)
			require.NotEmpty(r, page.after(c))
		}
		require.LessOrEqual(r, r.gate.count(), 2, "and it is kept for a moment")
	})
}

// A fetch is answered when the store is away, and when the hub has ended.
func TestFetchWithoutAStore(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(20)
		r.store.ForTest().Cut(r.own)
		_, _, err := r.fetch(x, at(x, cursors[0]))
		require.ErrorIs(r, err, broker.ErrUnavailable)
		r.store.ForTest().Heal(r.own)
		_, _, err = r.fetch(x, at(x, cursors[0]))
		require.NoError(r, err)
		r.rest() // the page is not kept for ever
		r.stop()
		_, _, err = r.fetch(x, at(x, cursors[0]))
		require.ErrorIs(r, err, broker.ErrUnavailable)
		_, err = r.hub.Acquire(r.Context(), "jobs:2")
		require.ErrorIs(r, err, broker.ErrUnavailable)
	}, small)
}
