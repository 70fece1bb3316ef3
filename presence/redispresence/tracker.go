package redispresence

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/internal/redisfn"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/internal/engine"
)

//go:embed functions/tallywire_presence.lua
var librarySource string

// LibraryName is the library's name in Redis.
const LibraryName = "tallywire_presence"

// Tracker is one gateway's part in the presence that Redis keeps. It implements [presence.Tracker] and
// [presence.Directory]; all methods are safe for concurrent use. The client stays the caller's, who closes
// it after Run has returned.
type Tracker struct {
	*engine.Engine
	store *store // static
}

var (
	_ presence.Tracker   = (*Tracker)(nil)
	_ presence.Directory = (*Tracker)(nil)
)

// New returns a tracker that works over client; nothing is dialled yet. A client that repeats commands by
// itself does no harm.
func New(client redis.UniversalClient, options Options) (*Tracker, error) {
	if err := options.fill(); err != nil {
		return nil, fmt.Errorf("redispresence: %w", err)
	}
	source := librarySource
	if _, cluster := client.(*redis.ClusterClient); cluster {
		source = redisfn.SetLine(source, "sharded", "local SHARDED = true")
	}
	s := &store{
		client: client, prefix: options.Prefix,
		library: redisfn.New(client, LibraryName, source, options.Timeout),
	}
	e, err := engine.New(s, options.Options)
	if err != nil {
		return nil, fmt.Errorf("redispresence: %w", err)
	}
	return &Tracker{Engine: e, store: s}, nil
}

// Hear takes what the broker hears for presence on a subscribed channel: the payload of a doorbell, or nil
// after the connection on which doorbells come was replaced. It does not block.
func (t *Tracker) Hear(channel string, payload []byte) {
	if payload == nil {
		t.Stale(channel)
		return
	}
	change, err := parseChange(channel, payload)
	if err != nil {
		t.Malformed()
		t.Stale(channel)
		return
	}
	t.Engine.Hear(change)
}

// Load puts the library into Redis unless a newer version is there.
func (t *Tracker) Load(ctx context.Context) error { return classify(t.store.library.Ensure(ctx, true)) }

// LibraryState compares the library in Redis with this program's.
func (t *Tracker) LibraryState(ctx context.Context) (redisfn.State, error) {
	state, err := t.store.library.State(ctx)
	return state, classify(err)
}

// Library returns the source that this program loads.
func (t *Tracker) Library() string { return t.store.library.Source() }
