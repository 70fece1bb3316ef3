package membroker

import (
	"context"
	"fmt"
	"sort"

	"github.com/tallywire/tallywire/broker"
)

// Read implements [broker.Broker]. A page holds the genesis entry when it covers it.
func (b *Broker) Read(ctx context.Context, name string, r broker.ReadRequest) (broker.Page, error) {
	if err := b.usable(ctx); err != nil {
		return broker.Page{}, fmt.Errorf("read %s: %w", name, err)
	}
	c := b.store.find(name)
	if c == nil {
		return broker.Page{}, nil
	}
	return c.read(r.WithDefaults()), nil
}

func (c *channel) read(r broker.ReadRequest) broker.Page {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(c.store.now())
	p := broker.Page{Head: c.head()}
	from, to := c.span(r)
	if from < to {
		p.Entries = make([]broker.Entry, 0, to-from)
		for i := from; i < to; i++ {
			p.Entries = append(p.Entries, *c.log.at(i))
		}
	}
	return p
}

// span returns the places in the log, from inclusive to exclusive, that r asks for. The caller holds mu.
func (c *channel) span(r broker.ReadRequest) (from, to int) {
	if r.Before != 0 {
		to = c.place(r.Before)
		from = max(0, to-r.Limit)
		size := 0
		for i := to - 1; i >= from; i-- {
			if size += len(c.log.at(i).Event); size > r.MaxBytes && i < to-1 {
				return i + 1, to
			}
		}
		return from, to
	}
	if r.Since != 0 {
		from = sort.Search(c.log.n, func(i int) bool { return c.log.at(i).Cursor.Stamp > r.Since })
	} else {
		from = c.place(r.From)
	}
	to = min(from+r.Limit, c.log.n)
	size := 0
	for i := from; i < to; i++ {
		if size += len(c.log.at(i).Event); size > r.MaxBytes && i > from {
			return from, i
		}
	}
	return from, to
}

// place returns the place of the first retained entry whose offset is at least offset.
func (c *channel) place(offset uint64) int {
	if c.log.n == 0 {
		return 0
	}
	first := c.log.at(0).Cursor.Offset
	if offset <= first {
		return 0
	}
	return int(min(offset-first, uint64(c.log.n))) //nolint:gosec // n counts entries in memory
}
