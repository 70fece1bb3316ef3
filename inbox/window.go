package inbox

import (
	"context"
	"sync"
)

// window bounds the entries that are taken and not yet done. Its methods are safe for concurrent use.
type window struct {
	maxEntries, maxBytes int           // static
	freed                chan struct{} // buffered by one

	mu      sync.Mutex
	entries int // guarded by mu
	bytes   int // guarded by mu
}

func newWindow(maxEntries, maxBytes int) *window {
	return &window{maxEntries: maxEntries, maxBytes: maxBytes, freed: make(chan struct{}, 1)}
}

// room waits until there is room for an entry, and returns for how many; 0 where ctx ends. It is called by one
// goroutine.
func (w *window) room(ctx context.Context) int {
	for {
		w.mu.Lock()
		n := w.maxEntries - w.entries
		if w.bytes >= w.maxBytes {
			n = 0
		}
		w.mu.Unlock()
		if n > 0 {
			return n
		}
		select {
		case <-w.freed:
		case <-ctx.Done():
			return 0
		}
	}
}

func (w *window) add(entries, bytes int) {
	w.mu.Lock()
	w.entries += entries
	w.bytes += bytes
	w.mu.Unlock()
	if entries < 0 {
		select {
		case w.freed <- struct{}{}:
		default:
		}
	}
}

func (w *window) held() (entries, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entries, w.bytes
}
