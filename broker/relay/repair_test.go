package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// Entries held since the stream was read may contradict what was read: the stream is read again.
func TestForkWhileRepairing(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		f := r.store.ForTest()
		f.Drop(channel, 3)
		r.publish(3)
		r.gate.holdAfter()
		f.Audit()
		synctest.Wait() // the repair has read the stream, and cannot take it in
		f.Fork(channel, 2)
		fresh := r.publish(1)[0]
		synctest.Wait()
		r.gate.release()
		synctest.Wait()
		require.Equal(r, fresh, x.Head(), "without waiting for the next audit")
		require.EqualValues(r, 1, r.hub.Counters().Cuts.Load())
	})
}

// A head that is told while the stream is being read, or the channel opened, is not forgotten.
func TestHeadWhileRepairing(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		f := r.store.ForTest()
		r.gate.holdSubscribes()
		opened := make(chan *Relay)
		go func() { opened <- r.open() }()
		synctest.Wait()
		f.Drop(channel, 1)
		c := r.publish(1)[0]
		f.Audit()
		r.gate.release()
		x := <-opened
		synctest.Wait()
		require.Equal(r, c, x.Head(), "told while opening")

		f.Drop(channel, 1)
		r.publish(1)
		r.gate.holdAfter()
		f.Audit()
		synctest.Wait()
		f.Drop(channel, 1)
		c = r.publish(1)[0]
		f.Audit()
		r.gate.release()
		synctest.Wait()
		require.Equal(r, c, x.Head(), "told while repairing")
	})
}

// More entries than a relay holds while it reads are read.
func TestPendingOverflows(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		f := r.store.ForTest()
		f.Drop(channel, 1)
		r.publish(1)
		r.gate.holdAfter()
		f.Audit()
		synctest.Wait()
		cursors := r.publish(3*maxPending + 7)
		require.Len(r, x.pending, maxPending)
		r.gate.release()
		synctest.Wait()
		require.Equal(r, cursors[len(cursors)-1], x.Head())
		require.Empty(r, x.pending)
		require.Zero(r, r.hub.Counters().Cuts.Load())
	})
}

// A repair that finds the store away goes on by itself when it is back.
func TestOutageWhileRepairing(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		f := r.store.ForTest()
		r.gate.holdBefore()
		f.Drop(channel, 1)
		cursors := r.publish(2) // the second rings: a gap
		synctest.Wait()
		f.Cut(r.own)
		r.gate.release()
		r.rest()
		require.NotEqual(r, cursors[1], x.Head())
		n := r.hub.Counters()
		require.NotZero(r, n.Failed.Load())
		require.Zero(r, n.Repairs.Load(), "it is not done")
		require.EqualValues(r, 1, n.Repairing.Load())
		f.Heal(r.own)
		start := time.Now()
		for x.Head() != cursors[1] && time.Since(start) < 5*time.Second {
			time.Sleep(10 * time.Millisecond) // the bubble's clock
		}
		require.Equal(r, cursors[1], x.Head())
		require.EqualValues(r, 1, n.Repairs.Load())
		synctest.Wait()
		require.Zero(r, n.Repairing.Load())
	})
}

// A tail that the stream has lost without a word is found by the audit, also when the stream's head is
// one that the relay knows, and nothing is published.
func TestQuietForks(t *testing.T) {
	for _, again := range []int{0, 1, 2, 3} { // entries appended after the loss of 2, unheard
		bubble(t, namespace.Options{}, func(r *rig) {
			x := r.open()
			cursors := r.publish(5)
			f := r.store.ForTest()
			r.rest()
			f.Fork(channel, 2)
			f.Drop(channel, again)
			fresh := r.publish(again)
			pos := at(x, cursors[4])
			r.rest()
			head, _ := r.stream()
			require.Equal(r, head.Cursor, x.Head())
			b := x.Pull(pos, nil, 1000)
			require.Equal(r, &Reset{Reason: broker.Forked, Cursor: cursors[2], Head: head.Cursor}, b.Reset)
			require.ElementsMatch(r, fresh, cursorsOf(x.Pull(b.Next, nil, 1<<16), r))
		})
	}
}

// Heads that are a little old, as audits of a busy channel are, start no repair.
func TestOldHeadsAreNoDoubt(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		for range 50 {
			old, _ := r.stream()
			r.publish(3)
			time.Sleep(100 * time.Millisecond) // the bubble's clock
			r.hub.Head(channel, old)
			synctest.Wait()
		}
		require.Zero(r, r.hub.Counters().Repairs.Load())
		_ = x
	})
}
