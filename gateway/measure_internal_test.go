package gateway

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPeersThatPingAreMeasured: they are never silent, and so are pinged beside a pong: once in four intervals, and
// not before the last ping was answered.
func TestPeersThatPingAreMeasured(t *testing.T) {
	const interval, began = int64(time.Second), int64(time.Hour)
	g := &Gateway{options: Options{Ping: time.Second}, tally: newTally()}
	w := &webSocket{conn: &conn{gateway: g, since: began}}
	asked := func(after int64) (n int) {
		for at := began + after*interval; at < began+(after+1)*interval; at += interval / 10 {
			if w.measures(at) {
				n++
			}
		}
		return n
	}
	var got []int
	for second := range int64(12) {
		got = append(got, asked(second))
		w.ponged(began + (second+1)*interval)
	}
	require.Equal(t, []int{0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, got)
	require.InDelta(t, 2, g.tally.pings.coarse.Sum, 0.001, "a second each")
	require.Equal(t, 1, asked(20))
	require.Zero(t, asked(30), "it was not answered")
	w.ponged(began + 30*interval)
	require.Equal(t, 1, asked(31))
}
