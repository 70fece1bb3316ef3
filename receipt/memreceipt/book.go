package memreceipt

import (
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tallywire/tallywire/receipt"
)

// Defaults of Options.
const (
	DefaultMaxSessions = 100_000
	DefaultMaxBytes    = 64 << 20
)

// Options are the settings of a Book. The zero value of a field means its default.
type Options struct {
	receipt.Options
	// MaxSessions bounds the sessions whose state is kept; a new one beyond gets ErrOverloaded.
	MaxSessions int
	// MaxBytes bounds the answers that are kept; one that does not fit is not kept.
	MaxBytes int
}

// Book is a [receipt.Book] in memory. All methods are safe for concurrent use.
type Book struct {
	options  Options // static
	counters receipt.Counters

	mu       sync.Mutex
	sessions map[receipt.Key]*session // guarded by mu
	byExpiry *list.List               // of *session, the first to expire in front; guarded by mu
	bytes    int                      // of all answers; guarded by mu
}

// session is the last batch of a session; guarded by Book.mu.
type session struct {
	key     receipt.Key
	seq     uint64
	token   string
	lease   time.Time // zero once the batch is closed
	answer  []byte    // nil where it is not kept
	expires time.Time
	place   *list.Element
}

var _ receipt.Book = (*Book)(nil)

// New returns an empty book.
func New(options Options) (*Book, error) {
	if options.MaxSessions == 0 {
		options.MaxSessions = DefaultMaxSessions
	}
	if options.MaxBytes == 0 {
		options.MaxBytes = DefaultMaxBytes
	}
	var err error
	options.Options, err = options.WithDefaults()
	if err == nil && (options.MaxSessions < 1 || options.MaxBytes < 1) {
		err = errors.New("max sessions and max bytes: must be at least 1")
	}
	if err != nil {
		return nil, fmt.Errorf("memreceipt: %w", err)
	}
	return &Book{options: options, sessions: map[receipt.Key]*session{}, byExpiry: list.New()}, nil
}

// Open implements [receipt.Book].
func (b *Book) Open(ctx context.Context, key receipt.Key, seq uint64) (receipt.Opened, error) {
	o, err := b.open(ctx, key, seq)
	b.counters.Opened(o, err)
	if err != nil {
		return receipt.Opened{}, fmt.Errorf("open batch %d: %w", seq, err)
	}
	return o, nil
}

func (b *Book) open(ctx context.Context, key receipt.Key, seq uint64) (receipt.Opened, error) {
	if err := usable(ctx, key, seq); err != nil {
		return receipt.Opened{}, err
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	s := b.sessions[key]
	switch {
	case s == nil:
		if len(b.sessions) >= b.options.MaxSessions {
			return receipt.Opened{}, receipt.ErrOverloaded
		}
		s = b.add(key)
	case !s.lease.IsZero() && seq != s.seq && seq != s.seq+1:
		return receipt.Opened{}, &receipt.OrderError{Expected: s.seq}
	case !s.lease.IsZero() && now.Before(s.lease):
		return receipt.Opened{}, receipt.ErrInProgress
	case !s.lease.IsZero() && seq != s.seq:
		return receipt.Opened{}, &receipt.OrderError{Expected: s.seq}
	case s.lease.IsZero() && seq == s.seq && s.answer != nil:
		b.keep(s, now)
		return receipt.Opened{Answer: slices.Clone(s.answer)}, nil
	case s.lease.IsZero() && seq != s.seq+1:
		return receipt.Opened{}, &receipt.OrderError{Expected: s.seq + 1}
	}
	b.answer(s, nil)
	s.seq, s.token, s.lease = seq, rand.Text(), now.Add(b.options.Lease)
	b.keep(s, now)
	return receipt.Opened{Token: s.token}, nil
}

// Close implements [receipt.Book].
func (b *Book) Close(ctx context.Context, key receipt.Key, seq uint64, token string, answer []byte) error {
	if err := b.close(ctx, key, seq, token, answer); err != nil {
		b.counters.Failed(err)
		return fmt.Errorf("close batch %d: %w", seq, err)
	}
	return nil
}

func (b *Book) close(ctx context.Context, key receipt.Key, seq uint64, token string, answer []byte) error {
	if err := usable(ctx, key, seq); err != nil {
		return err
	}
	if token == "" {
		return fmt.Errorf("%w: no token", receipt.ErrInvalid)
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	s := b.sessions[key]
	switch {
	case s == nil:
		if len(b.sessions) >= b.options.MaxSessions {
			return receipt.ErrOverloaded
		}
		s = b.add(key)
	case s.seq != seq || s.token != token:
		b.counters.Superseded()
		return nil
	case s.lease.IsZero():
		return nil // closed already
	}
	s.seq, s.token, s.lease = seq, token, time.Time{}
	if len(answer) > receipt.MaxAnswer || b.bytes+len(answer) > b.options.MaxBytes {
		b.counters.NotKept()
	} else {
		b.answer(s, append([]byte{}, answer...))
	}
	b.keep(s, now)
	return nil
}

func usable(ctx context.Context, key receipt.Key, seq uint64) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", receipt.ErrUnavailable, err)
	}
	return key.Check(seq)
}

// Stats returns what this book has done.
func (b *Book) Stats() receipt.Stats { return b.counters.Stats() }

// Held returns how many sessions and how many bytes of answers are kept.
func (b *Book) Held() (sessions, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(time.Now())
	return len(b.sessions), b.bytes
}

// add makes an empty session. Caller holds mu, as for all of the following.
func (b *Book) add(key receipt.Key) *session {
	s := &session{key: key}
	s.place = b.byExpiry.PushBack(s)
	b.sessions[key] = s
	return s
}

// answer replaces a session's answer.
func (b *Book) answer(s *session, answer []byte) {
	b.bytes += len(answer) - len(s.answer)
	s.answer = answer
}

// keep puts off a session's end. All have the same TTL, so that the list stays in order.
func (b *Book) keep(s *session, now time.Time) {
	s.expires = now.Add(b.options.TTL)
	b.byExpiry.MoveToBack(s.place)
}

// expire removes the sessions whose time is over.
func (b *Book) expire(now time.Time) {
	for e := b.byExpiry.Front(); e != nil; e = b.byExpiry.Front() {
		s, _ := e.Value.(*session)
		if now.Before(s.expires) {
			return
		}
		b.answer(s, nil)
		b.byExpiry.Remove(e)
		delete(b.sessions, s.key)
	}
}
