package bench

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pipe returns a fleet with one ready subscriber and the other end of its connection.
func pipe(t *testing.T) (*fleet, *link, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	f, err := newFleet(&server{}, 1)
	require.NoError(t, err)
	f.links = append(f.links, link{fd: fds[0], phase: ready})
	require.NoError(t, f.poller.add(fds[0], 0, false))
	t.Cleanup(func() {
		f.close()
		closeSocket(fds[1])
	})
	return f, &f.links[0], fds[1]
}

// Wherever a read ends, in a header, a stamp or between two frames, every event is counted once.
func TestFleet_CountsAcrossSplitReads(t *testing.T) {
	const messages, each = 4, 3
	var stream []byte
	stamp := base
	for m := range messages {
		text := []byte(`[{"type":"event","channel":"bench:0","cursor":"1-1","event":`)
		for range each {
			stamp++
			text = newEventText(20*m).appendEvent(text, stamp)
		}
		stream = append(stream, serverFrame(opText, append(text, ']'))...)
	}
	for _, step := range []int{1, 2, 3, 7, 64, 1000, len(stream)} {
		f, l, peer := pipe(t)
		f.meter.from = base
		for at := 0; at < len(stream); at += step {
			piece := stream[at:min(at+step, len(stream))]
			n, err := unix.Write(peer, piece)
			require.NoError(t, err)
			require.Len(t, piece, n)
			require.NoError(t, f.poll(0))
		}
		require.EqualValues(t, messages*each, f.meter.delivered, "pieces of %d", step)
		require.EqualValues(t, messages, f.meter.frames)
		require.EqualValues(t, len(stream), f.meter.bytes)
		require.Zero(t, f.meter.disordered)
		require.Equal(t, stamp, l.last)
		require.Empty(t, l.in)
	}
}

func TestFleet_AnswersPings(t *testing.T) {
	f, _, peer := pipe(t)
	_, err := unix.Write(peer, append(serverFrame(opPing, []byte("are you there")), serverFrame(opText, pingMessage)...))
	require.NoError(t, err)
	require.NoError(t, f.poll(0))
	want := append(appendFrame(nil, opPong, []byte("are you there")), appendFrame(nil, opText, pongFrame)...)
	got := make([]byte, 200)
	n, err := unix.Read(peer, got)
	require.NoError(t, err)
	require.Equal(t, want, got[:n])
	require.Zero(t, f.meter.delivered)
}

// What a socket has no room for goes out later, whole and in order.
func TestFleet_KeepsWhatDoesNotFit(t *testing.T) {
	f, l, peer := pipe(t)
	var want, got []byte
	for i := 0; len(l.out) == 0 || i%100 != 0; i++ {
		piece := fmt.Appendf(nil, "%0900d", i)
		want = append(want, piece...)
		f.send(l, piece)
		require.Zero(t, f.lost)
	}
	buf := make([]byte, 64<<10)
	for len(got) < len(want) {
		n, err := readSocket(peer, buf)
		require.NoError(t, err)
		got = append(got, buf[:n]...)
		require.NoError(t, f.poll(0))
	}
	require.Equal(t, string(want), string(got))
	require.Empty(t, l.out)
}

func TestFleet_SaysWhyAConnectionWasLost(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"closed":     {serverFrame(opClose, []byte("\x03\xe9bye")), "bye"},
		"no frame":   {[]byte("HTTP/1.1 200 OK"), errBadFrame.Error()},
		"fragmented": {[]byte{0x01, 0}, errFragmented.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			f, _, peer := pipe(t)
			_, err := unix.Write(peer, c.in)
			require.NoError(t, err)
			err = f.poll(0)
			require.ErrorIs(t, err, errDown)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestRaiseFiles_RefusesTooMany(t *testing.T) {
	require.NoError(t, raiseFiles(10))
	require.ErrorContains(t, raiseFiles(1<<40), "hard limit")
}
