package redisreceipt_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/receipt"
	"github.com/tallywire/tallywire/receipt/receipttest"
	"github.com/tallywire/tallywire/receipt/redisreceipt"
)

func TestMain(m *testing.M) {
	redisconn.LogTo(func(string) {}) // connections break on purpose here
	goleak.VerifyTestMain(m)
}

type backend struct{ server *redistest.Server }

func (b backend) Book(t *testing.T, o receipt.Options) receipttest.Book {
	t.Helper()
	return open(t, b.server.URL(), redisreceipt.Options{Options: o})
}

func TestSuite(t *testing.T) {
	server := redistest.Start(t)
	receipttest.Run(t, func(*testing.T) receipttest.Backend {
		server.Do("FLUSHALL")
		return backend{server}
	})
}

func client(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	c, _, err := redisconn.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func open(t testing.TB, url string, o redisreceipt.Options) *redisreceipt.Book {
	t.Helper()
	b, err := redisreceipt.New(client(t, url), o)
	require.NoError(t, err)
	return b
}

var key = receipt.Key{User: "alice", Session: "s1"}

// A reply that is lost is asked for again, and finds what the first call did.
func TestLostReplies(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	b := open(t, proxy.URL(), redisreceipt.Options{})
	require.NoError(t, b.Load(t.Context()))
	proxy.LoseReplies(1, "tw_receipt_open")
	o, err := b.Open(t.Context(), key, 1)
	require.NoError(t, err)
	require.Zero(t, proxy.Lost())
	proxy.LoseReplies(1, "tw_receipt_close")
	require.NoError(t, b.Close(t.Context(), key, 1, o.Token, []byte("one")))
	require.Zero(t, proxy.Lost())
	require.Zero(t, b.Stats().Superseded)
	o, err = b.Open(t.Context(), key, 1)
	require.NoError(t, err)
	require.Equal(t, "one", string(o.Answer))

	proxy.LoseReplies(2, "tw_receipt_open")
	_, err = b.Open(t.Context(), key, 2)
	require.ErrorIs(t, err, receipt.ErrUnavailable)
}

// A Redis that is away costs no patience, one that hangs no more than the timeout.
func TestRedisIsAway(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	b := open(t, proxy.URL(), redisreceipt.Options{Timeout: 300 * time.Millisecond})
	o, err := b.Open(t.Context(), key, 1)
	require.NoError(t, err)
	within := func(limit time.Duration) {
		t.Helper()
		begun := time.Now()
		_, err := b.Open(t.Context(), key, 2)
		require.ErrorIs(t, err, receipt.ErrUnavailable)
		require.ErrorIs(t, b.Close(t.Context(), key, 1, o.Token, []byte("x")), receipt.ErrUnavailable)
		require.Less(t, time.Since(begun), limit)
	}
	proxy.Cut()
	within(time.Second)
	proxy.Heal()
	require.NoError(t, b.Close(t.Context(), key, 1, o.Token, []byte("one")))
	proxy.Stall()
	within(2 * time.Second)
	proxy.Heal()
	require.NotZero(t, b.Stats().Unavailable)

	// A Redis without its data, library included, is like a new one.
	s.Restart()
	require.Eventually(t, func() bool {
		o, err = b.Open(t.Context(), key, 7)
		return err == nil
	}, receipttest.Patience, 5*time.Millisecond)
	require.NotEmpty(t, o.Token)
	s.Do("FUNCTION", "FLUSH")
	s.Do("FLUSHALL")
	require.NoError(t, b.Close(t.Context(), key, 7, o.Token, []byte("seven")), "what was done is remembered by a Redis that has lost all")
	again, err := open(t, s.URL(), redisreceipt.Options{}).Open(t.Context(), key, 7)
	require.NoError(t, err)
	require.Equal(t, "seven", string(again.Answer))
}

// What is kept expires, and stands where the documents say.
func TestKeys(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), redisreceipt.Options{Prefix: "app", Options: receipt.Options{TTL: time.Minute}})
	left := func() int64 {
		ms, _ := s.Do("PTTL", "app:session:{YWxpY2U/czE}:commands").(int64)
		return ms
	}
	o, err := b.Open(t.Context(), key, 1)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.Do("DBSIZE"))
	require.InDelta(t, time.Minute.Milliseconds(), left(), 5000)
	s.Do("PEXPIRE", "app:session:{YWxpY2U/czE}:commands", 10_000)
	require.NoError(t, b.Close(t.Context(), key, 1, o.Token, []byte("one")))
	require.InDelta(t, time.Minute.Milliseconds(), left(), 5000)
	s.Do("PEXPIRE", "app:session:{YWxpY2U/czE}:commands", 10_000)
	_, err = b.Open(t.Context(), key, 1)
	require.NoError(t, err)
	require.InDelta(t, time.Minute.Milliseconds(), left(), 5000, "who repeats is still there")
	_, err = b.Open(t.Context(), key, 2)
	require.NoError(t, err)
	require.EqualValues(t, 0, s.Do("HEXISTS", "app:session:{YWxpY2U/czE}:commands", "a"), "the answer before is forgotten")
	require.EqualValues(t, 1, s.Do("DBSIZE"))
}

// Where memory is short nothing new is begun, and what was done is still remembered.
func TestOutOfMemory(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), redisreceipt.Options{})
	o, err := b.Open(t.Context(), key, 1)
	require.NoError(t, err)
	s.Do("CONFIG", "SET", "maxmemory", "1mb")
	_, err = b.Open(t.Context(), receipt.Key{User: "bob", Session: "s"}, 1)
	require.ErrorIs(t, err, receipt.ErrUnavailable)
	require.NoError(t, b.Close(t.Context(), key, 1, o.Token, []byte("one")))
	s.Do("CONFIG", "SET", "maxmemory", "0")
	o, err = b.Open(t.Context(), key, 1)
	require.NoError(t, err)
	require.Equal(t, "one", string(o.Answer))
}

func TestRefusals(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), redisreceipt.Options{})
	require.NoError(t, b.Load(t.Context()))
	for _, args := range [][]any{
		{"tw_receipt_open", 0, 1, "t", 1, 1},
		{"tw_receipt_open", 1, "k", "x", "t", 1, 1},
		{"tw_receipt_open", 1, "k", 1, "", 1, 1},
		{"tw_receipt_open", 1, "k", 1, "t", 1},
		{"tw_receipt_open", 1, "k", 1, "t", 1, "x"},
		{"tw_receipt_close", 0, 1, "t", 1, 1, ""},
		{"tw_receipt_close", 1, "k", 1, "t", 1, 2, ""},
		{"tw_receipt_close", 1, "k", 1, "", 1, 1, ""},
		{"tw_receipt_close", 1, "k", 1, "t", "x", 1, ""},
		{"tw_receipt_close", 1, "k", 1, "t", 1, 1},
	} {
		err := s.Admin().Do(t.Context(), append([]any{"FCALL"}, args...)...).Err()
		require.ErrorContains(t, err, "ERR tallywire invalid_option", "%v", args)
	}
	require.EqualValues(t, 0, s.Do("DBSIZE"))
	s.Do("SET", "tw:session:{YWxpY2U/czE}:commands", "somebody else's")
	_, err := b.Open(t.Context(), key, 1)
	require.ErrorIs(t, err, receipt.ErrUnavailable)
}

func TestLibrary(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), redisreceipt.Options{})
	state, err := b.LibraryState(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, "missing", state)
	require.NoError(t, b.Load(t.Context()))
	state, err = b.LibraryState(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, "same", state)
	require.EqualValues(t, 1, s.Do("FCALL_RO", "tw_receipt_version", 0))
	require.Contains(t, b.Library(), "\n-- tallywire-version: 1\n")
	require.Contains(t, b.Library(), "\nlocal VERSION = 1\n")
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []redisreceipt.Options{
		{Prefix: "tw{"},
		{Timeout: -1},
		{Options: receipt.Options{Lease: 1}},
		{Options: receipt.Options{TTL: time.Second, Lease: time.Minute}},
	} {
		_, err := redisreceipt.New(nil, o)
		require.Error(t, err, "%+v", o)
	}
}
