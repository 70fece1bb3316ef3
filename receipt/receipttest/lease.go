package receipttest

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/receipt"
)

// Times of cases that wait for them to pass.
const (
	lease = 200 * time.Millisecond
	ttl   = 400 * time.Millisecond
)

func testInProgress(s *suite) {
	a, b := s.pair()
	k := s.key()
	token := a.begin(k, 3)
	b.busy(k, 3)
	a.busy(k, 3)
	b.busy(k, 4)
	b.expects(k, 5, 3)
	b.expects(k, 2, 3)
	a.end(k, 3, token, "three")
	b.answered(k, 3, "three")
	token = b.begin(k, 4)
	a.busy(k, 4)
	a.expects(k, 3, 4)
	b.end(k, 4, token, "four")
	require.EqualValues(s, 4, total(a, b).InProgress)
}

// A batch that was given up is begun again, and its first owner has no say in it any more.
func testLeaseOver(s *suite) {
	o := receipt.Options{Lease: lease}
	a, b := s.gateway(o), s.gateway(o)
	k := s.key()
	stale := a.begin(k, 1)
	got, err := b.whenFree(k, 1)
	require.NoError(s, err)
	require.Nil(s, got.Answer)
	require.NotEqual(s, stale, got.Token)
	a.end(k, 1, stale, "stale")
	require.EqualValues(s, 1, total(a, b).Superseded)
	b.end(k, 1, got.Token, "fresh")
	a.answered(k, 1, "fresh")
	a.end(k, 1, stale, "stale")
	b.end(k, 1, got.Token, "closed again")
	a.answered(k, 1, "fresh")
}

// Whoever was slow, but is still the one, counts.
func testLateClose(s *suite) {
	a := s.gateway(receipt.Options{Lease: lease})
	k, other := s.key(), s.key()
	token := a.begin(k, 1)
	later := a.begin(other, 1)
	_, err := a.whenFree(other, 1) // the lease that was taken first is over too
	require.NoError(s, err)
	require.NotEmpty(s, later)
	a.end(k, 1, token, "late")
	a.answered(k, 1, "late")
	a.do(k, 2, "two")
}

// The batch after one that was given up is not begun: nobody knows how far that one came.
func testAbandoned(s *suite) {
	a := s.gateway(receipt.Options{Lease: lease})
	k := s.key()
	a.begin(k, 1)
	_, err := a.whenFree(k, 2)
	order, ok := errors.AsType[*receipt.OrderError](err)
	require.True(s, ok, "%v", err)
	require.EqualValues(s, 1, order.Expected)
	a.do(k, 1, "one")
	a.do(k, 2, "two")
}

// What was done is remembered, even where the store has forgotten that it was begun.
func testLostState(s *suite) {
	a, b := s.pair()
	k := s.key()
	a.end(k, 9, "token of a lost batch", "nine")
	b.answered(k, 9, "nine")
	b.expects(k, 8, 10)
	b.do(k, 10, "ten")
	a.end(k, 9, "token of a lost batch", "too late")
	a.answered(k, 10, "ten")
}

func testExpires(s *suite) {
	a := s.gateway(receipt.Options{Lease: lease, TTL: ttl})
	closed, open := s.key(), s.key()
	a.do(closed, 5, "five")
	a.begin(open, 5)
	for _, k := range []receipt.Key{closed, open} {
		deadline := time.Now().Add(Patience)
		for {
			o, err := a.Open(s.ctx, k, 2)
			if err == nil {
				require.NotEmpty(s, o.Token)
				break
			}
			order, ok := errors.AsType[*receipt.OrderError](err)
			require.True(s, ok, "%v", err)
			require.Contains(s, []uint64{5, 6}, order.Expected)
			require.False(s, time.Now().After(deadline), "the state has not expired")
			pause()
		}
	}
}

func testEnded(s *suite) {
	a, _ := s.pair()
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	k := s.key()
	_, err := a.Open(ctx, k, 1)
	require.ErrorIs(s, err, receipt.ErrUnavailable)
	require.ErrorIs(s, err, context.Canceled)
	require.ErrorIs(s, a.Close(ctx, k, 1, "token", nil), receipt.ErrUnavailable)
	require.EqualValues(s, 2, total(a).Unavailable)
	a.do(k, 3, "three")
}
