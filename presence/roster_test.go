package presence_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/presence"
)

const users = 8

// history is a channel and all the states it had.
type history struct {
	version uint64
	members map[string]presence.Member
	changes []presence.Change
	states  map[uint64][]presence.Member
}

func newHistory() *history {
	return &history{members: map[string]presence.Member{}, states: map[uint64][]presence.Member{0: {}}}
}

func (h *history) sorted() []presence.Member {
	out := make([]presence.Member, 0, len(h.members))
	for _, m := range h.members {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b presence.Member) int { return strings.Compare(a.User, b.User) })
	return out
}

// step makes one change.
func (h *history) step(t *rapid.T) {
	user := fmt.Sprintf("u%d", rapid.IntRange(0, users-1).Draw(t, "user"))
	m, ok := h.members[user]
	c := presence.Change{Prev: h.version, Version: h.version + rapid.Uint64Range(1, 3).Draw(t, "step")}
	switch {
	case !ok:
		m = presence.Member{User: user, State: presence.Live, Sessions: 1}
		c.Action = presence.Join
	case rapid.Bool().Draw(t, "leave"):
		m.Sessions = 0
		c.Action = presence.Leave
	default:
		m.Sessions++
		c.Action = presence.Update
	}
	c.Member = m
	if h.members[user] = m; c.Action == presence.Leave {
		delete(h.members, user)
	}
	h.version = c.Version
	h.changes = append(h.changes, c)
	h.states[h.version] = h.sorted()
}

// was reports whether what a roster says of a user is what was so at the version or later.
func (h *history) was(r *presence.Roster, user string, version uint64) bool {
	find := func(members []presence.Member) (presence.Member, bool) {
		i := slices.IndexFunc(members, func(m presence.Member) bool { return m.User == user })
		if i < 0 {
			return presence.Member{}, false
		}
		return members[i], true
	}
	said, there := find(r.Members())
	for v, state := range h.states {
		if m, ok := find(state); v >= version && ok == there && reflect.DeepEqual(m, said) {
			return true
		}
	}
	return false
}

func (h *history) page(after string, limit int) presence.Page {
	p := presence.Page{Version: h.version, Count: len(h.members)}
	for _, m := range h.sorted() {
		switch {
		case m.User <= after:
		case len(p.Members) == limit:
			p.Next = p.Members[limit-1].User
			return p
		default:
			p.Members = append(p.Members, m)
		}
	}
	return p
}

// However pages and changes overtake each other, and whatever is lost: a roster that is complete is what
// the channel was at the roster's version, and following it to the end makes it what the channel is.
func TestRosterIsNeverWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory()
		var r presence.Roster
		heard := 0 // changes that have reached the roster
		type flight struct {
			after string
			page  presence.Page
		}
		var under []flight // pages under way
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		floor := map[string]uint64{} // by user: the version of the page that covers it
		check := func() {
			for user, version := range floor {
				require.True(t, h.was(&r, user, version), "%s has gone back behind version %d", user, version)
			}
			if r.Settled() {
				require.Equal(t, h.states[r.Version()], r.Members(), "at version %d", r.Version())
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				h.step(t)
			case 2: // one change arrives, or is lost
				if heard < len(h.changes) {
					if rapid.IntRange(0, 9).Draw(t, "lost") > 0 {
						r.Apply(h.changes[heard])
					}
					heard++
				}
			case 3: // a page is asked for
				after, wanted := r.Next()
				if !wanted || rapid.IntRange(0, 9).Draw(t, "anew") == 0 {
					after = ""
				}
				under = append(under, flight{after, h.page(after, limit)})
			case 4: // the page asked for first arrives
				if len(under) > 0 {
					f := under[0]
					under = under[1:]
					if r.Load(f.after, f.page) == presence.Missed {
						break
					}
					if f.after == "" {
						clear(floor)
					}
					for i := range users {
						if u := fmt.Sprintf("u%d", i); u > f.after && (f.page.Next == "" || u <= f.page.Next) {
							floor[u] = f.page.Version
						}
					}
				}
			}
			check()
		}
		// Everything arrives that is still under way; whoever misses something takes a snapshot.
		for _, c := range h.changes[heard:] {
			r.Apply(c)
			check()
		}
		for after := ""; r.Version() != h.version || r.Len() != len(h.members); after, _ = r.Next() {
			require.Equal(t, presence.Applied, r.Load(after, h.page(after, limit)))
		}
		for after, wanted := r.Next(); wanted; after, wanted = r.Next() {
			require.Equal(t, presence.Applied, r.Load(after, h.page(after, limit)))
		}
		require.True(t, r.Settled())
		require.Equal(t, h.sorted(), r.Members())
		h.step(t)
		require.Equal(t, presence.Applied, r.Apply(h.changes[len(h.changes)-1]))
		require.Equal(t, h.sorted(), r.Members())
		require.Equal(t, presence.Old, r.Apply(h.changes[len(h.changes)-1]))
	})
}

func TestRosterSaysWhatItMisses(t *testing.T) {
	member := presence.Member{User: "a", Sessions: 1}
	var r presence.Roster
	after, wanted := r.Next()
	require.True(t, wanted)
	require.Empty(t, after)
	require.Equal(t, presence.Missed, r.Apply(presence.Change{Version: 5, Prev: 4, Action: presence.Join, Member: member}))
	require.Equal(t, presence.Applied, r.Load("", presence.Page{Version: 5, Members: []presence.Member{member}}))
	require.Equal(t, presence.Missed, r.Apply(presence.Change{Version: 8, Prev: 7, Action: presence.Leave, Member: member}))
	require.Equal(t, uint64(5), r.Version())
	require.Equal(t, 1, r.Len())
	// The store has lost its data and begins anew.
	require.Equal(t, presence.Missed, r.Apply(presence.Change{Version: 9, Prev: 0, Action: presence.Join, Member: member}))
	require.Equal(t, presence.Missed, r.Load("b", presence.Page{Version: 9}), "a page that nobody asked for")
}
