package relay

import (
	"github.com/tallywire/tallywire/gateway/wire"
)

// Batch is what a reader gets from a Pull.
type Batch struct {
	// Message is a JSON array of frames, or nil when there is nothing to write. It is shared by all
	// readers at the same position and must not be changed.
	Message []byte
	// Framed is Message as the transport frames it (Options.Framing), or nil.
	Framed []byte
	// Next is the reader's position once Message is written.
	Next Position
	// Events is how many events Message delivers, Skipped how many it accounts for without delivering.
	Events  int
	Skipped uint64
	// Lost is how many signals the reader has missed.
	Lost uint64
	// Reset, when set, must be told to the reader before what follows; Message is nil then.
	Reset *Reset
	// Behind is set when the reader must Fetch before it can go on.
	Behind bool
	// More is set when there is more after Next.
	More bool
	// final is set when the batch stays right however the log grows: it ends at its size limit, or at
	// the end of a page.
	final bool
}

// cachedBatch is a batch that other readers at the same position can use.
type cachedBatch struct {
	from  Position
	limit int
	batch Batch
}

// Pull returns what comes after pos, at most about limit bytes (at least one event). page, when not
// nil, is what Fetch returned for this position.
func (r *Relay) Pull(pos Position, page *Page, limit int) Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	if pos.lineage != r.lineage {
		if b, stop := r.cutLocked(&pos); stop {
			return b
		}
	}
	if pos.Cursor == r.log.head && pos.signals == r.signalSeq {
		return Batch{Next: pos}
	}
	for i := range r.batches {
		c := &r.batches[i]
		if c.from != pos || c.limit != limit {
			continue
		}
		news := c.batch.Next.Cursor != r.log.head || c.batch.Next.signals != r.signalSeq
		if c.batch.final || !news {
			b := c.batch
			b.More = news // since there may be more than there was when it was built
			return b
		}
	}
	items, behind := r.itemsLocked(pos, page)
	if behind {
		return Batch{Next: pos, Behind: true}
	}
	b := r.buildLocked(pos, items, limit)
	b.final = b.final || pos.Cursor.Offset < r.log.floor.Offset
	r.batches[r.nextBatch%len(r.batches)] = cachedBatch{from: pos, limit: limit, batch: b}
	r.nextBatch++
	return b
}

// cutLocked brings a position of an older lineage up to date. stop is set when the batch is the answer.
func (r *Relay) cutLocked(pos *Position) (b Batch, stop bool) {
	missed := r.lineage - pos.lineage
	if int(missed) > len(r.cuts) {
		// Too many cuts ago to tell: the stream decides.
		pos.lineage = r.lineage
		return Batch{Next: *pos, Behind: true}, true
	}
	var reset *Reset
	to := pos.Cursor
	for _, cut := range r.cuts[len(r.cuts)-int(missed):] {
		if cut.concerns(to) {
			to = cut.shared
			reset = &Reset{Reason: cut.reason, Cursor: to, Head: r.log.head}
		}
	}
	pos.Cursor, pos.lineage = to, r.lineage
	return Batch{Next: *pos, Reset: reset}, reset != nil
}

// itemsLocked returns the items after pos, from the log or from the page.
func (r *Relay) itemsLocked(pos Position, page *Page) (items []item, behind bool) {
	if o := pos.Cursor.Offset; o >= r.log.floor.Offset && o <= r.log.head.Offset {
		if !r.log.contains(pos.Cursor) {
			return nil, true // not of this log: the stream decides
		}
		return r.log.after(o), false
	}
	// Behind the log, or ahead of it: resumed at an entry that this relay has not received. It may never
	// come, if the stream loses it first; so that too is for the stream to say.
	if page == nil || page.lineage != r.lineage {
		return nil, true
	}
	items = page.after(pos.Cursor)
	return items, len(items) == 0
}

// buildLocked encodes a batch from the items after pos.
func (r *Relay) buildLocked(pos Position, items []item, limit int) Batch {
	b := Batch{Next: pos}
	size := 2
	n := 0
	for ; n < len(items) && (n == 0 || size+len(items[n].frame)+24 <= limit); n++ {
		size += len(items[n].frame) + 24
	}
	b.final = n < len(items)
	if n == 1 && items[0].frame != nil && pos.signals == r.signalSeq {
		b.Message, b.Framed, b.Events = items[0].alone, items[0].framed, 1
		b.Next.Cursor = items[0].cursor
		b.More = items[0].cursor != r.log.head
		return b
	}
	b.More = b.final || (n > 0 && items[n-1].cursor != r.log.head)
	keep := func(int) bool { return true }
	if r.latest && n > 1 {
		keep = newest(items[:n])
	}
	framing := r.hub.options.Framing
	buf := make([]byte, headroom, headroom+size)
	buf = append(buf, '[')
	var skipped uint64
	for i := range items[:n] {
		it := &items[i]
		b.Next.Cursor = it.cursor
		if it.kind == kindNone || !keep(i) {
			skipped += it.skipped
			if it.kind != kindNone {
				skipped++
			}
			continue
		}
		buf = append(buf, it.frame...)
		buf = wire.AppendEventClose(buf, skipped)
		buf = append(buf, ',')
		b.Events++
		b.Skipped += skipped
		skipped = 0
	}
	if skipped > 0 {
		buf = wire.AppendSkip(buf, r.channel, b.Next.Cursor, skipped)
		buf = append(buf, ',')
		b.Skipped += skipped
	}
	buf = r.appendSignalsLocked(buf, &b)
	if len(buf) == headroom+1 {
		return b // nothing but entries that are not told
	}
	buf[len(buf)-1] = ']'
	b.Message = buf[headroom:]
	if framing != nil {
		h := framing(buf[:headroom], len(b.Message))
		b.Framed = buf[headroom-h:]
	}
	return b
}

// headroom is the space before a message where Options.Framing may put the transport's header.
const headroom = 16

// appendSignalsLocked appends the signals that the reader has not had.
func (r *Relay) appendSignalsLocked(buf []byte, b *Batch) []byte {
	from := b.Next.signals
	if r.signalSeq-from > maxSignals {
		b.Lost = r.signalSeq - maxSignals - from
		from = r.signalSeq - maxSignals
	}
	for seq := from + 1; seq <= r.signalSeq; seq++ {
		buf = append(buf, r.signals[seq%maxSignals]...)
		buf = append(buf, ',')
	}
	b.Next.signals = r.signalSeq
	return buf
}

// newest returns which of the items a conflating reader gets: the last of each subject, and all that
// are terminal.
func newest(items []item) func(int) bool {
	keep := make([]bool, len(items))
	seen := make(map[string]struct{}, 16)
	for i := len(items) - 1; i >= 0; i-- {
		switch it := &items[i]; it.kind {
		case kindTerminal:
			keep[i] = true
		case kindEvent:
			if _, ok := seen[it.subject]; !ok {
				seen[it.subject] = struct{}{}
				keep[i] = true
			}
		case kindNone:
		}
	}
	return func(i int) bool { return keep[i] }
}
