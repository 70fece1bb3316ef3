package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/internal/vet"
	"github.com/tallywire/tallywire/namespace"
)

// Defaults and limits of Options.
const (
	DefaultLeaseTTL    = 5 * time.Second
	MinLeaseTTL        = 200 * time.Millisecond
	DefaultTimeout     = 2 * time.Second
	DefaultPatience    = 10 * time.Second
	DefaultMaxEntries  = 4096
	DefaultMaxBytes    = 16 << 20
	DefaultConcurrency = 64
	// takeLimit bounds one Take; with the largest events, its answer has 9 MB.
	takeLimit = 128
	// doneLimit bounds one Done.
	doneLimit = 512
	// waitTime is how long a Wait lasts at most. The end of a term waits for it.
	waitTime = 500 * time.Millisecond
	// standByTime is the mean time between two tries for the lease.
	standByTime = time.Second
	// Bounds of the full jitter between two tries.
	backoffMin = 20 * time.Millisecond
	backoffMax = 2 * time.Second
)

// Publisher is the part of a broker.Broker that an Inbox uses.
type Publisher interface {
	Publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error))
}

// Undertaker takes what cannot be published. broker.DeadLetters is one.
type Undertaker interface {
	Bury(ctx context.Context, letter broker.DeadLetter) error
}

// Options are the settings of an Inbox. Gateway, Broker, Dead, Namespaces and Registry are required; zero
// values of the others mean the defaults.
type Options struct {
	// Gateway is the gateway's id, by which the holder of the lease is known.
	Gateway    string
	Broker     Publisher
	Dead       Undertaker
	Namespaces *namespace.Table
	Registry   vet.Checker
	Log        zerolog.Logger

	// LeaseTTL is how long the inbox of a gateway that has died waits for another. It is renewed at a third
	// of it. All gateways of one store should have the same.
	LeaseTTL time.Duration
	// Timeout bounds one call of the store, and one publish.
	Timeout time.Duration
	// Passing reports whether a refusal by the store passes by itself, as full memory does; nil means that
	// none does. The entry is kept then, as while the store is away.
	Passing func(err error) bool
	// Patience is how long an entry that the store refuses is tried again before it goes to the dead letters.
	// It holds up later entries of its channel meanwhile, and no others. Those that are refused right behind it
	// follow it at once.
	Patience time.Duration
	// MaxEntries and MaxBytes bound what is taken and not yet done, the second by one answer more.
	MaxEntries, MaxBytes int
	// Concurrency is how many channels are published to at the same time.
	Concurrency int
}

func (o Options) withDefaults() (Options, error) {
	setDefault(&o.LeaseTTL, DefaultLeaseTTL)
	setDefault(&o.Timeout, DefaultTimeout)
	setDefault(&o.Patience, DefaultPatience)
	setDefault(&o.MaxEntries, DefaultMaxEntries)
	setDefault(&o.MaxBytes, DefaultMaxBytes)
	setDefault(&o.Concurrency, DefaultConcurrency)
	if o.Passing == nil {
		o.Passing = func(error) bool { return false }
	}
	switch {
	case o.Gateway == "":
		return o, errors.New("inbox: the gateway's id is required")
	case o.Broker == nil || o.Dead == nil || o.Namespaces == nil || o.Registry == nil:
		return o, errors.New("inbox: Broker, Dead, Namespaces and Registry are required")
	case o.LeaseTTL < MinLeaseTTL:
		return o, fmt.Errorf("inbox: lease ttl: must be at least %s, is %s", MinLeaseTTL, o.LeaseTTL)
	case o.Timeout < 0 || o.Patience < 0:
		return o, errors.New("inbox: durations must be positive")
	case o.MaxEntries < 1 || o.MaxBytes < 1 || o.Concurrency < 1:
		return o, errors.New("inbox: bounds must be at least 1")
	}
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
