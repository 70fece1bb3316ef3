package redisbroker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
)

func TestDoorbellRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prev := rapid.Uint64Range(0, 1<<53).Draw(t, "prev")
		want := broker.Entry{
			Cursor: broker.Cursor{
				Offset: rapid.Uint64Range(2, 1<<53).Draw(t, "offset"),
				Stamp:  rapid.Uint64Range(prev+1, 1<<54).Draw(t, "stamp"),
			},
			Prev:  prev,
			Event: []byte("{" + rapid.String().Draw(t, "event") + "}"),
		}
		got, signal, ok := parseDoorbell(fmt.Appendf(nil, "%s %d %s", want.Cursor, prev, want.Event))
		require.True(t, ok)
		require.False(t, signal)
		require.Equal(t, want, got)
	})
}

// FuzzDoorbell: whatever arrives, what is accepted says the same as its text.
func FuzzDoorbell(f *testing.F) {
	for _, s := range []string{"2-5 4 {}", "~ {}", "~ x", "", "2-5", "2-5 4", "18446744073709551616-5 4 {}", "2-5 5 {}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, signal, ok := parseDoorbell(payload)
		if !ok {
			return
		}
		if signal {
			require.Equal(t, string(payload), "~ "+string(e.Event))
			return
		}
		require.Greater(t, e.Cursor.Offset, uint64(1))
		require.Less(t, e.Prev, e.Cursor.Stamp)
		again, _, ok := parseDoorbell(fmt.Appendf(nil, "%s %d %s", e.Cursor, e.Prev, e.Event))
		require.True(t, ok)
		require.Equal(t, e, again)
	})
}

func TestParseUint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[0-9]{1,21}`).Draw(t, "digits")
		want, err := strconv.ParseUint(s, 10, 64)
		got, ok := parseUint([]byte(s))
		switch {
		case len(s) > 20:
			require.False(t, ok)
		case err != nil:
			require.False(t, ok)
		default:
			require.True(t, ok)
			require.Equal(t, want, got)
		}
	})
}

func TestDoorbellAllocatesNothing(t *testing.T) {
	payload := []byte(`41-1732441234567890 1732441234567889 {"n":1}`)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _, _ = parseDoorbell(payload) }))
}

// stream is a connection that reads from memory.
type stream struct {
	net.Conn
	io.Reader
}

func (s stream) Read(b []byte) (int, error)     { return s.Reader.Read(b) }
func (stream) Write(b []byte) (int, error)      { return len(b), nil }
func (stream) Close() error                     { return nil }
func (stream) SetWriteDeadline(time.Time) error { return nil }

func reading(b []byte) *conn {
	s := stream{Reader: bytes.NewReader(b)}
	return &conn{net: s, in: bufio.NewReaderSize(s, connReadBuffer)}
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func TestConnReadsPushes(t *testing.T) {
	c := reading([]byte("*3\r\n" + bulk("subscribe") + bulk("tw:{a}") + ":1\r\n" +
		"*3\r\n" + bulk("message") + bulk("tw:{a}") + bulk("2-5 4 {\r\n}") +
		"*3\r\n" + bulk("message") + bulk("tw:{a}") + bulk(string(make([]byte, maxMessage+1))) +
		"*2\r\n" + bulk("pong") + bulk("") +
		"*3\r\n" + bulk("unsubscribe") + "$-1\r\n" + ":0\r\n" +
		"-ERR only (P|S)SUBSCRIBE allowed\r\n"))
	var scratch []byte
	for _, want := range []struct {
		kind          byte
		name, payload string
	}{{'s', "tw:{a}", ""}, {'m', "tw:{a}", "2-5 4 {\r\n}"}, {'m', "tw:{a}", ""}, {'p', "", ""}, {'u', "", ""}} {
		var p push
		var err error
		p, scratch, err = c.next(scratch)
		require.NoError(t, err)
		require.Equal(t, want.kind, p.kind)
		require.Equal(t, want.name, string(p.name))
		require.Equal(t, want.payload, string(p.payload))
	}
	_, _, err := c.next(scratch)
	require.True(t, answered(err), "an error reply is told as one: %v", err)
	_, _, err = c.next(scratch)
	require.ErrorIs(t, err, io.EOF)
}

// FuzzConn: no bytes of a broken server make the reader panic, hang or take much memory.
func FuzzConn(f *testing.F) {
	f.Add([]byte("*3\r\n" + bulk("message") + bulk("tw:{a}") + bulk("2-5 4 {}")))
	f.Add([]byte("*3\r\n$-1\r\n"))
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$999999999\r\n"))
	f.Add([]byte("-\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := reading(b)
		var scratch []byte
		for range len(b) + 1 {
			var p push
			var err error
			if p, scratch, err = c.next(scratch); err != nil {
				return
			}
			require.LessOrEqual(t, len(p.payload), maxMessage)
		}
		t.Fatal("more messages than bytes")
	})
}

func TestClassify(t *testing.T) {
	for text, want := range map[string]error{
		"LOADING Redis is loading the dataset in memory":         broker.ErrUnavailable,
		"READONLY You can't write against a read only replica.":  broker.ErrUnavailable,
		"MASTERDOWN Link with MASTER is down":                    broker.ErrUnavailable,
		"NOREPLICAS Not enough good replicas to write.":          broker.ErrUnavailable,
		"ERR max number of clients reached":                      broker.ErrUnavailable,
		"ERR Function not found":                                 broker.ErrUnavailable,
		"OOM command not allowed when used memory > 'maxmemory'": broker.ErrRefused,
		"NOPERM this user has no permissions":                    broker.ErrRefused,
		"WRONGTYPE Operation against a key":                      broker.ErrRefused,
		"WRONGPASS invalid username-password pair":               broker.ErrRefused,
		"ERR tallywire invalid_option known are id=":             broker.ErrRefused,
	} {
		err := classify(replyError(text))
		require.ErrorIs(t, err, want, text)
		require.NotErrorIs(t, err, map[error]error{
			broker.ErrUnavailable: broker.ErrRefused, broker.ErrRefused: broker.ErrUnavailable,
		}[want], text)
	}
	contract, ok := errors.AsType[*ContractError](classify(replyError("ERR tallywire invalid_option known are id=")))
	require.True(t, ok)
	require.Equal(t, "invalid_option", contract.Code)
	require.ErrorIs(t, classify(io.EOF), broker.ErrUnavailable)
	require.NoError(t, classify(nil))
}
