package presence

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Defaults and limits of Options.
const (
	DefaultTimeout    = 3 * time.Second
	DefaultMaxEntries = 1_000_000
	DefaultSessionTTL = 24 * time.Hour
	MinTTL            = 300 * time.Millisecond
	MaxTTL            = 5 * time.Minute
)

// Options are the settings of a tracker, whatever its store. The zero value of a field means its default.
type Options struct {
	// Gateway is the gateway's id, [A-Za-z0-9_.:-]{1,64}; it must be set. No two running gateways may have
	// the same one: each would take the lease from the other. One that starts with the id of one that has
	// just died takes its lease over, and sessions that come back to it make no leave.
	Gateway string
	// Version, Address and Start are told with the lease.
	Version, Address string
	Start            time.Time
	// TTL is the lifetime of the lease, which is refreshed at a third of it. All gateways of one store
	// should have the same.
	TTL time.Duration
	// Timeout bounds an operation whose context has no earlier deadline.
	Timeout time.Duration
	// MaxEntries bounds the entries and sessions that the tracker holds; more get ErrOverloaded.
	MaxEntries int
	// SessionTTL is how long the list of a user's sessions outlives the last write to it. Sessions that
	// last longer are written again at half of it.
	SessionTTL time.Duration
}

var validGateway = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// WithDefaults fills the unset fields and reports the first one that is out of range.
func (o Options) WithDefaults() (Options, error) {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxEntries == 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	if o.SessionTTL == 0 {
		o.SessionTTL = DefaultSessionTTL
	}
	if o.Start.IsZero() {
		o.Start = time.Now()
	}
	switch {
	case !validGateway.MatchString(o.Gateway):
		return o, fmt.Errorf("gateway id %q: wanted [A-Za-z0-9_.:-]{1,64}", o.Gateway)
	case o.TTL < MinTTL || o.TTL > MaxTTL:
		return o, fmt.Errorf("ttl: must be between %s and %s, is %s", MinTTL, MaxTTL, o.TTL)
	case o.Timeout < 0:
		return o, errors.New("timeout: must be positive")
	case o.MaxEntries < 1:
		return o, errors.New("max entries: must be at least 1")
	case o.SessionTTL < time.Minute:
		return o, errors.New("session ttl: must be at least 1m")
	}
	return o, nil
}
