package reconcile

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// What the demonstration's slow bank does: it lets this much of a file through, and the rest later.
const (
	slowAfterBytes = 48 << 10
	slowFor        = 12 * time.Second
)

// slow returns a source that stops in the middle when it is read for the second time; the first time is
// when lines are counted. It goes on early, with an error, when ctx ends.
func slow(ctx context.Context, of Source) Source {
	var opened atomic.Int32
	return Source{Name: of.Name, Open: func() (io.ReadCloser, error) {
		file, err := of.Open()
		if err != nil || opened.Add(1) != 2 {
			return file, err
		}
		wait := readFunc(func([]byte) (int, error) {
			if err := sleep(ctx, slowFor); err != nil {
				return 0, err
			}
			return 0, io.EOF
		})
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(file, slowAfterBytes), wait, file), file}, nil
	}}
}

// readFunc is a reader made of a function.
type readFunc func([]byte) (int, error)

// Read implements [io.Reader].
func (f readFunc) Read(p []byte) (int, error) { return f(p) }
