package redisreceipt

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/internal/redisfn"
	"github.com/tallywire/tallywire/receipt"
)

//go:embed functions/tallywire_receipt.lua
var librarySource string

// LibraryName is the library's name in Redis.
const LibraryName = "tallywire_receipt"

// Defaults of Options.
const (
	DefaultPrefix  = "tw"
	DefaultTimeout = 2 * time.Second
)

// Options are the settings of a Book. The zero value of a field means its default.
type Options struct {
	receipt.Options
	// Prefix of all keys; the broker's.
	Prefix string
	// Timeout bounds an operation whose context has no earlier deadline.
	Timeout time.Duration
}

// Book is a [receipt.Book] in Redis. It has no state but its counters; all methods are safe for concurrent
// use. The client stays the caller's.
type Book struct {
	client   redis.UniversalClient // static
	options  Options               // static
	library  *redisfn.Library
	counters receipt.Counters
}

var _ receipt.Book = (*Book)(nil)

// New returns a book that works over client; nothing is dialled yet. A client that repeats commands by itself
// does no harm.
func New(client redis.UniversalClient, options Options) (*Book, error) {
	if options.Prefix == "" {
		options.Prefix = DefaultPrefix
	}
	if options.Timeout == 0 {
		options.Timeout = DefaultTimeout
	}
	var err error
	options.Options, err = options.WithDefaults()
	switch {
	case err != nil:
	case strings.ContainsAny(options.Prefix, "{} \t\r\n*?[]"):
		err = fmt.Errorf("prefix %q: no braces, blanks or globs", options.Prefix)
	case options.Timeout < 0:
		err = errors.New("timeout: must be positive")
	}
	if err != nil {
		return nil, fmt.Errorf("redisreceipt: %w", err)
	}
	return &Book{
		client: client, options: options,
		library: redisfn.New(client, LibraryName, librarySource, options.Timeout),
	}, nil
}

// key escapes both names, which may have any characters. No channel's name has a '/', so that the hash tag is
// no channel's.
func (b *Book) key(k receipt.Key) string {
	encode := base64.RawURLEncoding.EncodeToString
	return b.options.Prefix + ":session:{" + encode([]byte(k.User)) + "/" + encode([]byte(k.Session)) + "}:commands"
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
	if err := key.Check(seq); err != nil {
		return receipt.Opened{}, err
	}
	token := rand.Text()
	reply, err := b.call(ctx, "FCALL", "tw_receipt_open", 1, b.key(key),
		seq, token, b.options.Lease.Milliseconds(), b.options.TTL.Milliseconds())
	if err != nil {
		return receipt.Opened{}, err
	}
	words, _ := reply.([]any)
	var word, value string
	if len(words) > 0 {
		word, _ = words[0].(string)
	}
	if len(words) > 1 {
		value, _ = words[1].(string)
	}
	switch word {
	case "begun":
		return receipt.Opened{Token: token}, nil
	case "answer":
		return receipt.Opened{Answer: []byte(value)}, nil
	case "busy":
		return receipt.Opened{}, receipt.ErrInProgress
	case "order":
		if expected, err := strconv.ParseUint(value, 10, 64); err == nil {
			return receipt.Opened{}, &receipt.OrderError{Expected: expected}
		}
	}
	return receipt.Opened{}, fmt.Errorf("%w: unexpected reply %.80q", receipt.ErrUnavailable, fmt.Sprint(reply))
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
	if err := key.Check(seq); err != nil {
		return err
	}
	if token == "" {
		return fmt.Errorf("%w: no token", receipt.ErrInvalid)
	}
	kept := 1
	if len(answer) > receipt.MaxAnswer {
		kept, answer = 0, nil
	}
	if answer == nil {
		answer = []byte{} // go-redis has no argument for nil
	}
	reply, err := b.call(ctx, "FCALL", "tw_receipt_close", 1, b.key(key),
		seq, token, b.options.TTL.Milliseconds(), kept, answer)
	switch {
	case err != nil:
		return err
	case reply != int64(1):
		b.counters.Superseded()
	case kept == 0:
		b.counters.NotKept()
	}
	return nil
}

// call runs one function. It is repeated once where Redis did not know the function, after the library has been
// loaded, and where the connection broke: with the same token the second call finds the first.
func (b *Book) call(ctx context.Context, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	reply, err := b.client.Do(ctx, args...).Result()
	if err == nil {
		return reply, nil
	}
	if redisfn.NotFound(err) {
		if err := b.library.Ensure(ctx, false); err != nil {
			return nil, unavailable(err)
		}
	} else if _, answered := errors.AsType[redis.Error](err); answered || ctx.Err() != nil {
		return nil, unavailable(err)
	}
	reply, err = b.client.Do(ctx, args...).Result()
	return reply, unavailable(err)
}

// unavailable gives an error of go-redis its place in the contract: the caller can do nothing but try later.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", receipt.ErrUnavailable, err)
}

// Stats returns what this book has done.
func (b *Book) Stats() receipt.Stats { return b.counters.Stats() }

// Load puts the library into Redis unless a newer version is there.
func (b *Book) Load(ctx context.Context) error { return unavailable(b.library.Ensure(ctx, true)) }

// LibraryState compares the library in Redis with this program's.
func (b *Book) LibraryState(ctx context.Context) (redisfn.State, error) {
	state, err := b.library.State(ctx)
	return state, unavailable(err)
}

// Library returns the source that this program loads.
func (b *Book) Library() string { return b.library.Source() }
