package redisbroker

import (
	"context"
	"fmt"
	"math"

	"github.com/tallywire/tallywire/broker"
)

// read implements [Broker.Read].
func (b *shard) read(ctx context.Context, channel string, r broker.ReadRequest) (broker.Page, error) {
	r = r.WithDefaults()
	mode, at := "from", r.From
	switch {
	case r.Since != 0:
		mode, at = "since", r.Since
	case r.Before != 0:
		mode, at = "before", r.Before
	}
	// The functions count in doubles; nothing was ever appended beyond what they can.
	at = min(at, maxExact)
	reply, err := b.call(ctx, "FCALL_RO", "tw_read", 1, b.key(channel), mode, at, r.Limit, min(r.MaxBytes, maxPageBytes))
	if err != nil {
		return broker.Page{}, fmt.Errorf("read %s: %w", channel, err)
	}
	page, err := parsePage(reply)
	if err != nil {
		return broker.Page{}, fmt.Errorf("read %s: %w", channel, err)
	}
	return page, nil
}

const (
	maxExact     = 1<<53 - 1
	maxPageBytes = 64 << 20
)

// open asks for a channel's head; the stream is opened where there is none.
func (b *shard) open(ctx context.Context, channel string) (broker.Head, error) {
	reply, err := b.call(ctx, "FCALL", "tw_open", 1, b.key(channel))
	if err != nil {
		return broker.Head{}, err
	}
	return parseHead(reply)
}

func parsePage(reply any) (broker.Page, error) {
	list, _ := reply.([]any)
	if len(list) < 3 || len(list)%3 != 0 {
		return broker.Page{}, unexpected("a page")
	}
	head, err := parseHead(list[:3])
	if err != nil {
		return broker.Page{}, err
	}
	p := broker.Page{Head: head}
	if len(list) > 3 {
		p.Entries = make([]broker.Entry, 0, len(list)/3-1)
	}
	for i := 3; i < len(list); i += 3 {
		id, _ := list[i].(string)
		event, _ := list[i+1].(string)
		before, _ := list[i+2].(string)
		e := broker.Entry{Event: []byte(event)}
		if e.Cursor, err = broker.ParseCursor(id); err != nil {
			return broker.Page{}, unexpected("entry " + id)
		}
		var ok bool
		if e.Prev, ok = parseUint([]byte(before)); !ok {
			return broker.Page{}, unexpected("entry " + id)
		}
		p.Entries = append(p.Entries, e)
	}
	return p, nil
}

// parseHead reads [last id ever, oldest retained id, stamp before that].
func parseHead(reply any) (h broker.Head, err error) {
	list, _ := reply.([]any)
	if len(list) != 3 {
		return h, unexpected("a head")
	}
	last, _ := list[0].(string)
	first, _ := list[1].(string)
	before, _ := list[2].(string)
	if last == "" {
		return h, nil
	}
	h.Exists = true
	if h.Cursor, err = broker.ParseCursor(last); err != nil {
		return broker.Head{}, unexpected("head " + last)
	}
	if first == "" {
		return h, nil
	}
	if h.First, err = broker.ParseCursor(first); err != nil {
		return broker.Head{}, unexpected("head " + first)
	}
	var ok bool
	if h.FirstPrev, ok = parseUint([]byte(before)); !ok {
		return broker.Head{}, unexpected("head " + first)
	}
	return h, nil
}

// unexpected is the error for a stream that somebody else has written into: repeating will not help.
func unexpected(what string) error {
	return fmt.Errorf("%w: %w: %s", broker.ErrRefused, errUnexpected, what)
}

// parseUint reads a decimal number without allocating.
func parseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
