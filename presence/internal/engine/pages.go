package engine

import (
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/presence"
)

// cachedPages bounds the answers kept for an outage; each has at most presence.MaxPageBytes and a little.
const cachedPages = 128

// pages keeps answers for when the store is away. It is safe for concurrent use.
type pages struct {
	cache *lru.Cache[pageKey, presence.Page]
}

type pageKey struct {
	channel string
	request presence.PageRequest
}

func newPages() *pages {
	cache, err := lru.New[pageKey, presence.Page](cachedPages)
	if err != nil {
		panic(err) // the size is positive
	}
	return &pages{cache}
}

// put keeps an answer that was asked for at a time.
func (p *pages) put(channel string, r presence.PageRequest, page presence.Page, asked time.Time) {
	page.StaleSince = asked
	p.cache.Add(pageKey{channel, r}, page)
}

func (p *pages) get(channel string, r presence.PageRequest) (presence.Page, bool) {
	return p.cache.Get(pageKey{channel, r})
}

func checkPage(channel string, r presence.PageRequest) error {
	if err := events.ValidateChannel(channel); err != nil {
		return err
	}
	if len(r.After) > presence.MaxUser {
		return fmt.Errorf("%w: after: at most %d bytes", presence.ErrInvalid, presence.MaxUser)
	}
	return nil
}
