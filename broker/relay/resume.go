package relay

import (
	"context"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// Resume returns the position after a cursor that a client brought, or the reset that it must be told
// (and the position after it). A cursor among the recent events costs no read.
func (r *Relay) Resume(ctx context.Context, c broker.Cursor) (Position, *Reset, error) {
	if pos, ok := r.ResumeRecent(c); ok {
		return pos, nil, nil
	}
	r.mu.Lock()
	pos := r.positionLocked(c)
	head, behind := r.log.head, c.Offset < r.log.floor.Offset
	r.mu.Unlock()
	if behind {
		return r.resumeBehind(ctx, pos)
	}
	// The cursor is newer than what this relay has, or of another lineage: the stream decides.
	page, err := r.hub.read(ctx, r.channel, broker.ReadRequest{From: c.Offset, Limit: 2})
	if err != nil {
		return pos, nil, err
	}
	if page.Cursor.Offset != head.Offset {
		r.observe(page.Head)
	}
	if r.stale(page, pos.lineage) {
		r.observe(page.Head)
		return pos, nil, ErrRetry
	}
	var reset *Reset
	switch verdict := page.Check(c); verdict {
	case broker.Valid:
		return pos, nil, nil
	case broker.Unknown:
		return pos, nil, ErrRetry
	case broker.Forked:
		to, h, err := r.lastShared(ctx, c)
		if err == nil && r.stale(broker.Page{Head: h}, pos.lineage) {
			err = ErrRetry
		}
		if err != nil {
			return pos, nil, err
		}
		reset = &Reset{Reason: verdict, Cursor: to, Head: h.Cursor}
	case broker.Trimmed, broker.Expired:
		reset = &Reset{Reason: verdict, Cursor: resetTo(page.Head), Head: page.Cursor}
	}
	return r.after(pos, reset), reset, nil
}

// resumeBehind is Resume for a cursor from before the recent events. All that come at once share a read.
func (r *Relay) resumeBehind(ctx context.Context, pos Position) (Position, *Reset, error) {
	type answer struct {
		page  *Page
		reset *Reset
		err   error
	}
	ch := make(chan answer, 1)
	r.Fetch(pos, func(page *Page, reset *Reset, err error) { ch <- answer{page, reset, err} })
	var a answer
	select {
	case a = <-ch:
	case <-ctx.Done():
		return pos, nil, ctx.Err()
	}
	switch {
	case a.err != nil:
		return pos, nil, a.err
	case !r.current(pos.lineage):
		return pos, nil, ErrRetry // what was found may be of the lineage before
	case a.page != nil && r.stale(a.page.Page, pos.lineage):
		r.observe(a.page.Head)
		return pos, nil, ErrRetry
	}
	return r.after(pos, a.reset), a.reset, nil
}

// ResumeRecent is Resume for a cursor that the relay itself can vouch for. It does not block.
func (r *Relay) ResumeRecent(c broker.Cursor) (Position, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == opening || !r.log.contains(c) {
		return Position{}, false
	}
	return r.positionLocked(c), true
}

// after moves a position to where a reset sends it.
func (r *Relay) after(pos Position, reset *Reset) Position {
	if reset != nil {
		pos.Cursor = reset.Cursor
	}
	return pos
}

// Rewind returns the position from which a reader receives everything published after t, or the reset
// that it must be told because the channel's retention does not reach back so far.
func (r *Relay) Rewind(ctx context.Context, t time.Time) (Position, *Reset, error) {
	r.mu.Lock()
	pos := r.positionLocked(r.log.head)
	r.mu.Unlock()
	stamp := uint64(max(t.UnixMicro(), 1))
	page, err := r.hub.read(ctx, r.channel, broker.ReadRequest{Since: stamp, Limit: 1})
	if err != nil {
		return pos, nil, err
	}
	if r.stale(page, pos.lineage) {
		r.observe(page.Head)
		return pos, nil, ErrRetry
	}
	pos.Cursor = page.Cursor
	if len(page.Entries) > 0 {
		pos.Cursor = page.Entries[0].Before()
	}
	var reset *Reset
	switch {
	case page.First.IsZero():
		if page.Cursor.Stamp > stamp {
			reset = &Reset{Reason: broker.Trimmed, Cursor: page.Cursor, Head: page.Cursor}
		}
	case page.First.Offset > 1:
		if page.FirstPrev > stamp {
			reset = &Reset{Reason: broker.Trimmed, Cursor: resetTo(page.Head), Head: page.Cursor}
		}
	case page.First.Stamp > stamp && r.hub.now().Sub(t) > r.namespace.TTL:
		// The stream is younger than t, and an older one may have lived and expired since.
		reset = &Reset{Reason: broker.Expired, Cursor: resetTo(page.Head), Head: page.Cursor}
	}
	return r.after(pos, reset), reset, nil
}
