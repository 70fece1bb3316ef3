package receipt

import (
	"fmt"
	"time"
)

// Defaults of Options, and the least that they may be.
const (
	DefaultTTL   = 5 * time.Minute
	DefaultLease = 15 * time.Second
	MinLease     = 50 * time.Millisecond
)

// Options are the settings of a book, whatever its store. The zero value of a field means its default. All
// gateways of one store should have the same.
type Options struct {
	// TTL is how long a session's state outlives its last Open or Close.
	TTL time.Duration
	// Lease is how long a batch may take before somebody else may begin it again; at most TTL.
	Lease time.Duration
}

// WithDefaults fills the unset fields and reports the first one that is out of range.
func (o Options) WithDefaults() (Options, error) {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Lease == 0 {
		o.Lease = min(DefaultLease, o.TTL)
	}
	switch {
	case o.Lease < MinLease:
		return o, fmt.Errorf("lease: must be at least %s, is %s", MinLease, o.Lease)
	case o.TTL < o.Lease:
		return o, fmt.Errorf("ttl: must be at least the lease of %s, is %s", o.Lease, o.TTL)
	}
	return o, nil
}
