package memreceipt_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/receipt"
	"github.com/tallywire/tallywire/receipt/memreceipt"
	"github.com/tallywire/tallywire/receipt/receipttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is the store of one process: whoever asks gets the same book.
type backend struct{ book *memreceipt.Book }

func (b *backend) Book(t *testing.T, o receipt.Options) receipttest.Book {
	t.Helper()
	if b.book == nil {
		var err error
		b.book, err = memreceipt.New(memreceipt.Options{Options: o})
		require.NoError(t, err)
	}
	return b.book
}

func TestSuite(t *testing.T) {
	receipttest.Run(t, func(*testing.T) receipttest.Backend { return &backend{} })
}

func key(i int) receipt.Key { return receipt.Key{User: "u", Session: fmt.Sprint(i)} }

// Memory is bounded: by the number of sessions, by the answers' size, and by time.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := memreceipt.New(memreceipt.Options{MaxSessions: 3, MaxBytes: 100})
		require.NoError(t, err)
		for i := range 3 {
			o, err := b.Open(t.Context(), key(i), 1)
			require.NoError(t, err)
			require.NoError(t, b.Close(t.Context(), key(i), 1, o.Token, []byte(strings.Repeat("x", 40))))
			time.Sleep(time.Second)
		}
		sessions, bytes := b.Held()
		require.Equal(t, 3, sessions)
		require.Equal(t, 80, bytes, "the third answer does not fit")
		require.EqualValues(t, 1, b.Stats().NotKept)
		_, err = b.Open(t.Context(), key(2), 1)
		var order *receipt.OrderError
		require.ErrorAs(t, err, &order)
		require.EqualValues(t, 2, order.Expected)

		_, err = b.Open(t.Context(), key(9), 1)
		require.ErrorIs(t, err, receipt.ErrOverloaded)
		require.ErrorIs(t, b.Close(t.Context(), key(9), 1, "token", nil), receipt.ErrOverloaded)
		require.EqualValues(t, 2, b.Stats().Overloaded)
		_, err = b.Open(t.Context(), key(1), 2)
		require.NoError(t, err, "who is known goes on")
		_, bytes = b.Held()
		require.Equal(t, 40, bytes)

		time.Sleep(receipt.DefaultTTL - 3*time.Second)
		_, err = b.Open(t.Context(), key(9), 1)
		require.NoError(t, err, "the first has expired")
		time.Sleep(receipt.DefaultTTL)
		sessions, bytes = b.Held()
		require.Zero(t, sessions)
		require.Zero(t, bytes)
	})
}

// The lease ends when it says, and not before.
func TestLeaseToTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := memreceipt.New(memreceipt.Options{})
		require.NoError(t, err)
		_, err = b.Open(t.Context(), key(1), 1)
		require.NoError(t, err)
		time.Sleep(receipt.DefaultLease - 1)
		_, err = b.Open(t.Context(), key(1), 1)
		require.ErrorIs(t, err, receipt.ErrInProgress)
		time.Sleep(time.Nanosecond)
		_, err = b.Open(t.Context(), key(1), 1)
		require.NoError(t, err)
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []memreceipt.Options{
		{MaxSessions: -1},
		{MaxBytes: -1},
		{Options: receipt.Options{Lease: time.Millisecond}},
		{Options: receipt.Options{TTL: time.Second, Lease: time.Minute}},
		{Options: receipt.Options{TTL: -1}},
	} {
		_, err := memreceipt.New(o)
		require.Error(t, err, "%+v", o)
	}
}
