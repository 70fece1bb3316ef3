package engine

import (
	"context"
	"fmt"

	"github.com/tallywire/tallywire/presence"
)

// use is what this gateway has to do with a channel. It is guarded by Engine.mu.
type use struct {
	entries int  // of the table, and adoptions under way
	listed  bool // under the current incarnation
	asked   bool // take has seen it
}

const listChunk = 500

// useLocked counts entries of a channel. A channel without any is unlisted by and by.
func (e *Engine) useLocked(channel string, n int) {
	if channel == "" {
		return
	}
	u := e.lists[channel]
	if u == nil {
		u = &use{}
		e.lists[channel] = u
	}
	u.entries += n
}

// lockLists waits for the right to change lists: additions and removals must reach the store in the
// order in which they were decided.
func (e *Engine) lockLists(ctx context.Context) error {
	select {
	case e.listing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", presence.ErrUnavailable, ctx.Err())
	}
}

func (e *Engine) unlockLists() { <-e.listing }

// list lists channels under the current incarnation. Nobody else unlists channels that are in use.
func (e *Engine) list(ctx context.Context, owner Owner, channels []string) error {
	if len(channels) == 0 {
		return nil
	}
	ctx, cancel := e.within(ctx)
	defer cancel()
	if err := e.lockLists(ctx); err != nil {
		return err
	}
	defer e.unlockLists()
	for len(channels) > 0 {
		n := min(listChunk, len(channels))
		ok, err := e.store.List(ctx, owner, channels[:n], nil)
		if err != nil {
			return err
		}
		if !ok {
			poke(e.suspect)
			return fmt.Errorf("%w: %w", presence.ErrUnavailable, errVoid)
		}
		e.mu.Lock()
		for _, c := range channels[:n] {
			if u := e.lists[c]; u != nil && e.owner == owner {
				u.listed = true
			}
		}
		e.mu.Unlock()
		channels = channels[n:]
	}
	return nil
}

// unlist takes the channels from the list in which nothing of this gateway is left.
func (e *Engine) unlist(ctx context.Context, owner Owner) error {
	e.mu.Lock()
	tidy := e.tidy
	e.tidy = false
	e.mu.Unlock()
	if !tidy {
		return nil
	}
	ctx, cancel := e.within(ctx)
	defer cancel()
	if err := e.lockLists(ctx); err != nil {
		return err
	}
	defer e.unlockLists()
	idle := e.takeIdle()
	for len(idle) > 0 {
		n := min(listChunk, len(idle))
		// Where it fails, the list names more than there is, which costs a reaper a look.
		if _, err := e.store.List(ctx, owner, nil, idle[:n]); err != nil {
			return err
		}
		idle = idle[n:]
	}
	return nil
}

// takeIdle forgets the channels that are not in use and returns those that were listed.
func (e *Engine) takeIdle() (listed []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for channel, u := range e.lists {
		if _, waiting := e.due.at[channel]; u.entries > 0 || waiting {
			continue
		}
		if u.listed {
			listed = append(listed, channel)
		}
		delete(e.lists, channel)
	}
	return listed
}
