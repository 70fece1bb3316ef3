package goclient

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a handler that notes everything.
type recorder struct {
	mu         sync.Mutex
	events     []Event
	resets     []Reset
	subscribed []Subscribed
	skips      []Skip
	signals    []Signal
	errs       []error
}

func (r *recorder) handler() Handler {
	return Handler{
		OnEvent:      func(_ context.Context, e Event) { note(r, &r.events, e) },
		OnReset:      func(_ context.Context, e Reset) { note(r, &r.resets, e) },
		OnSubscribed: func(_ context.Context, e Subscribed) { note(r, &r.subscribed, e) },
		OnSkip:       func(_ context.Context, e Skip) { note(r, &r.skips, e) },
		OnSignal:     func(_ context.Context, e Signal) { note(r, &r.signals, e) },
		OnError:      func(_ context.Context, e error) { note(r, &r.errs, e) },
	}
}

func note[T any](r *recorder, list *[]T, e T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, e)
}

func counted[T any](r *recorder, list *[]T) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(*list)
}

func listed[T any](r *recorder, list *[]T) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]T(nil), *list...)
}

// numbers returns the data of the events, which tests publish as numbers.
func (r *recorder) numbers() []int64 {
	var out []int64
	for _, e := range listed(r, &r.events) {
		out = append(out, gjson.GetBytes(e.Raw, "data").Int())
	}
	return out
}

func numbered(i int) string { return fmt.Sprintf(`{"type":"n","data":%d}`, i) }

func upTo(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i + 1)
	}
	return out
}

// start runs a client until the test ends.
func start(t testing.TB, g *fakeGateway, change func(*Options)) *Client {
	t.Helper()
	o := Options{URL: g.srv.URL, BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	require.NoError(t, err)
	run(t, c)
	return c
}

func run(t testing.TB, c *Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// follow subscribes from the beginning and waits until that is answered.
func follow(t testing.TB, c *Client, channel string) (*Subscription, *recorder) {
	t.Helper()
	r := &recorder{}
	s, err := c.Subscribe(channel, SubscribeOptions{Cursor: &broker.Cursor{}, Handler: r.handler()})
	require.NoError(t, err)
	require.NoError(t, s.Ready(within(t)))
	return s, r
}

func (r *recorder) wait(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d events", n), func() bool { return counted(r, &r.events) >= n })
}

func TestSubscribeAndPublish(t *testing.T) {
	g := newFake(t, nil)
	c := start(t, g, nil)
	s, r := follow(t, c, "jobs:1")
	for i := range 50 {
		receipt, err := c.Publish(within(t), "jobs:1", json.RawMessage(numbered(i+1)), PublishOptions{})
		require.NoError(t, err)
		require.Equal(t, uint64(i+2), receipt.Cursor.Offset)
		require.Len(t, receipt.ID, 26)
		require.Equal(t, 1, receipt.Attempts)
		require.False(t, receipt.Duplicate)
	}
	r.wait(t, 50)
	require.Equal(t, upTo(50), r.numbers())
	last := listed(r, &r.events)[49]
	require.Equal(t, last.Cursor.Time(), last.Time)
	eventually(t, "the position", func() bool { pos, ok := s.Cursor(); return ok && pos == last.Cursor })
	require.Zero(t, c.Violations())
	require.Equal(t, uint64(50), c.Stats().Events)
}
