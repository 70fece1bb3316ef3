package presence

import (
	"maps"
	"slices"
	"strings"
)

// Roster follows a channel's members: load the pages of a snapshot, apply the changes. It is a pure state
// machine and not safe for concurrent use. The zero Roster wants its first page.
//
// Pages and changes may come in any order: a page that was under way while changes came does not undo
// them, and the pages of one snapshot may have been taken at different versions. A change counts for a
// member only where it is newer than the page that covers the member, so nothing is applied twice;
// changes are chained by their versions, so nothing is missed.
type Roster struct {
	members map[string]Member
	version uint64   // of the last change that is in, or that the first page covers
	covered []cover  // the pages so far, in order
	next    string   // After of the page wanted next
	loading bool     // that page is missing
	recent  []Change // chained: each one's Prev is the Version of the one before it
}

// cover says that the users after the previous cover and up to upTo were read at a version.
type cover struct {
	upTo    string // "" for the last page: everyone after the previous cover
	version uint64
}

// maxRecent bounds the changes that a page under way may be behind.
const maxRecent = 4096

// Outcome says what became of a change or a page.
type Outcome int

// Outcomes.
const (
	// Applied means that it is in: the roster is right as far as its pages reach.
	Applied Outcome = iota
	// Old means that the roster has it already.
	Old
	// Missed means that something between it and the roster is missing: take a new snapshot.
	Missed
)

// Load takes the page that was asked for with after. The first page (after "") begins the roster anew;
// any other has to be the one that Next wants.
func (r *Roster) Load(after string, p Page) Outcome {
	if after == "" {
		*r = Roster{members: map[string]Member{}, version: p.Version, recent: r.recent}
	} else if !r.loading || after != r.next || p.Version < r.covered[0].version {
		return Missed
	}
	changes, ok := r.since(p.Version)
	if !ok && after != "" {
		return Missed
	}
	// The page is all there is in its range: whoever a change put there before it has left.
	maps.DeleteFunc(r.members, func(user string, _ Member) bool { return user > after && within(user, p.Next) })
	for _, m := range p.Members {
		r.members[m.User] = m
	}
	r.covered = append(r.covered, cover{upTo: p.Next, version: p.Version})
	r.next, r.loading = p.Next, p.Next != ""
	for _, c := range changes {
		if user := c.Member.User; after == "" || user > after && within(user, p.Next) {
			r.put(c)
		}
	}
	if after == "" && len(changes) > 0 {
		r.version = changes[len(changes)-1].Version
	}
	return Applied
}

// since returns the recent changes that follow on a version, and whether they reach the last one heard.
// A version that is newer than all of them is followed by none yet.
func (r *Roster) since(version uint64) ([]Change, bool) {
	if len(r.recent) == 0 || r.recent[len(r.recent)-1].Version <= version {
		return nil, true
	}
	for i, c := range r.recent {
		if c.Prev == version {
			return r.recent[i:], true
		}
	}
	return nil, false
}

// within reports whether a user is in the range up to upTo.
func within(user, upTo string) bool { return upTo == "" || user <= upTo }

// Apply takes a change. Where it says Missed, the roster is as it was.
func (r *Roster) Apply(c Change) Outcome {
	r.remember(c)
	switch {
	case r.members == nil:
		return Missed
	case c.Version <= r.version:
		return Old
	case c.Prev != r.version:
		return Missed
	}
	r.version = c.Version
	if r.coveredAt(c.Member.User) < c.Version {
		r.put(c)
	}
	return Applied
}

// remember keeps a change for pages that are under way. A change that does not follow on the last one
// begins the chain anew.
func (r *Roster) remember(c Change) {
	if n := len(r.recent); n > 0 {
		last := r.recent[n-1].Version
		if c.Version <= last {
			return
		}
		if c.Prev != last || n >= 2*maxRecent {
			keep := 0
			if c.Prev == last {
				keep = maxRecent
			}
			r.recent = slices.Clone(r.recent[n-keep:])
		}
	}
	r.recent = append(r.recent, c)
}

func (r *Roster) put(c Change) {
	if c.Action == Leave {
		delete(r.members, c.Member.User)
		return
	}
	r.members[c.Member.User] = c.Member
}

// coveredAt returns the version of the page that covers a user, 0 while that page is still to come: it
// will replace what changes said until then.
func (r *Roster) coveredAt(user string) uint64 {
	for _, c := range r.covered {
		if within(user, c.upTo) {
			return c.version
		}
	}
	return 0
}

// Next returns the After of the page that is still wanted, and whether one is.
func (r *Roster) Next() (after string, wanted bool) { return r.next, r.loading || r.members == nil }

// Settled reports whether the roster is what the channel was at Version: all pages are there, and the
// changes have come as far as the newest page. Until then it is right member by member, each as of its
// page or later.
func (r *Roster) Settled() bool {
	if r.members == nil || r.loading {
		return false
	}
	return !slices.ContainsFunc(r.covered, func(c cover) bool { return c.version > r.version })
}

// Version returns the version that the roster has reached.
func (r *Roster) Version() uint64 { return r.version }

// Len returns the number of members known.
func (r *Roster) Len() int { return len(r.members) }

// Members returns the members known, ordered by user.
func (r *Roster) Members() []Member {
	out := slices.AppendSeq(make([]Member, 0, len(r.members)), maps.Values(r.members))
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.User, b.User) })
	return out
}
