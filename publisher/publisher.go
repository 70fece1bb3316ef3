package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
)

// DefaultPrefix is the prefix of all keys.
const DefaultPrefix = "tw"

// Bounds of the full jitter between two attempts.
const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 2 * time.Second
)

// Doer is the part of a go-redis client that a Publisher uses. redis.UniversalClient has it.
type Doer interface {
	Do(ctx context.Context, args ...any) *redis.Cmd
}

// Publisher publishes events. It is safe for concurrent use and needs no closing.
type Publisher struct {
	client Doer   // static
	prefix string // static
}

// Options of one publish. The zero value is right for most.
type Options struct {
	// ID is the idempotency key. Empty means "<source>/<id>" of the event, with the channel for an absent
	// source; an event without an id gets a random key.
	ID string
	// AtMostOnce publishes without a key and without repetition: an error may leave open whether the
	// event was appended. It saves the key's memory in Redis. The client must not retry either.
	AtMostOnce bool
	// MaxLen is how many entries the channel retains; 0 means the namespace's setting.
	MaxLen int64
	// TTL is how long the channel lives after this publish; 0 means the namespace's setting.
	TTL time.Duration
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)

// New returns a publisher over a client that stays the caller's. An empty prefix means DefaultPrefix.
func New(client Doer, prefix string) (*Publisher, error) {
	if client == nil {
		return nil, errors.New("publisher: no client")
	}
	if prefix == "" {
		prefix = DefaultPrefix
	}
	if !validPrefix.MatchString(prefix) {
		return nil, errors.New("publisher: prefix: wanted [A-Za-z0-9_.:-]{1,128}")
	}
	return &Publisher{client: client, prefix: prefix}, nil
}

// Publish appends an event ([json.RawMessage] or [events.Event]) to a channel. It returns the event's
// cursor, and whether the channel had it already: then this is a repetition of a publish with the same
// id within the namespace's dedupe window.
//
// While Redis is away, Publish repeats the call until it is answered or ctx ends; give ctx a deadline.
// An event that is not valid, a channel's name that is not allowed, and refusals by Redis are returned
// at once. An error that wraps [ErrUnknownOutcome] leaves open whether the event was appended; publishing
// it again with the same id is safe. With every other error it was not appended.
//
// Events of one channel published one after another are appended in that order.
func (p *Publisher) Publish(ctx context.Context, channel string, event json.Marshaler, o Options) (cursor broker.Cursor, duplicate bool, err error) {
	args, err := p.command(channel, event, o)
	if err != nil {
		return broker.Cursor{}, false, fmt.Errorf("publish: %w", err)
	}
	unknown := false
	var said error // what Redis answered last, for whoever reads why it took until the end of ctx
	for bound := backoffMin; ; bound = min(2*bound, backoffMax) {
		cursor, duplicate, err = p.try(ctx, args)
		if err == nil {
			return cursor, duplicate, nil
		}
		unknown = unknown || !answered(err) && !neverSent(err)
		if answered(err) {
			said = err
		}
		if o.AtMostOnce || !temporary(err) || !sleep(ctx, rand.N(bound)) {
			break
		}
	}
	if said != nil && !answered(err) {
		err = errors.Join(err, said)
	}
	if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
		err = errors.Join(ctxErr, err)
	}
	if unknown {
		err = errors.Join(ErrUnknownOutcome, err)
	}
	return broker.Cursor{}, false, fmt.Errorf("publish to %s: %w", channel, err)
}

// command checks everything and returns the command.
func (p *Publisher) command(channel string, event json.Marshaler, o Options) ([]any, error) {
	if err := events.ValidateChannel(channel); err != nil {
		return nil, err
	}
	raw, err := event.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	envelope, err := events.Scan(raw)
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	args := []any{"FCALL", "tw_publish", 1, p.prefix + ":{" + channel + "}", bytes.TrimSpace(events.Compact(raw))}
	switch {
	case o.AtMostOnce && o.ID != "":
		return nil, errors.New("options: an ID makes no sense with AtMostOnce")
	case o.AtMostOnce:
		if retries(p.client) {
			return nil, errors.New("options: AtMostOnce needs a client that does not retry: set MaxRetries (and in a cluster MaxRedirects) to -1")
		}
	case o.ID != "":
		args = append(args, "id="+o.ID)
	default:
		args = append(args, "id="+key(channel, envelope))
	}
	if o.MaxLen < 0 || o.TTL < 0 || o.TTL > 0 && o.TTL < time.Second {
		return nil, errors.New("options: MaxLen and TTL must be 0 or positive, TTL at least 1s")
	}
	if o.MaxLen > 0 {
		args = append(args, "maxlen="+strconv.FormatInt(o.MaxLen, 10))
	}
	if o.TTL > 0 {
		args = append(args, "ttl_ms="+strconv.FormatInt(o.TTL.Milliseconds(), 10))
	}
	return args, nil
}

// key returns the event's idempotency key.
func key(channel string, e events.Envelope) string {
	id, source := e.ID, e.Source
	if id == "" {
		id = ulid.Make().String()
	}
	if source == "" {
		source = channel
	}
	return source + "/" + id
}

// try makes one attempt.
func (p *Publisher) try(ctx context.Context, args []any) (broker.Cursor, bool, error) {
	if err := ctx.Err(); err != nil {
		return broker.Cursor{}, false, notSentError{err}
	}
	reply, err := p.client.Do(ctx, args...).Slice()
	if err != nil {
		return broker.Cursor{}, false, contract(err)
	}
	if len(reply) == 2 {
		text, okText := reply[0].(string)
		flag, okFlag := reply[1].(int64)
		if c, err := broker.ParseCursor(text); okText && okFlag && err == nil {
			return c, flag == 1, nil
		}
	}
	return broker.Cursor{}, false, fmt.Errorf("%w: %v", errReply, reply)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
