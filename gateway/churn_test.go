package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// walker is a client that comes and goes. It belongs to one goroutine.
type walker struct {
	rig     *rig
	name    string
	token   string
	rand    *rand.Rand
	ws      *websocket.Conn
	at      map[string]*reading
	readers func(channel string) *reading
	frames  []wire.Frame
	pings   int // that have not been answered
}

func (w *walker) open(ctx context.Context) error {
	w.frames = nil
	ws, _, err := websocket.Dial(ctx, strings.Replace(w.rig.url, "http", "ws", 1)+"/v1/ws", nil) //nolint:bodyclose // an upgrade has none
	if err != nil {
		return err
	}
	ws.SetReadLimit(8 << 20)
	w.ws = ws
	return w.send(ctx, fmt.Sprintf(`{"type":"connect","token":"%s"}`, w.token))
}

func (w *walker) send(ctx context.Context, frame string) error {
	return w.ws.Write(ctx, websocket.MessageText, []byte(frame))
}

func (w *walker) next(ctx context.Context) (wire.Frame, error) {
	for len(w.frames) == 0 {
		_, msg, err := w.ws.Read(ctx)
		if err != nil {
			return wire.Frame{}, err
		}
		if w.frames, err = wire.Message(msg); err != nil {
			return wire.Frame{}, err
		}
	}
	f := w.frames[0]
	w.frames = w.frames[1:]
	return f, nil
}

// subscribe asks for all channels, each after the last event that the walker has.
func (w *walker) subscribe(ctx context.Context, channels []string) error {
	var list []string
	for _, channel := range channels {
		rest := ""
		if r := w.at[channel]; r != nil {
			rest = fmt.Sprintf(`,"cursor":"%s"`, r.last())
		}
		list = append(list, fmt.Sprintf(`{"channel":"%s"%s}`, channel, rest))
	}
	return w.send(ctx, `{"type":"subscribe","channels":[`+strings.Join(list, ",")+`]}`)
}

func (r *reading) last() broker.Cursor {
	if n := len(r.got); n > 0 {
		return r.got[n-1].cursor
	}
	return r.start
}

// take enters a frame into the books. It returns the value of an event, or -1.
func (w *walker) take(f wire.Frame) (int, error) {
	r := w.at[f.Channel]
	switch f.Type {
	case "connected", wire.TypePing:
	case "subscribed":
		if r == nil {
			r = w.readers(f.Channel)
			r.start = *f.Cursor
			w.at[f.Channel] = r
		} else if !f.Resumed || *f.Cursor != r.last() {
			return -1, fmt.Errorf("%s: %s resumed at %s, not %s", w.name, f.Channel, f.Cursor, r.last())
		}
	case "event":
		var e struct{ Data struct{ N int } }
		if err := json.Unmarshal(f.Event, &e); err != nil {
			return -1, err
		}
		r.got = append(r.got, entry{channel: f.Channel, cursor: *f.Cursor, value: e.Data.N})
		return e.Data.N, nil
	case "reset":
		r.resets++
	default:
		return -1, fmt.Errorf("%s: unexpected %+v", w.name, f)
	}
	return -1, nil
}

// walk reads the channels to their ends (values from end on), going and coming back on the way.
func (w *walker) walk(ctx context.Context, channels []string, end int) error {
	missing := slices.Clone(channels)
	for {
		if err := w.open(ctx); err != nil {
			return err
		}
		if err := w.subscribe(ctx, channels); err != nil {
			return err
		}
		stay := 1 + w.rand.IntN(150)
		for n := 0; n < stay || len(w.at) < len(channels); n++ {
			f, err := w.next(ctx)
			if err != nil {
				return fmt.Errorf("%s: waiting for %v: %w", w.name, missing, err)
			}
			value, err := w.take(f)
			if err != nil {
				return err
			}
			if value >= end {
				if i := slices.Index(missing, f.Channel); i >= 0 {
					missing = slices.Delete(missing, i, i+1)
				}
				if len(missing) == 0 {
					return w.ws.Close(websocket.StatusNormalClosure, "")
				}
			}
		}
		_ = w.ws.CloseNow() // whatever is on its way is lost with the connection
	}
}

// Two hundred clients come and go while events are published and doorbells are lost, doubled and out of
// order: each receives each event of its channels once, in order.
func TestExactlyOnceThroughChurn(t *testing.T) {
	const clients, channels, each, perClient = 200, 20, 150, 4
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := newRig(t, rigOptions{
		store:  membroker.NewStore(membroker.Options{Audit: 200 * time.Millisecond}),
		change: func(o *gateway.Options) { o.RelayMaxEvents = 40 },
	})
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	books := &ledger{}
	g, ctx := errgroup.WithContext(ctx)
	start := make(chan struct{}, clients)
	const end = 1 << 30
	for i := range clients {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		name := fmt.Sprintf("client-%d", i)
		w := &walker{rig: r, name: name, token: r.token(name, nil), rand: random, at: map[string]*reading{}}
		var mine []string
		for _, n := range random.Perm(channels)[:perClient] {
			mine = append(mine, fmt.Sprintf("jobs:%d", n))
		}
		begun := 0
		w.readers = func(channel string) *reading {
			if begun++; begun == perClient {
				start <- struct{}{}
			}
			return books.reader(name, channel)
		}
		g.Go(func() error { return w.walk(ctx, mine, end) })
	}
	g.Go(func() error {
		random := rand.New(rand.NewPCG(seed, clients))
		awaitClient := func() error {
			select {
			case <-start:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for n := range channels * each {
			if n < clients { // they come in while it goes on
				if err := awaitClient(); err != nil {
					return err
				}
			}
			channel := fmt.Sprintf("jobs:%d", random.IntN(channels))
			switch random.IntN(40) {
			case 0:
				r.store.ForTest().Drop(channel, 1+random.IntN(3))
			case 1:
				r.store.ForTest().Duplicate(channel, 1)
			case 2:
				r.store.ForTest().Reorder(channel, 2+random.IntN(2))
			}
			if err := books.send(ctx, r.broker, channel, n); err != nil {
				return err
			}
		}
		for n := range channels {
			if err := books.send(ctx, r.broker, fmt.Sprintf("jobs:%d", n), end+n); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, g.Wait())
	require.Empty(t, books.verify())
	require.NotZero(t, r.gateway.Hub().Counters().Repairs.Load())
	require.NotZero(t, r.gateway.Counters().Resumed.Load())
}

// send publishes a value past the gateway and enters it into the books.
func (l *ledger) send(ctx context.Context, b broker.Broker, channel string, value int) error {
	receipt, err := broker.PublishWait(ctx, b, broker.Publication{Channel: channel, Event: []byte(event(value))})
	if err != nil {
		return err
	}
	l.publish(entry{channel: channel, cursor: receipt.Cursor, value: value})
	return nil
}

// Fifty clients subscribe and unsubscribe at random, faster than they are answered. Between `subscribed`
// and `unsubscribed` what they receive is contiguous, outside of it there is nothing, and in the end each
// can be brought to the head of every channel.
func TestSubscribeUnsubscribeRace(t *testing.T) {
	const clients, channels, rounds = 50, 6, 60
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 20 }})
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	g, walkCtx := errgroup.WithContext(ctx)
	done := make(chan struct{})
	publishing := errgroup.Group{}
	publishing.Go(func() error {
		for n := 0; ; n++ {
			select {
			case <-done:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			default:
			}
			_, err := broker.PublishWait(ctx, r.broker, broker.Publication{
				Channel: fmt.Sprintf("jobs:%d", n%channels), Event: []byte(event(n)),
			})
			if err != nil {
				return err
			}
			select { // one event a channel every few milliseconds
			case <-time.After(time.Millisecond):
			case <-done:
			}
		}
	})
	for i := range clients {
		name := fmt.Sprintf("client-%d", i)
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		w := &walker{rig: r, name: name, token: r.token(name, nil), rand: random}
		g.Go(func() error { return w.hop(walkCtx, channels, rounds) })
	}
	err := g.Wait()
	close(done)
	require.NoError(t, errors.Join(err, publishing.Wait()))
	r.eventually("all gone", func() bool { return r.gateway.Connections() == 0 })
}

// hop subscribes and unsubscribes at random, then subscribes everything and waits for news of each.
func (w *walker) hop(ctx context.Context, channels, rounds int) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	defer func() { _ = w.ws.CloseNow() }()
	known := map[string]*broker.Cursor{} // of subscribed channels: the last event; absent when there is none
	resume := map[string]broker.Cursor{}
	for n := range rounds {
		channel := fmt.Sprintf("jobs:%d", w.rand.IntN(channels))
		frame := fmt.Sprintf(`{"type":"unsubscribe","id":%d,"channel":"%s"}`, n, channel)
		if w.rand.IntN(5) > 1 {
			rest := ""
			if c, ok := resume[channel]; ok && w.rand.IntN(2) == 0 {
				rest = fmt.Sprintf(`,"cursor":"%s"`, c)
			}
			frame = fmt.Sprintf(`{"type":"subscribe","id":%d,"channel":"%s"%s}`, n, channel, rest)
		}
		if err := w.send(ctx, "["+frame+`,{"type":"ping"}]`); err != nil {
			return err
		}
		w.pings++
		for steps := w.rand.IntN(6); steps > 0 && w.pings > 0; steps-- { // a pong at least is on its way
			if err := w.observe(ctx, known, resume); err != nil {
				return err
			}
		}
	}
	for n := range channels {
		if err := w.send(ctx, fmt.Sprintf(`{"type":"subscribe","id":"last","channel":"jobs:%d"}`, n)); err != nil {
			return err
		}
	}
	answered, fresh := map[string]bool{}, map[string]bool{}
	for len(fresh) < channels {
		f, err := w.peek(ctx)
		if err != nil {
			return fmt.Errorf("%s: answered %v, fresh %v: %w", w.name, answered, fresh, err)
		}
		if string(f.ID) == `"last"` {
			answered[f.Channel] = true
		}
		if f.Type == "event" && answered[f.Channel] {
			fresh[f.Channel] = true
		}
		if err := w.observe(ctx, known, resume); err != nil {
			return err
		}
	}
	return nil
}

// peek returns the next frame and leaves it there.
func (w *walker) peek(ctx context.Context) (wire.Frame, error) {
	f, err := w.next(ctx)
	if err == nil {
		w.frames = append([]wire.Frame{f}, w.frames...)
	}
	return f, err
}

// observe reads a frame and checks that it continues what came before.
func (w *walker) observe(ctx context.Context, known map[string]*broker.Cursor, resume map[string]broker.Cursor) error {
	f, err := w.next(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	switch f.Type {
	case "subscribed":
		known[f.Channel] = f.Cursor
		resume[f.Channel] = *f.Cursor
	case "unsubscribed":
		delete(known, f.Channel)
	case "event":
		last, subscribed := known[f.Channel]
		if !subscribed || f.Cursor.Offset != last.Offset+1 {
			return fmt.Errorf("%s: %s of %s after %s", w.name, f.Cursor, f.Channel, last)
		}
		known[f.Channel] = f.Cursor
		resume[f.Channel] = *f.Cursor
	case "error":
		if f.Code != wire.CodeNotSubscribed {
			return fmt.Errorf("%s: %+v", w.name, f)
		}
	case wire.TypePong:
		w.pings--
	case "connected", wire.TypePing:
	default:
		return fmt.Errorf("%s: unexpected %+v", w.name, f)
	}
	return nil
}
