package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// ErrRetry means that the stream is behind this relay, which is about to be repaired; ask again soon.
var ErrRetry = errors.New("channel is being repaired")

// pageEvents is how many offsets a page spans. Pages begin at multiples of it, so that readers who are
// behind by different amounts share them.
const pageEvents = 128

// Page is a run of encoded entries that a reader behind the relay's log goes through. It is immutable.
type Page struct {
	broker.Page
	lineage uint32
	items   []item
	at      time.Time
}

// end returns the offset of the page's last item, 0 when it has none.
func (p *Page) end() uint64 {
	if len(p.items) == 0 {
		return 0
	}
	return p.items[len(p.items)-1].cursor.Offset
}

// after returns the items after c, or nil when the page does not prove that they follow it.
func (p *Page) after(c broker.Cursor) []item {
	if len(p.items) == 0 {
		return nil
	}
	first := p.items[0].cursor.Offset
	if c.Offset+1 < first || c.Offset >= p.end() {
		return nil
	}
	rest := p.items[c.Offset+1-first:]
	if rest[0].cursor.Offset > 1 && rest[0].prev != c.Stamp {
		return nil
	}
	return rest
}

// pageCache keeps the last few pages for readers that come close together, and lets readers who want
// the same page wait for one read.
type pageCache struct {
	recent  [4]*Page
	next    int
	flights map[uint64]*flight // by first offset
}

// pageLife is how long a page may be used. It may lack what was appended meanwhile, never more.
const pageLife = 2 * time.Second

type flight struct {
	waiting []waiter
	reading bool // the read has begun
}

type waiter struct {
	pos  Position
	done func(*Page, *Reset, error)
	// late is set when the read had begun before: its page may be older than the reader's position.
	late bool
}

func (c *pageCache) find(pos Position, now time.Time) *Page {
	for _, p := range c.recent {
		if p != nil && p.lineage == pos.lineage && now.Sub(p.at) < pageLife && p.after(pos.Cursor) != nil {
			return p
		}
	}
	return nil
}

func (c *pageCache) add(p *Page) {
	c.recent[c.next%len(c.recent)] = p
	c.next++
}

func (c *pageCache) clear() { c.recent = [4]*Page{} }

// Fetch gets the page that a reader at pos needs, and calls done with it, with a reset that the reader
// must be told, or with an error (broker.ErrUnavailable, ErrRetry) after which it may try again. done
// is called exactly once, possibly before Fetch returns, and must not block. One read serves all that
// want the same page at the same time.
func (r *Relay) Fetch(pos Position, done func(*Page, *Reset, error)) {
	r.mu.Lock()
	p := r.pages.find(pos, r.hub.now())
	r.mu.Unlock()
	if p != nil {
		done(p, nil, nil)
		return
	}
	r.fly(pos.Cursor.Offset/pageEvents*pageEvents+1, waiter{pos: pos, done: done})
}

// fly has readers wait for the page that begins at start, and reads it unless somebody does already.
func (r *Relay) fly(start uint64, waiting ...waiter) {
	r.mu.Lock()
	if r.pages.flights == nil {
		r.pages.flights = map[uint64]*flight{}
	}
	f, known := r.pages.flights[start]
	if !known {
		f = &flight{}
		r.pages.flights[start] = f
	}
	for _, w := range waiting {
		w.late = f.reading
		f.waiting = append(f.waiting, w)
	}
	r.mu.Unlock()
	if known {
		return
	}
	if !r.hub.spawn(func(ctx context.Context) { r.land(start, r.readPage(ctx, start, f)) }) {
		r.land(start, pageResult{err: broker.ErrUnavailable})
	}
}

type pageResult struct {
	page *Page
	err  error
}

// readPage reads and encodes a page.
func (r *Relay) readPage(ctx context.Context, start uint64, f *flight) pageResult {
	r.mu.Lock()
	f.reading = true
	lineage := r.lineage
	r.mu.Unlock()
	raw, err := r.hub.read(ctx, r.channel, broker.ReadRequest{From: start, Limit: pageEvents})
	if err != nil {
		return pageResult{err: err}
	}
	r.hub.counters.Pages.Add(1)
	p := &Page{Page: raw, lineage: lineage, at: r.hub.now(), items: make([]item, 0, len(raw.Entries))}
	for _, e := range raw.Entries {
		p.items = append(p.items, r.encode(e))
	}
	return pageResult{page: p}
}

// land ends a flight: every reader that waited gets its answer.
func (r *Relay) land(start uint64, result pageResult) {
	r.mu.Lock()
	f := r.pages.flights[start]
	delete(r.pages.flights, start)
	if result.page != nil {
		for i := range result.page.items {
			r.buryLocked(&result.page.items[i])
		}
		r.pages.add(result.page)
	}
	r.mu.Unlock()
	var late []waiter
	for _, w := range f.waiting {
		switch {
		case result.err != nil:
			w.done(nil, nil, result.err)
		case w.late && result.page.after(w.pos.Cursor) == nil:
			late = append(late, w)
		default:
			r.settle(w, result.page)
		}
	}
	if len(late) > 0 {
		r.fly(start, late...)
	}
}

// settle judges one waiting reader against the page that was read for it.
func (r *Relay) settle(w waiter, p *Page) {
	if p.after(w.pos.Cursor) != nil {
		w.done(p, nil, nil)
		return
	}
	if end := p.end(); end > 0 && end <= w.pos.Cursor.Offset && end < p.Cursor.Offset {
		r.fly(end+1, w) // the page was cut short by its bytes
		return
	}
	if w.pos.lineage != p.lineage || r.stale(p.Page, p.lineage) {
		r.observe(p.Head)
		w.done(nil, nil, ErrRetry)
		return
	}
	switch verdict := p.Check(w.pos.Cursor); verdict {
	case broker.Unknown:
		w.done(nil, nil, ErrRetry)
	case broker.Valid:
		r.observe(p.Head)
		w.done(nil, nil, ErrRetry)
	case broker.Forked:
		if !r.hub.spawn(func(ctx context.Context) {
			to, head, err := r.lastShared(ctx, w.pos.Cursor)
			if err == nil && r.stale(broker.Page{Head: head}, p.lineage) {
				err = ErrRetry
			}
			if err != nil {
				w.done(nil, nil, err)
				return
			}
			w.done(nil, &Reset{Reason: verdict, Cursor: to, Head: head.Cursor}, nil)
		}) {
			w.done(nil, nil, broker.ErrUnavailable)
		}
	case broker.Trimmed, broker.Expired:
		w.done(nil, &Reset{Reason: verdict, Cursor: resetTo(p.Head), Head: p.Cursor}, nil)
	}
}

// current reports whether the log has not been cut since it had a lineage.
func (r *Relay) current(lineage uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lineage == lineage
}

// stale reports whether a page shows that the log is of a lineage, or a stream, that has ended, or whether
// the log has been cut since it had the lineage that is given. A reader that is to be reset waits for
// the log's repair first, so as to be reset once.
func (r *Relay) stale(p broker.Page, lineage uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	head := r.log.head
	switch {
	case r.lineage != lineage:
		return true
	case !p.Exists: // the repair opens the stream again
		return true
	case p.First.Offset == 1 && head.Stamp < p.First.Stamp:
		return true
	case p.Cursor.Offset > head.Offset:
		return p.Check(head) == broker.Forked
	default: // the page may be older than the log
		return p.Cursor.Offset >= r.log.floor.Offset && !r.log.contains(p.Cursor)
	}
}

// resetTo returns the cursor after which everything retained comes.
func resetTo(h broker.Head) broker.Cursor {
	if c := h.Oldest(); !c.IsZero() {
		return c
	}
	return h.First // the genesis entry, which is not delivered
}

// lastShared finds where the stream and the lineage of a foreign cursor part: stamps strictly increase,
// and what was appended after a failover has greater stamps than what was lost in it.
func (r *Relay) lastShared(ctx context.Context, c broker.Cursor) (to broker.Cursor, head broker.Head, err error) {
	page, err := r.hub.read(ctx, r.channel, broker.ReadRequest{Since: c.Stamp, Limit: 1})
	if err != nil {
		return to, head, err
	}
	if !page.Exists {
		return to, head, fmt.Errorf("find shared entry of %s: %w", r.channel, ErrRetry)
	}
	to = page.Cursor
	if len(page.Entries) > 0 {
		to = page.Entries[0].Before()
	}
	if to.Offset >= c.Offset && c.Offset > 0 {
		// The clocks disagree. Everything from the cursor's offset on may be foreign to the reader.
		before, err := r.hub.read(ctx, r.channel, broker.ReadRequest{Before: c.Offset, Limit: 1})
		if err != nil {
			return to, head, err
		}
		if !before.Exists {
			return to, head, fmt.Errorf("find shared entry of %s: %w", r.channel, ErrRetry)
		}
		page = before
		if to = resetTo(before.Head); len(before.Entries) > 0 {
			to = before.Entries[0].Cursor
		}
	}
	if to.Offset < page.Head.Oldest().Offset || to.IsZero() {
		to = resetTo(page.Head)
	}
	return to, page.Head, nil
}
