package mempresence

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/internal/engine"
)

// channel is the presence of one channel. It is guarded by Store.mu.
type channel struct {
	name    string
	version uint64
	touched time.Time // of the last change
	members map[string]*member
	order   []string // users, sorted
	count   int      // sessions
	at      map[engine.Owner]map[*session]bool
	fences  map[engine.Owner]time.Time // until when
	moved   map[sessionKey]*replaced
	writes  uint64 // so far: the order of entering and of statuses
	due     dueHeap
}

type sessionKey struct{ user, session string }

// replaced are the claims that a later one has taken a session from.
type replaced struct {
	claims []string
	until  time.Time
}

// member is a user and its sessions; told is what others know.
type member struct {
	told     presence.Member
	sessions map[string]*session
}

type session struct {
	sessionKey
	claim   string
	owner   engine.Owner
	name    string
	live    bool
	grace   time.Duration
	ends    time.Time // of the grace
	entered uint64    // channel.writes at its last Enter
	status  json.RawMessage
	set     uint64 // channel.writes when the status was set; 0 for never
}

func newChannel(name string) *channel {
	return &channel{
		name: name, members: map[string]*member{}, at: map[engine.Owner]map[*session]bool{},
		fences: map[engine.Owner]time.Time{}, moved: map[sessionKey]*replaced{},
	}
}

// sweep frees what has expired and reports whether nothing is left.
func (c *channel) sweep(now time.Time) bool {
	for o, until := range c.fences {
		if now.After(until) {
			delete(c.fences, o)
		}
	}
	for k, r := range c.moved {
		if now.After(r.until) {
			delete(c.moved, k)
		}
	}
	return len(c.members)+len(c.fences)+len(c.moved) == 0 && now.Sub(c.touched) > versionTTL
}

func (c *channel) fenced(o engine.Owner, now time.Time) bool { return c.fences[o].After(now) }

func (c *channel) find(k sessionKey) *session {
	if m := c.members[k.user]; m != nil {
		return m.sessions[k.session]
	}
	return nil
}

// own marks a session as the owner's.
func (c *channel) own(x *session, o engine.Owner) {
	c.disown(x)
	x.owner = o
	if c.at[o] == nil {
		c.at[o] = map[*session]bool{}
	}
	c.at[o][x] = true
}

func (c *channel) disown(x *session) {
	delete(c.at[x.owner], x)
	if len(c.at[x.owner]) == 0 {
		delete(c.at, x.owner)
	}
}

// add adds a session; remove takes it away. Neither tells anybody: settle does.
func (c *channel) add(x *session) {
	m := c.members[x.user]
	if m == nil {
		m = &member{sessions: map[string]*session{}}
		c.members[x.user] = m
	}
	m.sessions[x.session] = x
	c.count++
}

func (c *channel) remove(x *session) {
	delete(c.members[x.user].sessions, x.session)
	c.disown(x)
	c.count--
}

// settle makes a member anew from its sessions, and returns the change that others can see, if there is
// one. last is one of its sessions, for a member that has none left.
func (c *channel) settle(last *session, now time.Time) (presence.Change, bool) {
	m := c.members[last.user]
	before := m.told
	if len(m.sessions) == 0 {
		delete(c.members, last.user)
		if before.User == "" {
			return presence.Change{}, false
		}
		i, _ := slices.BinarySearch(c.order, last.user)
		c.order = slices.Delete(c.order, i, i+1)
		gone := presence.Member{User: last.user, Name: last.name, State: presence.Grace, Since: before.Since}
		if last.live {
			gone.State = presence.Live
		}
		return c.change(presence.Leave, gone, now), true
	}
	after := presence.Member{User: last.user, State: presence.Grace, Since: before.Since, Sessions: len(m.sessions)}
	if before.User == "" {
		after.Since = now.UTC().Truncate(time.Microsecond)
	}
	var entered, set uint64
	for _, x := range m.sessions {
		if x.live {
			after.State = presence.Live
		}
		if x.entered > entered {
			entered, after.Name = x.entered, x.name
		}
		if x.set > set {
			set, after.Status = x.set, x.status
		}
	}
	if same(before, after) {
		return presence.Change{}, false
	}
	m.told = after
	action := presence.Update
	if before.User == "" {
		action = presence.Join
		i, _ := slices.BinarySearch(c.order, after.User)
		c.order = slices.Insert(c.order, i, after.User)
	}
	return c.change(action, after, now), true
}

func same(a, b presence.Member) bool {
	return a.User == b.User && a.Name == b.Name && a.State == b.State && a.Sessions == b.Sessions &&
		bytes.Equal(a.Status, b.Status)
}

// change gives a change its version.
func (c *channel) change(a presence.Action, m presence.Member, now time.Time) presence.Change {
	prev := c.version
	c.version = max(prev+1, uint64(max(0, now.UnixMicro())))
	c.touched = now
	return presence.Change{Channel: c.name, Version: c.version, Prev: prev, Action: a, Member: m}
}

// page returns the members after a user.
func (c *channel) page(r presence.PageRequest) presence.Page {
	p := presence.Page{Version: c.version, Count: len(c.order), Sessions: c.count}
	i, found := slices.BinarySearchFunc(c.order, r.After, strings.Compare)
	if found {
		i++
	}
	room := presence.MaxPageBytes
	for ; i < len(c.order); i++ {
		m := c.members[c.order[i]].told
		size := len(m.User) + len(m.Name) + len(m.Status) + memberOverhead
		if n := len(p.Members); n >= r.Limit || n > 0 && room < size {
			p.Next = p.Members[n-1].User
			break
		}
		room -= size
		p.Members = append(p.Members, m)
	}
	return p
}

// memberOverhead is what a member takes in JSON besides its texts, about.
const memberOverhead = 100
