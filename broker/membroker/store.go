package membroker

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// Defaults of Options.
const (
	DefaultMaxQueue    = 4096
	DefaultMaxChannels = 1_000_000
	DefaultMaxBytes    = 1 << 30
	DefaultMaxSeen     = 100_000
	DefaultAudit       = 5 * time.Second
)

// How long streams stay that the namespace's TTL does not keep.
const (
	// GenesisTTL is the life of a stream that nobody subscribes and nothing was ever published to.
	GenesisTTL = 10 * time.Minute
	// KeepLeast is the least that is left to a stream when its last subscriber goes; it is the
	// namespace's TTL where that is longer, but no more than GenesisTTL.
	KeepLeast = time.Minute
)

// Options configure a Store. The zero value of a field means its default.
type Options struct {
	// Namespaces holds retention and idempotency windows; nil means the defaults everywhere.
	Namespaces *namespace.Table
	// Clock is the store's clock; nil means the system's, which then never steps back.
	Clock func() time.Time
	// MaxQueue bounds the publishes that wait for one channel's turn; more get ErrOverloaded.
	MaxQueue int
	// MaxChannels bounds the channels held; creating more gives ErrRefused.
	MaxChannels int
	// MaxBytes bounds the retained events, bookkeeping included; a publish beyond it gives ErrRefused.
	MaxBytes int64
	// MaxSeen bounds the event ids remembered per channel. The oldest is forgotten before its window
	// has passed, which Stats counts.
	MaxSeen int
	// Audit is the mean time between two tellings of the subscribed channels' heads, and between two
	// sweeps of what has expired.
	Audit time.Duration
}

func (o Options) withDefaults() Options {
	if o.Namespaces == nil {
		o.Namespaces, _ = namespace.NewTable(nil) // defaults are valid
	}
	if o.Clock == nil {
		start := time.Now()
		o.Clock = func() time.Time { return start.Add(time.Since(start)) }
	}
	if o.MaxQueue <= 0 {
		o.MaxQueue = DefaultMaxQueue
	}
	if o.MaxChannels <= 0 {
		o.MaxChannels = DefaultMaxChannels
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxSeen <= 0 {
		o.MaxSeen = DefaultMaxSeen
	}
	if o.Audit <= 0 {
		o.Audit = DefaultAudit
	}
	return o
}

// Store holds the logs of all channels. Several brokers may share it, as several gateways share a Redis.
type Store struct {
	o    Options      // static
	seed maphash.Seed // static

	channels atomic.Int64 // entries in all shards
	bytes    atomic.Int64 // cost of all retained entries
	outage   atomic.Bool  // set by Faults only

	shards [64]shard

	brokersMu sync.Mutex
	brokers   []*Broker // guarded by brokersMu; those that have not ended
}

// shard is a part of the channels. Lock order: channel.turn, shard.mu, channel.mu.
type shard struct {
	mu       sync.RWMutex
	channels map[string]*channel
	retired  counters // of channels that are gone
}

// NewStore returns an empty store. It has no goroutines of its own: brokers' Run does the sweeping.
func NewStore(o Options) *Store {
	s := &Store{o: o.withDefaults(), seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].channels = make(map[string]*channel)
	}
	return s
}

// Broker returns a new broker over the store.
func (s *Store) Broker() *Broker {
	b := &Broker{store: s, wake: make(chan struct{}, 1)}
	s.brokersMu.Lock()
	defer s.brokersMu.Unlock()
	s.brokers = append(s.brokers, b)
	return b
}

// now returns the store's time in microseconds.
func (s *Store) now() int64 { return s.o.Clock().UnixMicro() }

func (s *Store) shard(name string) *shard {
	return &s.shards[maphash.String(s.seed, name)%uint64(len(s.shards))]
}

// find returns the channel, or nil.
func (s *Store) find(name string) *channel {
	sh := s.shard(name)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.channels[name]
}

// obtain returns the channel, created if need be.
func (s *Store) obtain(name string) (*channel, error) {
	if c := s.find(name); c != nil {
		return c, nil
	}
	sh := s.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c := sh.channels[name]; c != nil {
		return c, nil
	}
	if s.channels.Add(1) > int64(s.o.MaxChannels) {
		s.channels.Add(-1)
		return nil, fmt.Errorf("open %s: %d channels is the limit: %w", name, s.o.MaxChannels, broker.ErrRefused)
	}
	c := &channel{store: s, name: name, opts: s.o.Namespaces.For(name)}
	sh.channels[name] = c
	return c, nil
}

// all calls f for every channel, holding no lock.
func (s *Store) all(f func(*channel)) {
	var batch []*channel
	for i := range s.shards {
		sh := &s.shards[i]
		batch = batch[:0]
		sh.mu.RLock()
		for _, c := range sh.channels {
			batch = append(batch, c)
		}
		sh.mu.RUnlock()
		for _, c := range batch {
			f(c)
		}
	}
	clear(batch)
}

// sweep frees what has expired: ids, logs, and channels without either.
func (s *Store) sweep() {
	now := s.now()
	s.all(func(c *channel) {
		if c.idle(now) {
			s.remove(c, now)
		}
	})
}

func (s *Store) remove(c *channel, now int64) {
	sh := s.shard(c.name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n, ok := c.retire(now); ok {
		delete(sh.channels, c.name)
		sh.retired.add(n)
		s.channels.Add(-1)
	}
}
