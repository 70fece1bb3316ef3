package relay

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// cemetery keeps letters in memory. It can refuse them, or keep Bury waiting.
type cemetery struct {
	mu      sync.Mutex
	letters []broker.DeadLetter
	refuse  bool
	held    chan struct{}
}

func (c *cemetery) Bury(ctx context.Context, l broker.DeadLetter) error {
	if err := pass(ctx, c.held); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse {
		return errors.New("no room")
	}
	c.letters = append(c.letters, l)
	return nil
}

// Events that cannot be delivered are accounted for and buried once, by whatever way they come: live, by
// a repair, and in pages. One at which the checker panics is such an event.
func TestInvalidEvents(t *testing.T) {
	dead := &cemetery{}
	bubble(t, namespace.Options{Types: []string{"t", "bad", "panic"}}, func(r *rig) {
		x := r.open()
		start := x.Tail()
		var bad []broker.Cursor
		send := func(event string) { bad = append(bad, r.send([]byte(event))) }
		send(`{"type":"bad"}`)
		send(`not json`)
		send(`{"type":"panic"}`)
		send(`{"type":"other"}`)
		good := r.publish(1)
		r.store.ForTest().Drop(channel, 1)
		send(`{"type":"bad"}`) // comes by a repair
		good = append(good, r.publish(1)...)
		send(`{"type":"bad","id":"last"}`)
		synctest.Wait()

		live := x.Pull(start, nil, 1<<16)
		require.Equal(r, good, cursorsOf(live, r))
		require.EqualValues(r, len(bad), live.Skipped)
		var frames []frame
		require.NoError(r, json.Unmarshal(live.Message, &frames))
		require.Equal(r, []uint64{4, 1, 1}, []uint64{frames[0].Skipped, frames[1].Skipped, frames[2].Skipped})
		require.Equal(r, "skip", frames[2].Type)
		require.Equal(r, bad[5], frames[2].Cursor)

		r.publishOf(20, "t", 0) // the log has let go of them
		page, _, err := r.fetch(x, start)
		require.NoError(r, err)
		paged := x.Pull(start, page, 1<<16)
		require.EqualValues(r, len(bad), paged.Skipped)
		require.Equal(r, good, cursorsOf(paged, r)[:2])

		synctest.Wait()
		require.Len(r, dead.letters, len(bad))
		for i, l := range dead.letters {
			require.Equal(r, bad[i], l.Cursor)
			require.Equal(r, channel, l.Channel)
			require.Equal(r, string(wire.CodeInvalidEvent), l.Code)
			require.NotEmpty(r, l.Reason)
			require.NotEmpty(r, l.Event)
		}
		require.EqualValues(r, len(bad), r.hub.Counters().Invalid.Load())
		require.Zero(r, r.hub.Counters().DeadLost.Load())
	}, small, func(o *Options) { o.Dead = dead })
}

// Dead letters that have nowhere to go are counted, and nobody waits for them.
func TestDeadLettersAreBounded(t *testing.T) {
	dead := &cemetery{refuse: true}
	bubble(t, namespace.Options{}, func(r *rig) {
		r.open()
		r.publishOf(3, "bad", 0)
		synctest.Wait()
		require.EqualValues(r, 3, r.hub.Counters().DeadLost.Load())
		dead.held = make(chan struct{})
		r.publishOf(1, "bad", 0)
		synctest.Wait() // the one that is being buried
		r.publishOf(cap(r.hub.letters)+10, "bad", 0)
		require.EqualValues(r, 3+10, r.hub.Counters().DeadLost.Load())
		close(dead.held)
	}, func(o *Options) { o.Dead = dead })
}
