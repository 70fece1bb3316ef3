package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The grace of a dead gateway's sessions counts from here: never earlier than it can have been alive, and
// as early as is known.
func TestSeen(t *testing.T) {
	at := func(s int) time.Time { return time.UnixMicro(int64(s) * 1_000_000) }
	dead := Indexed{Owner: Owner{"a", 100_000_000}, TTL: 10 * time.Second}
	none := Lease{Owner: Owner{Gateway: "a"}, Now: at(200)}
	taken := Lease{Owner: Owner{"a", 150_000_000}, Now: at(200), Refreshed: at(199)}
	released := dead
	released.Released = at(120)
	for _, c := range []struct {
		name string
		n    neighbour
		l    Lease
		want time.Time
	}{
		{"its last refresh was seen", neighbour{Indexed: dead, refreshed: at(130)}, none, at(130)},
		{"it was never seen", neighbour{Indexed: dead}, none, at(190)},
		{"it was seen before it was refreshed last", neighbour{Indexed: dead, refreshed: at(195)}, none, at(190)},
		{"another took the lease", neighbour{Indexed: dead}, taken, at(150)},
		{"another took the lease, and it was seen", neighbour{Indexed: dead, refreshed: at(149)}, taken, at(149)},
		{"it went by itself", neighbour{Indexed: released, refreshed: at(119)}, none, at(120)},
		{"it went by itself and is back", neighbour{Indexed: released}, taken, at(120)},
	} {
		require.Equal(t, c.want, c.n.seen(c.l), c.name)
	}
}

func TestOwner(t *testing.T) {
	o, ok := ParseOwner(Owner{"gw:1.a-b", 1<<64 - 1}.String())
	require.True(t, ok)
	require.Equal(t, Owner{"gw:1.a-b", 1<<64 - 1}, o)
	for _, s := range []string{"", "gw", "gw/", "gw/x", "gw/-1", "gw/1/2"} {
		_, ok := ParseOwner(s)
		require.False(t, ok, s)
	}
}
