package mempresence

import (
	"fmt"
	"sync"
	"time"

	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/internal/engine"
)

// Defaults of StoreOptions, and how long things stay that nobody needs for now.
const (
	DefaultMaxQueue = 4096

	versionTTL = 24 * time.Hour   // the version of an empty channel
	fenceTTL   = time.Hour        // refusal of a reaped incarnation
	movedTTL   = 10 * time.Minute // claims that were replaced
	movedKept  = 16
	sweepEvery = time.Minute
)

// StoreOptions configure a Store. The zero value of a field means its default.
type StoreOptions struct {
	// Clock is the store's clock; nil means the system's, which then never steps back.
	Clock func() time.Time
	// MaxQueue bounds the changes that wait for one tracker's sink; where more come, they are dropped and
	// the sink is told that every channel is stale.
	MaxQueue int
}

// Store holds the presence of all channels. It has no goroutines of its own.
type Store struct {
	clock    func() time.Time // static
	maxQueue int              // static

	mu       sync.Mutex // protects following
	trackers []*view
	channels map[string]*channel
	users    map[string]map[string]stored // by user, then session
	index    map[engine.Owner]engine.Indexed
	leases   map[string]lease // by gateway
	lists    map[engine.Owner]map[string]bool
	closed   map[engine.Owner]time.Time // until when
	swept    time.Time
}

type lease struct {
	owner              engine.Owner
	refreshed, expires time.Time
	info               []byte
}

type stored struct {
	engine.StoredSession
	expires time.Time
}

// NewStore returns an empty store.
func NewStore(o StoreOptions) *Store {
	if o.Clock == nil {
		start := time.Now()
		o.Clock = func() time.Time { return start.Add(time.Since(start)) }
	}
	if o.MaxQueue <= 0 {
		o.MaxQueue = DefaultMaxQueue
	}
	return &Store{
		clock: o.Clock, maxQueue: o.MaxQueue,
		channels: map[string]*channel{}, users: map[string]map[string]stored{},
		index: map[engine.Owner]engine.Indexed{}, leases: map[string]lease{},
		lists: map[engine.Owner]map[string]bool{}, closed: map[engine.Owner]time.Time{},
	}
}

// Tracker returns a new tracker over the store.
func (s *Store) Tracker(o presence.Options) (*Tracker, error) {
	v := &view{Store: s, queue: make(chan presence.Change, s.maxQueue), recount: make(chan struct{}, 1)}
	e, err := engine.New(v, o)
	if err != nil {
		return nil, fmt.Errorf("mempresence: %w", err)
	}
	return &Tracker{Engine: e, view: v}, nil
}

// sweepLocked frees what has expired, from time to time.
func (s *Store) sweepLocked(now time.Time) {
	if now.Sub(s.swept) < sweepEvery {
		return
	}
	s.swept = now
	for o, until := range s.closed {
		if now.After(until) {
			delete(s.closed, o)
		}
	}
	for user, sessions := range s.users {
		for id, x := range sessions {
			if now.After(x.expires) {
				delete(sessions, id)
			}
		}
		if len(sessions) == 0 {
			delete(s.users, user)
		}
	}
	for name, c := range s.channels {
		if c.sweep(now) {
			delete(s.channels, name)
		}
	}
}

// channelLocked returns a channel, made if need be.
func (s *Store) channelLocked(name string) *channel {
	c := s.channels[name]
	if c == nil {
		c = newChannel(name)
		s.channels[name] = c
	}
	return c
}

// publishLocked gives a change to every tracker.
func (s *Store) publishLocked(c presence.Change) {
	for _, v := range s.trackers {
		v.tell(c)
	}
}
