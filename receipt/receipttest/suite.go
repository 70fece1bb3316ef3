package receipttest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/receipt"
)

// Patience bounds every wait of the suite.
const Patience = 20 * time.Second

// Book is what is tested.
type Book interface {
	receipt.Book
	Stats() receipt.Stats
}

// Backend is one store under test.
type Backend interface {
	// Book returns a gateway's book over the store; all of one case have the same options. What else it needs
	// it releases with t.Cleanup.
	Book(t *testing.T, o receipt.Options) Book
}

// Run tests an implementation. Every case gets a new backend.
func Run(t *testing.T, newBackend func(t *testing.T) Backend) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(s *suite)
	}{
		{"FirstNumberIsTaken", testFirst},
		{"InOrder", testInOrder},
		{"RepeatedAtAnotherGateway", testRepeated},
		{"AnswersAreBytes", testAnswers},
		{"TooLargeToKeep", testTooLarge},
		{"InProgress", testInProgress},
		{"LeaseIsOver", testLeaseOver},
		{"LateClose", testLateClose},
		{"NextAfterAbandoned", testAbandoned},
		{"CloseOfLostState", testLostState},
		{"StateExpires", testExpires},
		{"SessionsAreApart", testApart},
		{"InvalidArguments", testInvalid},
		{"EndedContext", testEnded},
		{"OneWins", testOneWins},
		{"EachOnce", testEachOnce},
		{"Model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
			defer cancel()
			c.run(&suite{T: t, ctx: ctx, backend: newBackend(t)})
		})
	}
}

// suite is a case in progress.
type suite struct {
	*testing.T
	ctx     context.Context //nolint:containedctx // a test's context, for the helpers
	backend Backend
}

// pair returns two gateways' books whose leases do not end by themselves during a case.
func (s *suite) pair() (a, b gateway) {
	return s.gateway(receipt.Options{Lease: time.Minute}), s.gateway(receipt.Options{Lease: time.Minute})
}

func (s *suite) gateway(o receipt.Options) gateway {
	s.Helper()
	return gateway{s.backend.Book(s.T, o), s}
}

var keys atomic.Int64

// key returns a new session.
func (s *suite) key() receipt.Key {
	return receipt.Key{User: "alice", Session: fmt.Sprintf("s%d", keys.Add(1))}
}

// gateway is a book in the hands of a case.
type gateway struct {
	Book
	s *suite
}

// total adds up what books have done; where gateways share a book, it counts once.
func total(gateways ...gateway) (t receipt.Stats) {
	seen := map[Book]bool{}
	for _, g := range gateways {
		if seen[g.Book] {
			continue
		}
		seen[g.Book] = true
		s := g.Stats()
		t.Begun += s.Begun
		t.Repeated += s.Repeated
		t.InProgress += s.InProgress
		t.OutOfOrder += s.OutOfOrder
		t.Unavailable += s.Unavailable
		t.Superseded += s.Superseded
		t.NotKept += s.NotKept
	}
	return t
}

// begin opens a batch that must not have been done, and returns its token.
func (g gateway) begin(k receipt.Key, seq uint64) string {
	g.s.Helper()
	o, err := g.Open(g.s.ctx, k, seq)
	require.NoError(g.s, err)
	require.Nil(g.s, o.Answer)
	require.NotEmpty(g.s, o.Token)
	return o.Token
}

func (g gateway) end(k receipt.Key, seq uint64, token, answer string) {
	g.s.Helper()
	require.NoError(g.s, g.Close(g.s.ctx, k, seq, token, []byte(answer)))
}

func (g gateway) do(k receipt.Key, seq uint64, answer string) {
	g.s.Helper()
	g.end(k, seq, g.begin(k, seq), answer)
}

// answered requires that a batch was done with an answer.
func (g gateway) answered(k receipt.Key, seq uint64, answer string) {
	g.s.Helper()
	o, err := g.Open(g.s.ctx, k, seq)
	require.NoError(g.s, err)
	require.Empty(g.s, o.Token)
	require.NotNil(g.s, o.Answer)
	require.Equal(g.s, answer, string(o.Answer))
}

// expects requires that a batch is refused, and another one is named.
func (g gateway) expects(k receipt.Key, seq, expected uint64) {
	g.s.Helper()
	_, err := g.Open(g.s.ctx, k, seq)
	order, ok := errors.AsType[*receipt.OrderError](err)
	require.True(g.s, ok, "%v", err)
	require.Equal(g.s, expected, order.Expected)
}

func (g gateway) busy(k receipt.Key, seq uint64) {
	g.s.Helper()
	_, err := g.Open(g.s.ctx, k, seq)
	require.ErrorIs(g.s, err, receipt.ErrInProgress)
}

// whenFree opens a batch as soon as it is not in progress any more.
func (g gateway) whenFree(k receipt.Key, seq uint64) (receipt.Opened, error) {
	g.s.Helper()
	deadline := time.Now().Add(Patience)
	for {
		o, err := g.Open(g.s.ctx, k, seq)
		if !errors.Is(err, receipt.ErrInProgress) || time.Now().After(deadline) {
			return o, err
		}
		pause()
	}
}

// pause waits a moment between two looks at a state.
func pause() {
	timer := time.NewTimer(2 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
}
