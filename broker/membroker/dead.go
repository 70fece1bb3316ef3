package membroker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/tallywire/tallywire/broker"
)

// Dead keeps dead letters in memory, the newest up to a limit. It is safe for concurrent use.
type Dead struct {
	limit int

	mu      sync.Mutex // guards the following
	letters []numberedLetter
	number  uint64
}

type numberedLetter struct {
	number uint64
	broker.DeadLetter
}

var _ broker.DeadLetters = (*Dead)(nil)

// NewDead returns an empty store of at most limit letters.
func NewDead(limit int) *Dead { return &Dead{limit: max(limit, 1)} }

// Bury implements broker.DeadLetters.
func (d *Dead) Bury(_ context.Context, letter broker.DeadLetter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, other := range d.letters {
		if other.Channel == letter.Channel && other.Cursor == letter.Cursor {
			return nil
		}
	}
	d.number++
	d.letters = append(d.letters, numberedLetter{d.number, letter})
	if over := len(d.letters) - d.limit; over > 0 {
		d.letters = slices.Delete(d.letters, 0, over)
	}
	return nil
}

// List implements broker.DeadLetters.
func (d *Dead) List(_ context.Context, after string, limit int) ([]broker.DeadLetter, string, error) {
	var from uint64
	if after != "" {
		n, err := strconv.ParseUint(after, 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("list dead letters after %q: %w", after, broker.ErrInvalidCursor)
		}
		from = n
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []broker.DeadLetter
	for _, letter := range d.letters {
		if letter.number > from && len(out) < limit {
			out = append(out, letter.DeadLetter)
			from = letter.number
		}
	}
	return out, strconv.FormatUint(from, 10), nil
}
