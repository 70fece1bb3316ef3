package goclient

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// hall is the presence of a fake gateway: it notes what it is told, and answers.
type hall struct {
	mu     sync.Mutex
	frames []string                                         // "<connection> <type> …", of presence and subscribe
	held   map[int][]func()                                 // answers kept back, by connection
	hold   bool                                             // keep answers back
	refuse func(c *fakeConn, f *wire.ClientFrame) wire.Code // nil: never
}

func (h *hall) script(g *fakeGateway) {
	h.held = map[int][]func(){}
	g.onFrame = h.onFrame
}

func (h *hall) onFrame(c *fakeConn, f *wire.ClientFrame) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch f.Type {
	case wire.TypeSubscribe, wire.TypeUnsubscribe:
		h.frames = append(h.frames, fmt.Sprintf("%d %s %s", c.n, f.Type, f.Channels[0].Channel))
		return false
	case wire.TypePresence:
	default:
		return false
	}
	what := "keep"
	switch {
	case f.Leave:
		what = "leave"
	case f.Status != nil:
		what = string(f.Status)
	}
	h.frames = append(h.frames, fmt.Sprintf("%d presence %s %s", c.n, f.Channel, what))
	id, channel := []byte(strings.Clone(string(f.ID))), strings.Clone(f.Channel)
	answer := func() { c.send(wire.AppendPresent(nil, id, channel)) }
	if h.refuse != nil {
		if code := h.refuse(c, f); code != "" {
			answer = func() { c.fail(id, channel, code) }
		}
	}
	if h.hold {
		h.held[c.n] = append(h.held[c.n], answer)
	} else {
		answer()
	}
	return true
}

// release sends what was kept back, and lets later answers go.
func (h *hall) release(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = false
	for _, answer := range h.held[n] {
		answer()
	}
	delete(h.held, n)
}

func (h *hall) keepBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = true
}

// told returns what was noted since the last time.
func (h *hall) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.frames
	h.frames = nil
	return out
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func TestPresenceIsTold(t *testing.T) {
	var h hall
	g := newFake(t, h.script)
	c := start(t, g, nil)
	require.NoError(t, c.Presence(within(t), "m:7", raw(`{"at":1}`)))
	require.NoError(t, c.Presence(within(t), "m:7", nil))
	require.NoError(t, c.Presence(within(t), "m:8", nil))
	require.NoError(t, c.Presence(within(t), "m:7", raw(`null`)))
	require.NoError(t, c.LeavePresence(within(t), "m:7"))
	require.NoError(t, c.LeavePresence(within(t), "m:7"), "who is not there has left")
	require.Equal(t, []string{
		`0 presence m:7 {"at":1}`, `0 presence m:7 {"at":1}`, `0 presence m:8 keep`, `0 presence m:7 null`, `0 presence m:7 leave`,
	}, h.told())
	require.NoError(t, c.Presence(within(t), "m:7", nil))
	require.Equal(t, []string{"0 presence m:7 keep"}, h.told(), "what the status was before is forgotten")
}

func TestPresenceIsChecked(t *testing.T) {
	var h hall
	g := newFake(t, h.script)
	c := start(t, g, nil)
	require.ErrorIs(t, c.Presence(within(t), "m:7", raw(`"`+strings.Repeat("x", presence.MaxStatus)+`"`)), ErrStatusTooLarge)
	require.ErrorContains(t, c.Presence(within(t), "m:7", raw(`{`)), "no JSON")
	require.ErrorContains(t, c.Presence(within(t), "_dead", nil), "channel")
	require.ErrorContains(t, c.LeavePresence(within(t), "a{b}"), "channel")
	_, err := c.Members(within(t), "a b", "", 0)
	require.ErrorContains(t, err, "channel")
	require.Empty(t, h.told())
}

// On a new connection the session enters before it resumes, with its last status.
func TestPresenceComesBack(t *testing.T) {
	var h hall
	g := newFake(t, h.script)
	c := start(t, g, nil)
	follow(t, c, "m:7")
	require.NoError(t, c.Presence(within(t), "m:7", raw(`1`)))
	require.NoError(t, c.Presence(within(t), "m:7", raw(`2`)))
	require.NoError(t, c.Presence(within(t), "m:8", nil))
	require.NoError(t, c.LeavePresence(within(t), "m:8"))
	h.told()
	g.conn(0).cut()
	var told []string
	eventually(t, "the next connection", func() bool { told = append(told, h.told()...); return len(told) == 2 })
	require.Equal(t, []string{"1 presence m:7 2", "1 subscribe m:7"}, told)
}

// A client that moves is present on its next connection before it leaves the one that it has.
func TestPresenceMoves(t *testing.T) {
	var h hall
	onPipes(t, h.script, nil, func(t *testing.T, g *fakeGateway, c *Client) {
		require.NoError(t, c.Presence(t.Context(), "m:7", raw(`1`)))
		h.keepBack()
		g.conn(0).send(wire.AppendMoving(nil, 0))
		pass(5 * time.Second)
		require.Equal(t, []string{"0 presence m:7 1", "1 presence m:7 1"}, h.told())
		select {
		case <-g.conn(0).done:
			t.Error("the first connection was left too early")
		default:
		}
		h.release(1)
		synctest.Wait()
		select {
		case <-g.conn(0).done:
		default:
			t.Error("the first connection is still open")
		}
	})
}

// A leave that is under way when the client moves ends with the old connection, and is not undone.
func TestLeaveWhileMoving(t *testing.T) {
	var h hall
	onPipes(t, h.script, nil, func(t *testing.T, g *fakeGateway, c *Client) {
		require.NoError(t, c.Presence(t.Context(), "m:7", raw(`1`)))
		h.keepBack()
		left := make(chan error, 1)
		go func() { left <- c.LeavePresence(t.Context(), "m:7") }()
		synctest.Wait()
		g.conn(0).send(wire.AppendMoving(nil, 0))
		pass(time.Second)
		require.NoError(t, <-left)
		require.Equal(t, []string{"0 presence m:7 1", "0 presence m:7 leave"}, h.told())
		g.conn(1).cut()
		pass(time.Second)
		require.Empty(t, h.told())
	})
}

func TestStatusesAreConflated(t *testing.T) {
	var h hall
	onPipes(t, h.script, nil, func(t *testing.T, g *fakeGateway, c *Client) {
		h.keepBack()
		answers := make(chan error, 10)
		for i := range 10 {
			go func() { answers <- c.Presence(t.Context(), "m:7", raw(fmt.Sprint(i))) }()
			synctest.Wait()
		}
		require.Equal(t, []string{"0 presence m:7 0"}, h.told(), "one at a time")
		h.release(0)
		synctest.Wait()
		require.Equal(t, []string{"0 presence m:7 9"}, h.told(), "and then the last")
		for range 10 {
			require.NoError(t, <-answers)
		}
	})
}

// What the gateway cannot do now is tried again, what it will not do is told.
func TestPresenceRefused(t *testing.T) {
	var h hall
	var codes []wire.Code
	h.refuse = func(*fakeConn, *wire.ClientFrame) (code wire.Code) {
		if len(codes) > 0 {
			code, codes = codes[0], codes[1:]
		}
		return code
	}
	onPipes(t, h.script, nil, func(t *testing.T, g *fakeGateway, c *Client) {
		codes = []wire.Code{wire.CodeRateLimited, wire.CodeUnavailable, wire.CodeOverloaded}
		began := time.Now()
		require.NoError(t, c.Presence(t.Context(), "m:7", raw(`1`)))
		require.Len(t, h.told(), 4)
		require.Positive(t, time.Since(began), "not at once")
		require.Less(t, time.Since(began), 7*DefaultBackoffMin)

		codes = []wire.Code{wire.CodeForbidden}
		err := c.Presence(t.Context(), "m:7", raw(`2`))
		var refused *wire.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, wire.CodeForbidden, refused.Code)
		h.told()
		g.conn(0).cut()
		pass(time.Minute)
		require.Empty(t, h.told(), "nor is it tried on the next connection")

		codes = nil
		require.NoError(t, c.Presence(t.Context(), "m:7", nil))
		codes = []wire.Code{wire.CodeNotSubscribed}
		require.NoError(t, c.LeavePresence(t.Context(), "m:7"), "who is not there has left")
	})
}

// A call that is given up leaves nobody waiting, and is done all the same.
func TestPresenceGivenUp(t *testing.T) {
	var h hall
	onPipes(t, h.script, nil, func(t *testing.T, g *fakeGateway, c *Client) {
		h.keepBack()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			require.ErrorIs(t, c.Presence(ctx, "m:7", raw(`1`)), context.DeadlineExceeded)
			cancel()
		}
		c.mu.Lock()
		require.Empty(t, c.stays["m:7"].waiters)
		c.mu.Unlock()
		h.told()
		g.conn(0).cut()
		pass(time.Second)
		require.Equal(t, []string{"1 presence m:7 1"}, h.told())
		go func() {
			<-time.After(time.Minute)
			h.release(1)
		}()
		require.NoError(t, c.LeavePresence(t.Context(), "m:7"))
	})
}

func TestPresenceEndsWithTheClient(t *testing.T) {
	g := newFake(t, nil) // which does not answer
	c, err := New(Options{URL: g.srv.URL})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	told := make(chan error, 1)
	go func() { told <- c.Presence(within(t), "m:7", nil) }()
	eventually(t, "the call", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.stays["m:7"] != nil })
	cancel()
	require.NoError(t, <-ended)
	require.ErrorIs(t, <-told, ErrStopped)
	require.ErrorIs(t, c.Presence(within(t), "m:7", nil), ErrStopped)
	_, err = c.Members(within(t), "m:7", "", 0)
	require.ErrorIs(t, err, ErrStopped)
}

// Who unsubscribes a channel is not present there, also on the next connection; one who is present without
// a subscription is told to the gateway that knows of none.
func TestUnsubscribeEndsPresence(t *testing.T) {
	var h hall
	g := newFake(t, h.script)
	c := start(t, g, nil)
	s, _ := follow(t, c, "m:7")
	require.NoError(t, c.Presence(within(t), "m:7", nil))
	h.told()
	s.Unsubscribe()
	var told []string
	eventually(t, "both", func() bool { told = append(told, h.told()...); return len(told) == 2 })
	require.Equal(t, []string{"0 unsubscribe m:7", "0 presence m:7 leave"}, told)
	eventually(t, "forgotten", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.stays) == 0 })
	follow(t, c, "m:8")
	h.told()
	g.conn(0).cut()
	eventually(t, "the next connection", func() bool { told = h.told(); return len(told) > 0 })
	require.Equal(t, []string{"1 subscribe m:8"}, told)
}
