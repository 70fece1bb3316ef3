package test

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/internal/redistest"
)

const (
	hangup    = syscall.SIGHUP
	terminate = syscall.SIGTERM
)

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// says waits until the gateway has logged something.
func (p *process) says(part string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return strings.Contains(p.log.String(), part) }, patience, poll, "waiting for %q", part)
}

// ended waits for the end, and returns the exit status and how long that took.
func (p *process) ended() (status int, took time.Duration) {
	p.t.Helper()
	began := time.Now()
	select {
	case <-p.done:
	case <-time.After(patience):
		require.Fail(p.t, "the gateway does not end")
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

// stubborn connects a client that does not move when it is told to.
func stubborn(t *testing.T, p *process) *goclient.Conn {
	t.Helper()
	conn, err := goclient.DialWith(t.Context(), goclient.DialOptions{URL: "http://" + p.addr, Token: token(t, "alice")})
	require.NoError(t, err)
	t.Cleanup(conn.CloseNow)
	return conn
}

// TestSignals: the first SIGTERM drains, the second closes the rest at once, the third ends the process.
func TestSignals(t *testing.T) {
	t.Run("twice", func(t *testing.T) {
		p := startGateway(t, "gw-1", "--drain-window", "10m").awaitReady()
		conn := stubborn(t, p)
		p.signal(terminate)
		p.says(`"event":"drain_started"`)
		p.signal(terminate)
		status, took := p.ended()
		require.Zero(t, status)
		require.Less(t, took, 4*time.Second, "although the client does not answer")
		var err error
		for err == nil {
			_, err = conn.Receive(t.Context())
		}
		require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(err), "it is told to come back, to another gateway")
	})
	t.Run("twice, with a request under way", func(t *testing.T) {
		p := startGateway(t, "gw-1", "--drain-window", "10m").awaitReady()
		underWay(t, p)
		stubborn(t, p)
		p.signal(terminate)
		p.says(`"event":"drain_started"`)
		p.signal(terminate)
		status, took := p.ended()
		require.Zero(t, status)
		require.Less(t, took, 4*time.Second, "shorter than requests get otherwise")
	})
	t.Run("three times", func(t *testing.T) {
		s := redistest.Start(t)
		p := startGateway(t, "gw-1", "--drain-window", "10m", "--redis", s.URL()).awaitReady()
		stubborn(t, p)
		p.signal(terminate)
		p.says(`"event":"drain_started"`)
		s.Pause() // so that there is something to wait for
		p.signal(terminate)
		p.says(`"event":"drain_ended"`)
		p.signal(terminate)
		status, took := p.ended()
		s.Continue()
		require.Less(t, took, 4*time.Second)
		if status != 0 { // it may have ended in order before that
			require.Equal(t, 1, status)
		}
	})
}

// underWay begins a request whose body does not come.
func underWay(t *testing.T, p *process) {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST /v1/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "+token(t, "alice")+
		"\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n")
	require.NoError(t, err)
	line := make([]byte, 12)
	_, err = io.ReadFull(conn, line)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100", string(line), "the handler reads")
}

// TestSignalDuringTheStart: who is told to end before it has begun ends.
func TestSignalDuringTheStart(t *testing.T) {
	s := redistest.Start(t)
	s.Pause()
	defer s.Continue()
	for _, after := range []string{"", `"event":"listening"`} {
		p := startGateway(t, "gw-1", "--redis", s.URL())
		if after != "" {
			p.says(after)
		}
		p.signal(terminate)
		status, took := p.ended()
		require.Less(t, took, 10*time.Second)
		if p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() { //nolint:forcetypeassert // of this system
			require.Empty(t, p.log.String(), "before it was the program at all")
			continue
		}
		require.Zero(t, status, p.log.String())
	}
}

// TestDrainWithoutRedis: a gateway whose Redis is frozen, or gone, moves its clients and is out in time.
func TestDrainWithoutRedis(t *testing.T) {
	for name, trouble := range map[string]func(*redistest.Server){
		"frozen": (*redistest.Server).Pause, "gone": (*redistest.Server).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			p := startGateway(t, "gw-1", "--redis", s.URL()).awaitReady()
			conn := stubborn(t, p)
			require.NoError(t, conn.SendRaw(t.Context(), []byte(`[{"type":"subscribe","id":2,"channel":"jobs:1"},{"type":"presence","id":3,"channel":"jobs:1"}]`)))
			for seen := ""; !strings.Contains(seen, "subscribed"); {
				frames, err := conn.Receive(t.Context())
				require.NoError(t, err)
				for _, f := range frames {
					seen += string(f.Type) + " "
				}
			}
			trouble(s)
			defer s.Continue()
			p.signal(terminate)
			moved := false
			for {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				frames, err := conn.Receive(ctx)
				cancel()
				if err != nil {
					require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(err), "%v", err)
					break
				}
				for _, f := range frames {
					moved = moved || f.Type == "moving"
				}
			}
			require.True(t, moved)
			status, took := p.ended()
			require.Zero(t, status, p.log.String())
			require.Less(t, took, 15*time.Second)
			t.Logf("out %s after its last client", took.Round(time.Millisecond))
		})
	}
}
