package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// Each channel is refused for itself, and the others are read.
func TestReadsWhatIsAllowed(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		long := strings.Repeat("j", 128)
		f := by.read(r, "alice", &auth.Permissions{Subscribe: []string{"jobs:*", "j*"}},
			now("jobs:1"), now("secret:1"), now("jobs:2"), now(`jobs:"}{`), now(long), now(long+`"j`),
			wire.StreamChannel{Channel: "jobs:3", Cursor: "x"}, wire.StreamChannel{Channel: "jobs:4", Since: "noon"})
		refused := map[string]wire.Frame{}
		for range 8 {
			if x := f.next(); x.Type == "error" {
				require.False(t, x.Retry)
				refused[x.Channel] = x
			} else {
				require.Equal(t, "subscribed", x.Type)
				refused[x.Channel] = wire.Frame{}
			}
		}
		for channel, want := range map[string]wire.Frame{
			"jobs:1": {}, "jobs:2": {},
			"secret:1": {Code: wire.CodeForbidden},
			`jobs:"}{`: {Code: wire.CodeInvalidChannel, Path: "/channels/3/channel"},
			"jobs:3":   {Code: wire.CodeInvalidCursor, Path: "/channels/6/cursor"},
			"jobs:4":   {Code: wire.CodeInvalidSince, Path: "/channels/7/since"},
		} {
			got, answered := refused[channel]
			require.True(t, answered, channel)
			require.Equal(t, want.Code, got.Code, channel)
			require.Equal(t, want.Path, got.Path, channel)
		}
		for n := range 3 {
			for _, channel := range []string{"secret:1", "jobs:1", "jobs:2", "jobs:3", "jobs:4", long} {
				r.publish(channel, event(n))
			}
		}
		came := map[string]int{}
		for range 9 {
			came[f.expect("event").Channel]++
		}
		require.Equal(t, map[string]int{"jobs:1": 3, "jobs:2": 3, long: 3}, came)
	})
}

// Where nothing may be read a poll is refused as a whole; the others can only say so.
func TestReadsNothingThatIsForbidden(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		f := by.read(r, "alice", &auth.Permissions{Subscribe: []string{"jobs:*"}}, now("secret:1"), now("secret:2"))
		if by.name == "poll" {
			_, err := f.tryNext()
			var refused refusal
			require.ErrorAs(t, err, &refused)
			require.Equal(t, http.StatusForbidden, refused.Status)
			require.Equal(t, wire.CodeForbidden, refused.Code)
			require.Equal(t, "secret:1", refused.Channel)
			return
		}
		require.Equal(t, "secret:1", f.expectError(wire.CodeForbidden).Channel)
		require.Equal(t, "secret:2", f.expectError(wire.CodeForbidden).Channel)
	})
}

func TestReadsAsManyChannelsAsItMay(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Subscriptions = 500 }})
		channels := make([]wire.StreamChannel, 501)
		for i := range channels {
			channels[i] = now(fmt.Sprintf("jobs:%d", i))
		}
		f := by.read(r, "alice", nil, channels[:500]...)
		for range 500 {
			f.expect("subscribed")
		}
		r.publish("jobs:0", event(0))
		r.publish("jobs:499", event(0))
		f.collect(2)

		f = by.read(r, "bob", nil, channels...)
		if by.name == "websocket" { // where they may come one by one
			for range 501 {
				if x := f.next(); x.Type == "error" {
					require.Equal(t, wire.CodeTooManySubscriptions, x.Code)
					return
				}
			}
			require.Fail(t, "one more than it may")
		}
		_, err := f.tryNext()
		var refused refusal
		require.ErrorAs(t, err, &refused)
		require.Equal(t, wire.CodeTooManySubscriptions, refused.Code)
		require.Equal(t, "/channels", refused.Path)
	})
}

// ended requires that a reader was ended with a code: over a WebSocket with the close code that goes with
// it, over the others with an end that says to come back with something else.
func (f *feed) ended(by transport, code wire.Code) {
	f.t.Helper()
	last, err := f.ending()
	var refused refusal
	switch {
	case by.name == "websocket":
		require.Equal(f.t, code, last.Code)
		require.Equal(f.t, wire.CloseUnauthorized, int(websocket.CloseStatus(err)), "%v", err)
	case by.name == "poll": // also where the next poll was the first to hear
		require.ErrorAs(f.t, err, &refused)
		require.Equal(f.t, code, refused.Code)
		require.Equal(f.t, http.StatusUnauthorized, refused.Status)
	default:
		require.Equal(f.t, code, last.Code)
		require.EqualError(f.t, err, "EOF", "an end as it should be")
	}
}

func TestEndsWithTheToken(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		token := mint(t, "alice", "", nil, time.Now(), 2*time.Second)
		expires := time.Now().Truncate(time.Second).Add(2 * time.Second)
		f := by.readWith(r, &feed{user: "alice", token: token, asked: []wire.StreamChannel{now("jobs:1")}})
		f.expect("subscribed")
		r.publish("jobs:1", event(1))
		f.collect(1)
		f.ended(by, wire.CodeTokenExpired)
		require.False(t, time.Now().Before(expires))
		require.Less(t, time.Since(expires), 3*time.Second)
		// With a new one it goes on where it was.
		last := r.publish("jobs:1", event(2))
		again := by.read(r, "alice", nil, f.here()...)
		require.True(t, again.expect("subscribed").Resumed)
		require.Equal(t, last, again.collect(1))
	})
}

func TestEndsWhenTheTokenIsRevoked(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		list := auth.NewMemory(nil)
		authenticator, err := auth.New(auth.Options{Secret: secret, Revocations: list, RevocationsEvery: time.Minute})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- authenticator.Run(ctx) }()
		defer func() {
			cancel()
			require.NoError(t, <-done)
		}()
		r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Auth = authenticator }})
		read := func(user, id string) *feed {
			f := by.readWith(r, &feed{
				user: user, session: id, token: mint(t, user, id, nil, time.Now(), time.Hour),
				asked: []wire.StreamChannel{now("jobs:1")},
			})
			f.expect("subscribed")
			return f
		}
		stolen, kept := read("alice", "stolen"), read("alice", "kept")
		require.NoError(t, list.Revoke(ctx, auth.Revocation{TokenID: "stolen"}))
		stolen.ended(by, wire.CodeTokenRevoked)
		r.publish("jobs:1", event(1))
		kept.collect(1)
	})
}
