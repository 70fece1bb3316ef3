// Package namespace holds the options that are set per namespace of channels.
//
// A channel's namespace is the part of its name before the first ':'. Options may be configured for
// longer prefixes too ("jobs", "jobs:eu"); the longest configured prefix that ends at a ':' or at the
// end of the name wins. Main path: build a [Table] with [NewTable], ask it with [Table.For].
package namespace

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Delivery says what a subscriber of a namespace receives.
type Delivery string

const (
	// DeliverAll delivers every event, in order.
	DeliverAll Delivery = "all"
	// DeliverLatest conflates by subject: a subscriber that is behind receives only the newest event of
	// each subject, with the number of events skipped. Types marked terminal are never skipped.
	DeliverLatest Delivery = "latest"
)

// Ack is how far a publish has got when it is acknowledged.
type Ack string

const (
	// AckStored means that the Redis primary has appended the event.
	AckStored Ack = "stored"
	// AckReplicated means that at least one replica has received it too.
	AckReplicated Ack = "replicated"
)

// Defaults of Options.
const (
	DefaultMaxLen = 10_000
	DefaultTTL    = 24 * time.Hour
	DefaultFlush  = 10 * time.Millisecond
	DefaultDedupe = 10 * time.Minute
	DefaultGrace  = 10 * time.Second
)

// Options are the settings of one namespace. The zero value of a field means its default.
type Options struct {
	// MaxLen is how many entries a channel's stream retains. Streams above 1,000 are trimmed
	// approximately, so that a few more may remain.
	MaxLen int64
	// TTL is how long a channel's stream lives after its last publish.
	TTL time.Duration
	// Dedupe is the window in which a repeated event id is answered with the cursor of the first.
	Dedupe time.Duration
	// Delivery is all or latest.
	Delivery Delivery
	// Flush is the longest time that a busy connection collects events before it writes one frame.
	Flush time.Duration
	// Ack is the acknowledgement that a publish gets unless it asks for another.
	Ack Ack
	// Types, when not empty, lists the event types that the namespace accepts; a '*' at the end of an
	// entry matches any rest.
	Types []string
	// Grace is how long a member whose last connection has gone stays one.
	Grace time.Duration
}

// Defaults returns the options of a namespace for which nothing is configured.
func Defaults() Options {
	return Options{
		MaxLen: DefaultMaxLen, TTL: DefaultTTL, Dedupe: DefaultDedupe,
		Delivery: DeliverAll, Flush: DefaultFlush, Ack: AckStored, Grace: DefaultGrace,
	}
}

// withDefaults fills the unset fields of o from base.
func (o Options) withDefaults(base Options) Options {
	if o.MaxLen == 0 {
		o.MaxLen = base.MaxLen
	}
	if o.TTL == 0 {
		o.TTL = base.TTL
	}
	if o.Dedupe == 0 {
		o.Dedupe = base.Dedupe
	}
	if o.Delivery == "" {
		o.Delivery = base.Delivery
	}
	if o.Flush == 0 {
		o.Flush = base.Flush
	}
	if o.Ack == "" {
		o.Ack = base.Ack
	}
	if o.Types == nil {
		o.Types = base.Types
	}
	if o.Grace == 0 {
		o.Grace = base.Grace
	}
	return o
}

// Validate reports the first setting that is out of range.
func (o Options) Validate() error {
	switch {
	case o.MaxLen < 1:
		return fmt.Errorf("maxlen: must be at least 1, is %d", o.MaxLen)
	case o.TTL < time.Second:
		return fmt.Errorf("ttl: must be at least 1s, is %s", o.TTL)
	case o.Dedupe < time.Second:
		return fmt.Errorf("dedupe: must be at least 1s, is %s", o.Dedupe)
	case o.Delivery != DeliverAll && o.Delivery != DeliverLatest:
		return fmt.Errorf("delivery: must be %q or %q, is %q", DeliverAll, DeliverLatest, o.Delivery)
	case o.Flush < time.Millisecond || o.Flush > 10*time.Second:
		return fmt.Errorf("flush: must be between 1ms and 10s, is %s", o.Flush)
	case o.Ack != AckStored && o.Ack != AckReplicated:
		return fmt.Errorf("ack: must be %q or %q, is %q", AckStored, AckReplicated, o.Ack)
	case o.Grace < 0 || o.Grace > time.Hour:
		return fmt.Errorf("grace: must be between 0 and 1h, is %s", o.Grace)
	}
	return nil
}

// AcceptsType reports whether the namespace takes events of type t.
func (o *Options) AcceptsType(t string) bool {
	if len(o.Types) == 0 {
		return true
	}
	for _, pattern := range o.Types {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(t, prefix) || pattern == t {
			return true
		}
	}
	return false
}

// Table finds the options of a channel. It is immutable and safe for concurrent use.
type Table struct {
	fallback *Options
	byPrefix map[string]*Options
}

// NewTable returns a table with the given options by prefix. The prefix "" (or "*") changes the
// defaults of all namespaces. Unset fields inherit from the next shorter configured prefix.
func NewTable(byPrefix map[string]Options) (*Table, error) {
	prefixes := make([]string, 0, len(byPrefix))
	for p := range byPrefix {
		prefixes = append(prefixes, p)
	}
	sort.Slice(prefixes, func(i, j int) bool {
		if len(prefixes[i]) != len(prefixes[j]) {
			return len(prefixes[i]) < len(prefixes[j])
		}
		return prefixes[i] < prefixes[j]
	})
	fallback := Defaults()
	t := &Table{fallback: &fallback, byPrefix: map[string]*Options{}}
	var errs []error
	for _, p := range prefixes {
		o := byPrefix[p]
		if p == "" || p == "*" {
			fallback = o.withDefaults(fallback)
			if err := fallback.Validate(); err != nil {
				errs = append(errs, fmt.Errorf("namespace %q: %w", p, err))
			}
			continue
		}
		key := strings.TrimSuffix(p, ":")
		o = o.withDefaults(*t.For(key))
		if err := o.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("namespace %q: %w", p, err))
		}
		t.byPrefix[key] = &o
	}
	return t, errors.Join(errs...)
}

// For returns the options of a channel; the caller must not change them.
func (t *Table) For(channel string) *Options {
	if len(t.byPrefix) == 0 {
		return t.fallback
	}
	for p := channel; ; {
		if o, ok := t.byPrefix[p]; ok {
			return o
		}
		i := strings.LastIndexByte(p, ':')
		if i < 0 {
			return t.fallback
		}
		p = p[:i]
	}
}

// Prefixes returns the configured prefixes, longest first, without the fallback.
func (t *Table) Prefixes() []string {
	out := make([]string, 0, len(t.byPrefix))
	for p := range t.byPrefix {
		out = append(out, p)
	}
	sort.Slice(out, func(i, j int) bool {
		if len(out[i]) != len(out[j]) {
			return len(out[i]) > len(out[j])
		}
		return out[i] < out[j]
	})
	return out
}

// Of returns the namespace of a channel: the part of its name before the first ':'.
func Of(channel string) string {
	ns, _, _ := strings.Cut(channel, ":")
	return ns
}
