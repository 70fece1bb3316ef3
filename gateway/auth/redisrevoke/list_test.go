package redisrevoke

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
)

const secret = "0123456789abcdef0123456789abcdef"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	client, _, err := redisconn.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// sorted returns the list by name.
func sorted(t *testing.T, l *List) map[string]auth.Revocation {
	t.Helper()
	list, err := l.List(t.Context())
	require.NoError(t, err)
	byName := map[string]auth.Revocation{}
	for _, r := range list {
		require.NotEqual(t, r.TokenID == "", r.User == "", "a token or a user: %+v", r)
		byName[r.TokenID+r.User] = r
	}
	require.Len(t, byName, len(list), "no entry twice")
	return byName
}

func TestRevokeAndList(t *testing.T) {
	server := redistest.Start(t)
	mine, yours := New(open(t, server.URL()), ""), New(open(t, server.URL()), "tw")
	require.Empty(t, sorted(t, mine))

	now := time.Now().Truncate(time.Microsecond)
	expires := now.Add(time.Hour).Truncate(time.Millisecond)
	before := now.Add(-time.Minute)
	require.NoError(t, mine.Revoke(t.Context(), auth.Revocation{TokenID: "t:1", Expires: expires}))
	require.NoError(t, mine.Revoke(t.Context(), auth.Revocation{User: "idp|alice:x", Before: before, Expires: expires}))
	require.NoError(t, mine.Revoke(t.Context(), auth.Revocation{User: "bob"}))

	for _, list := range []*List{mine, yours} {
		got := sorted(t, list)
		require.Len(t, got, 3)
		require.Equal(t, expires.Add(expiryMargin), got["t:1"].Expires)
		require.Equal(t, before, got["idp|alice:x"].Before, "to the microsecond")
		require.Equal(t, expires.Add(expiryMargin), got["idp|alice:x"].Expires)
		require.WithinDuration(t, now, got["bob"].Before, time.Minute)
		require.Equal(t, auth.DefaultRevocationKeep, got["bob"].Expires.Sub(got["bob"].Before).Round(time.Second))
	}
	require.Equal(t, []any{"tw:_revoked"}, server.Do("KEYS", "*"))
	other := New(open(t, server.URL()), "other")
	require.Empty(t, sorted(t, other))
}

func TestRevokingAgainKeepsTheLaterTimes(t *testing.T) {
	list := New(open(t, redistest.Start(t).URL()), "")
	now := time.Now().Truncate(time.Second)
	for _, r := range []struct{ before, expires time.Duration }{
		{-time.Hour, 2 * time.Hour}, {-time.Minute, time.Hour}, {-2 * time.Hour, 30 * time.Minute},
	} {
		require.NoError(t, list.Revoke(t.Context(), auth.Revocation{
			User: "alice", Before: now.Add(r.before), Expires: now.Add(r.expires),
		}))
		require.NoError(t, list.Revoke(t.Context(), auth.Revocation{TokenID: "t-1", Expires: now.Add(r.expires)}))
	}
	got := sorted(t, list)
	require.Len(t, got, 2)
	require.Equal(t, now.Add(-time.Minute), got["alice"].Before)
	require.Equal(t, now.Add(2*time.Hour).Add(expiryMargin), got["alice"].Expires)
	require.Equal(t, now.Add(2*time.Hour).Add(expiryMargin), got["t-1"].Expires)
}

func TestListIsReadOnlyAfterAChange(t *testing.T) {
	server := redistest.Start(t)
	list := New(open(t, server.URL()), "")
	require.NoError(t, list.Revoke(t.Context(), auth.Revocation{TokenID: "t-1"}))
	first, err := list.List(t.Context())
	require.NoError(t, err)
	second, err := list.List(t.Context())
	require.NoError(t, err)
	require.Same(t, &first[0], &second[0])

	// Versions grow even when the clock has been set back.
	future := time.Now().Add(time.Hour).UnixMicro()
	server.Do("ZADD", "tw:_revoked", "-"+strconv.FormatInt(future, 10), "v")
	require.NoError(t, list.Revoke(t.Context(), auth.Revocation{TokenID: "t-2"}))
	require.Len(t, sorted(t, list), 2)
	require.Equal(t, "-"+strconv.FormatInt(future+1, 10), server.Do("ZSCORE", "tw:_revoked", "v"))

	server.Do("FLUSHALL")
	require.Empty(t, sorted(t, list), "a store that lost its data says so")
}

func TestEntriesEnd(t *testing.T) {
	server := redistest.Start(t)
	list := New(open(t, server.URL()), "")
	require.NoError(t, list.Revoke(t.Context(), auth.Revocation{TokenID: "late", Expires: time.Now().Add(-time.Hour)}))
	require.Equal(t, []any{}, server.Do("KEYS", "*"), "nothing is left to revoke")

	server.Do("ZADD", "tw:_revoked", 1, "t:old", 2, "u:al:ice", -5, "b:al:ice", -7, "b:bob")
	require.NoError(t, list.Revoke(t.Context(), auth.Revocation{TokenID: "t-1", Expires: time.Now().Add(time.Hour)}))
	require.ElementsMatch(t, []any{"v", "b:bob", "t:t-1"}, server.Do("ZRANGE", "tw:_revoked", 0, -1))

	ttl, ok := server.Do("PTTL", "tw:_revoked").(int64)
	require.True(t, ok)
	require.InDelta(t, float64((time.Hour + expiryMargin).Milliseconds()), float64(ttl), 60_000)
}

func TestListIsBounded(t *testing.T) {
	list := New(open(t, redistest.Start(t).URL()), "")
	list.max = 3
	for _, r := range []auth.Revocation{{User: "alice"}, {TokenID: "t-1"}, {TokenID: "t-2"}} {
		require.NoError(t, list.Revoke(t.Context(), r))
	}
	require.ErrorIs(t, list.Revoke(t.Context(), auth.Revocation{TokenID: "t-3"}), auth.ErrRevocationsFull)
	require.NoError(t, list.Revoke(t.Context(), auth.Revocation{User: "alice"}), "it is there already")
	require.Len(t, sorted(t, list), 3)
}

func TestRevokeRefusesWhatIsMalformed(t *testing.T) {
	server := redistest.Start(t)
	list := New(open(t, server.URL()), "")
	for _, r := range []auth.Revocation{{}, {User: "a", TokenID: "b"}, {User: "a\nb"}, {TokenID: "é"}} {
		require.Error(t, list.Revoke(t.Context(), r))
	}
	require.Equal(t, []any{}, server.Do("KEYS", "*"))
}

// gateway is an authenticator that runs, with alice let in.
func gateway(t *testing.T, revocations auth.Revocations, every time.Duration) (*auth.Authenticator, *auth.Principal) {
	t.Helper()
	a, err := auth.New(auth.Options{Secret: secret, Revocations: revocations, RevocationsEvery: every})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	token, err := auth.Mint([]byte(secret), auth.Claims{User: "alice", ID: "t-1"}, time.Hour)
	require.NoError(t, err)
	p, err := a.Authenticate(t.Context(), token)
	require.NoError(t, err)
	return a, p
}

// subscribed reports whether n subscriptions to the list's broadcasts are there.
func subscribed(server *redistest.Server, n int64) func() bool {
	return func() bool {
		counts, ok := server.Do("PUBSUB", "NUMSUB", "tw:_revoked").([]any)
		return ok && len(counts) == 2 && counts[1] == n
	}
}

func TestRevocationReachesEveryGatewayAtOnce(t *testing.T) {
	server := redistest.Start(t)
	one, alice := gateway(t, New(open(t, server.URL()), ""), time.Hour)
	two, _ := gateway(t, New(open(t, server.URL()), ""), time.Hour)
	server.Eventually("two subscriptions", subscribed(server, 2))
	require.NoError(t, New(open(t, server.URL()), "").Revoke(t.Context(), auth.Revocation{TokenID: "t-1"}))
	server.Eventually("revoked everywhere", func() bool { return one.Revoked(alice) && two.Revoked(alice) })
}

// deaf is a list whose broadcasts are lost.
type deaf struct{ auth.Revocations }

func (deaf) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}

func TestLostBroadcastIsCaughtByReading(t *testing.T) {
	server := redistest.Start(t)
	list := New(open(t, server.URL()), "")
	a, alice := gateway(t, deaf{list}, 20*time.Millisecond)
	require.NoError(t, list.Revoke(t.Context(), auth.Revocation{User: "alice", Before: time.Now().Add(time.Second)}))
	server.Eventually("a read in turn", func() bool { return a.Revoked(alice) })
}

func TestWatchSubscribesAgain(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	a, alice := gateway(t, New(open(t, proxy.URL()), ""), time.Hour)
	server.Eventually("a subscription", subscribed(server, 1))
	proxy.Cut()
	server.Eventually("no subscription", subscribed(server, 0))
	require.NoError(t, New(open(t, server.URL()), "").Revoke(t.Context(), auth.Revocation{TokenID: "t-1"}))
	require.False(t, a.Revoked(alice))
	proxy.Heal()
	server.Eventually("what was missed is read after subscribing", func() bool { return a.Revoked(alice) })
}

func TestAStoreThatIsAwayIsATemporaryError(t *testing.T) {
	server := redistest.Start(t)
	list := New(open(t, server.URL()), "")
	server.Kill()
	a, err := auth.New(auth.Options{Secret: secret, Revocations: list})
	require.NoError(t, err)
	token, err := auth.Mint([]byte(secret), auth.Claims{User: "alice"}, time.Hour)
	require.NoError(t, err)
	_, err = a.Authenticate(t.Context(), token)
	require.Equal(t, auth.CodeRevocationsUnavailable, auth.CodeOf(err))
	require.Error(t, list.Revoke(t.Context(), auth.Revocation{TokenID: "t-1"}))
}

func TestParseReplyRefusesOtherShapes(t *testing.T) {
	for _, reply := range [][]any{
		{}, {"1", "2"}, {1, []any{}}, {"1", []any{"t:1"}}, {"1", []any{1, "2"}}, {"1", []any{"t:1", "x"}}, {"1", []any{}, 3},
	} {
		_, _, err := parseReply(reply)
		require.Error(t, err, "%v", reply)
	}
}
