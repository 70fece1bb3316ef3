package gateway_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/receipt"
)

// heldBroker holds publishes back, as a store that does not answer does.
type heldBroker struct {
	broker.Broker
	mu   sync.Mutex // guards the following
	hold bool
	late []func()
}

func (h *heldBroker) Publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hold {
		h.late = append(h.late, func() { h.Broker.Publish(ctx, p, done) })
		return
	}
	h.Broker.Publish(ctx, p, done)
}

func (h *heldBroker) set(hold bool) {
	h.mu.Lock()
	h.hold = hold
	late := h.late
	if !hold {
		h.late = nil
	}
	h.mu.Unlock()
	for i := 0; !hold && i < len(late); i++ {
		late[i]()
	}
}

// unwell is a book that can be away, or lose what it is told.
type unwell struct {
	receipt.Book
	mu           sync.Mutex // guards the following
	away, forget bool
}

func (u *unwell) set(away, forget bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.away, u.forget = away, forget
}

func (u *unwell) Open(ctx context.Context, key receipt.Key, seq uint64) (receipt.Opened, error) {
	u.mu.Lock()
	away := u.away
	u.mu.Unlock()
	if away {
		return receipt.Opened{}, receipt.ErrUnavailable
	}
	return u.Book.Open(ctx, key, seq)
}

func (u *unwell) Close(ctx context.Context, key receipt.Key, seq uint64, token string, answer []byte) error {
	u.mu.Lock()
	forget := u.forget
	u.mu.Unlock()
	if forget {
		return receipt.ErrUnavailable
	}
	return u.Book.Close(ctx, key, seq, token, answer)
}

// twoGateways runs a test of two gateways over one book; the first one's store can be held.
func twoGateways(t *testing.T, test func(t *testing.T, w *world, a, b *inhabitant, held *heldBroker, book *unwell)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		book, held := &unwell{Book: newBook(t, 0)}, &heldBroker{}
		w := newWorld(t, nil, func(o *gateway.Options) {
			o.Receipts = book
			if o.ID == "gw-a" {
				held.Broker = o.Broker
				o.Broker = held
			}
		})
		test(t, w, w.gateway("gw-a"), w.gateway("gw-b"), held, book)
	})
}

const publishSeq1 = `{"session":"s","seq":1,"frames":[{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x"}},{"type":"publish","id":2,"channel":"jobs:1","event":{"type":"y"}}]}`

// code returns the code of a request that was refused.
func (a answer) code(t *testing.T, status int) wire.Code {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	return a.problem(t).Code
}

// While a batch is being done, the same one waits its turn at its gateway, and is told to come back at another.
func TestTheSameBatchTwiceAtOnce(t *testing.T) {
	twoGateways(t, func(t *testing.T, w *world, a, b *inhabitant, held *heldBroker, _ *unwell) {
		token := w.token("alice")
		held.set(true)
		first := a.begin(t.Context(), http.MethodPost, "/v1/commands", token, publishSeq1)
		synctest.Wait()
		second := a.begin(t.Context(), http.MethodPost, "/v1/commands", token, publishSeq1)
		synctest.Wait()
		elsewhere := b.begin(t.Context(), http.MethodPost, "/v1/commands", token, publishSeq1).answer()
		require.Equal(t, wire.CodeInProgress, elsewhere.code(t, http.StatusConflict))
		require.True(t, elsewhere.problem(t).Retry)
		held.set(false)
		done := first.answer()
		require.Equal(t, http.StatusOK, done.status)
		require.Equal(t, done.body, second.answer().body)
		require.Equal(t, done.body, b.begin(t.Context(), http.MethodPost, "/v1/commands", token, publishSeq1).answer().body)
		page, err := b.broker.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 2})
		require.NoError(t, err)
		require.Len(t, page.Entries, 2)
	})
}

// A store that does not answer is said to be unavailable; what comes of it then is nobody's answer, and the
// session goes on.
func TestCommandsOfAStoreThatDoesNotAnswer(t *testing.T) {
	twoGateways(t, func(t *testing.T, w *world, a, b *inhabitant, held *heldBroker, _ *unwell) {
		token := w.token("alice")
		held.set(true)
		began := time.Now()
		p := a.begin(t.Context(), http.MethodPost, "/v1/commands", token, publishSeq1).answer()
		require.Equal(t, wire.CodeUnavailable, p.code(t, http.StatusServiceUnavailable))
		require.True(t, p.problem(t).Retry)
		require.Less(t, time.Since(began), 25*time.Second)
		ping := a.command(token, `{"session":"s","frames":{"type":"ping"}}`)
		require.Equal(t, []string{"pong"}, types(ping))
		// What has begun may be done again by then, and is stored once.
		again := a.begin(t.Context(), http.MethodPost, "/v1/commands", token, publishSeq1)
		synctest.Wait()
		held.set(false)
		frames, err := wire.Message([]byte(again.answer().body))
		require.NoError(t, err)
		require.Equal(t, []string{"published", "published"}, types(frames))
		require.Equal(t, []string{"pong"}, types(a.command(token, `{"session":"s","seq":2,"frames":{"type":"ping"}}`)), "and no late answer")
		page, err := b.broker.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 2})
		require.NoError(t, err)
		require.Len(t, page.Entries, 2)
	})
}

// A gateway that dies between doing and noting: the batch is done again when its lease is over, and its
// events, though they have no ids, are those that there are.
func TestABatchWhoseReceiptIsLost(t *testing.T) {
	twoGateways(t, func(t *testing.T, w *world, a, b *inhabitant, _ *heldBroker, book *unwell) {
		token := w.token("alice")
		book.set(false, true)
		first := a.command(token, publishSeq1)
		require.Equal(t, []string{"published", "published"}, types(first))
		book.set(false, false)
		in := b.begin(t.Context(), http.MethodPost, "/v1/commands", token, publishSeq1).answer()
		require.Equal(t, wire.CodeInProgress, in.code(t, http.StatusConflict))
		w.pass(receipt.DefaultLease)
		second := b.command(token, publishSeq1)
		for i := range second {
			require.True(t, second[i].Duplicate)
			require.Equal(t, first[i].Cursor, second[i].Cursor)
			require.Equal(t, first[i].ID, second[i].ID)
		}
		require.Equal(t, []string{"pong"}, types(a.command(token, `{"session":"s","seq":2,"frames":{"type":"ping"}}`)))
	})
}

// Without its book a gateway does nothing that has a number.
func TestCommandsWithoutTheBook(t *testing.T) {
	twoGateways(t, func(t *testing.T, w *world, a, b *inhabitant, _ *heldBroker, book *unwell) {
		token := w.token("alice")
		book.set(true, false)
		p := a.begin(t.Context(), http.MethodPost, "/v1/commands", token, publishSeq1).answer()
		require.Equal(t, wire.CodeUnavailable, p.code(t, http.StatusServiceUnavailable))
		page, err := b.broker.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 1})
		require.NoError(t, err)
		require.False(t, page.Exists)
		require.Equal(t, []string{"pong"}, types(a.command(token, `{"session":"s","frames":{"type":"ping"}}`)))
		book.set(false, false)
		require.Equal(t, []string{"published", "published"}, types(a.command(token, publishSeq1)))
	})
}

// A client that does not wait for its turn, or its answer, takes nothing with it.
func TestClientsOfCommandsThatGo(t *testing.T) {
	twoGateways(t, func(t *testing.T, w *world, a, b *inhabitant, held *heldBroker, _ *unwell) {
		token := w.token("alice")
		held.set(true)
		ctx, cancel := context.WithCancel(t.Context())
		first := a.begin(ctx, http.MethodPost, "/v1/commands", token, publishSeq1)
		synctest.Wait()
		second := a.begin(ctx, http.MethodPost, "/v1/commands", token, publishSeq1)
		synctest.Wait()
		cancel()
		synctest.Wait()
		<-second.done
		held.set(false)
		<-first.done
		frames := b.command(token, publishSeq1)
		require.Equal(t, []string{"published", "published"}, types(frames))
		page, err := b.broker.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 2})
		require.NoError(t, err)
		require.Len(t, page.Entries, 2)
	})
}
