package bench

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// serverFrame makes what a server sends.
func serverFrame(op byte, payload []byte) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func TestNextFrame_Lengths(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 200_000} {
		payload := bytes.Repeat([]byte{'p'}, n)
		whole := serverFrame(opText, payload)
		stream := append(bytes.Clone(whole), 0x81, 1, 'x')

		op, got, size, err := nextFrame(stream)
		require.NoError(t, err)
		require.EqualValues(t, opText, op)
		require.Equal(t, len(whole), size)
		require.Len(t, got, n)
		require.True(t, bytes.Equal(payload, got))

		for cut := range min(len(whole), 300) {
			_, _, size, err := nextFrame(whole[:cut])
			require.NoError(t, err)
			require.Zero(t, size, "%d of %d bytes are no frame", cut, len(whole))
		}
		_, _, size, err = nextFrame(whole[:len(whole)-1])
		require.NoError(t, err)
		require.Zero(t, size)
	}
}

func TestNextFrame_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"masked":        {[]byte{0x81, 0x80, 0, 0, 0, 0}, errBadFrame},
		"compressed":    {[]byte{0xc1, 0}, errBadFrame},
		"first of many": {[]byte{0x01, 0}, errFragmented},
		"continuation":  {[]byte{0x80, 0}, errFragmented},
		"huge":          {binary.BigEndian.AppendUint64([]byte{0x81, 127}, maxFrame), errBigFrame},
		"overflowing":   {binary.BigEndian.AppendUint64([]byte{0x81, 127}, 1<<63), errBigFrame},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := nextFrame(c.in)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestAppendFrame_IsMaskedWithZero(t *testing.T) {
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte{'p'}, n)
		b := appendFrame(nil, opText, payload)
		require.Equal(t, byte(0x81), b[0])
		require.NotZero(t, b[1]&0x80, "the mask bit")
		// Without its mask it is what a server would send.
		mask := len(b) - n - 4
		require.Equal(t, []byte{0, 0, 0, 0}, b[mask:mask+4])
		b[1] &^= 0x80
		require.True(t, bytes.Equal(serverFrame(opText, payload), append(b[:mask:mask], b[mask+4:]...)))
	}
}

func TestNextStamp(t *testing.T) {
	const stamp = int64(1732441234567890123)
	event := newEventText(10).appendEvent(nil, stamp)
	got, rest, ok := nextStamp(append(event, event...))
	require.True(t, ok)
	require.Equal(t, stamp, got)
	got, rest, ok = nextStamp(rest)
	require.True(t, ok)
	require.Equal(t, stamp, got)
	_, _, ok = nextStamp(rest)
	require.False(t, ok)

	for _, none := range []string{``, `"ts":`, `"ts":123`, `"ts":17324412345678901x3`, `"ts":"1732441234567890123"`} {
		_, _, ok = nextStamp([]byte(none))
		require.False(t, ok, none)
	}
	got, _, ok = nextStamp([]byte(`"ts":"no number, but long enough" "ts":1732441234567890123`))
	require.True(t, ok, "one that is no stamp does not hide the next")
	require.Equal(t, stamp, got)
}
