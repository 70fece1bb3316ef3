package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAppendCommand(t *testing.T) {
	require.Equal(t, "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", string(appendCommand(nil, []byte("ECHO"), nil)))
}

func TestNextReply(t *testing.T) {
	for _, c := range []struct{ in, first, problem string }{
		{"+PONG\r\n", "PONG", ""},
		{":17\r\n", "17", ""},
		{"$-1\r\n", "", ""},
		{"$5\r\na\r\nbc\r\n", "a\r\nbc", ""},
		{"*2\r\n$3\r\n4-7\r\n:0\r\n", "4-7", ""},
		{"*2\r\n*1\r\n+x\r\n-ERR y\r\n", "x", "ERR y"},
		{"*0\r\n", "", ""},
		{"*-1\r\n", "", ""},
		{"-OOM no\r\n", "", "OOM no"},
	} {
		size, first, problem, err := nextReply([]byte(c.in + "+next\r\n"))
		require.NoError(t, err, c.in)
		require.Equal(t, len(c.in), size, c.in)
		require.Equal(t, c.first, first, c.in)
		require.Equal(t, c.problem, problem, c.in)
		for cut := range c.in {
			size, _, _, err := nextReply([]byte(c.in[:cut]))
			require.NoError(t, err, c.in[:cut])
			require.Zero(t, size, "%q is no whole reply", c.in[:cut])
		}
	}
}

func TestNextReply_Refuses(t *testing.T) {
	for _, in := range []string{"\r\n", "HTTP/1.1 400\r\n", "$x\r\n", "*x\r\n", "$99999999999\r\n", "*1\r\n?\r\n"} {
		_, _, _, err := nextReply([]byte(in))
		require.ErrorIs(t, err, errReply, in)
	}
}
