package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// Writer writes each event as one JSON line, for a look at what would be published. It is safe for
// concurrent use.
type Writer struct {
	mu sync.Mutex // guards to
	to io.Writer
}

var _ reconcile.Publisher = (*Writer)(nil)

// NewWriter returns a publisher that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Close does nothing; the writer belongs to the caller.
func (*Writer) Close() error { return nil }

// Publish writes {"channel":…,"event":…}.
func (w *Writer) Publish(_ context.Context, channel string, e events.Event) error {
	b, err := encode(e)
	if err != nil {
		return err
	}
	line, err := json.Marshal(item{Channel: channel, Event: b})
	if err != nil {
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err = w.to.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	return nil
}

// encode returns the event's JSON; an event that cannot be encoded never will be.
func encode(e events.Event) ([]byte, error) {
	b, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	return b, nil
}
