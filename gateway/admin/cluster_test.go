package admin_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/presence"
)

// local is a gateway that says what a test has told it.
type local struct {
	mu       sync.Mutex
	overview inspect.Overview
	channels []inspect.Channel
	sessions []inspect.Session
	traces   []inspect.Trace
	closed   []string // user/session of every Disconnect
	panics   bool
}

func newLocal(id string) *local {
	return &local{overview: inspect.Overview{
		Gateway: id, Version: "1.2.3", Start: time.Now().Add(-time.Hour), Now: time.Now(), Ready: true,
	}}
}

func (l *local) Overview() inspect.Overview {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.overview
}

func (l *local) set(change func(*inspect.Overview)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.overview)
}

func (l *local) Channels(prefix, after string, limit int) []inspect.Channel {
	if l.panics {
		panic("a defect")
	}
	var out []inspect.Channel
	for _, c := range l.channels {
		if strings.HasPrefix(c.Channel, prefix) && c.Channel > after && len(out) < limit {
			out = append(out, c)
		}
	}
	return out
}

func (l *local) Sessions(user string) []inspect.Session {
	return slices.DeleteFunc(slices.Clone(l.sessions), func(s inspect.Session) bool { return s.User != user })
}

func (l *local) Disconnect(user, session string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = append(l.closed, user+"/"+session)
	n := 0
	for _, s := range l.sessions {
		if s.User == user && s.Session == session {
			n++
		}
	}
	return n
}

func (l *local) Explain(context.Context, string, string, broker.Cursor) []inspect.Trace {
	return slices.Clone(l.traces)
}

// open makes channels open at the gateway, each with a number of subscribers.
func (l *local) open(subscribers int, names ...string) *local {
	for _, name := range names {
		l.channels = append(l.channels, inspect.Channel{Channel: name, Head: "1-1", Subscribers: subscribers})
	}
	slices.SortFunc(l.channels, func(a, b inspect.Channel) int { return strings.Compare(a.Channel, b.Channel) })
	return l
}

// cluster is several gateways in this process.
type cluster struct {
	locals  []*local
	more    []inspect.Local
	missing []admin.Missing
	failure error
}

func (c *cluster) Ask(ctx context.Context, q admin.Question) (admin.Reply, error) {
	q.Version = admin.QuestionVersion
	var answers []admin.Answer
	for _, l := range c.locals {
		answers = append(answers, admin.NewResponder(l, zerolog.Nop()).Answer(ctx, q))
	}
	for _, l := range c.more {
		answers = append(answers, admin.NewResponder(l, zerolog.Nop()).Answer(ctx, q))
	}
	return admin.Sort(answers, c.missing), c.failure
}

// directory is presence as a test has told it.
type directory struct {
	gateways []presence.GatewayInfo
	sessions map[string][]presence.SessionInfo
	failure  error
}

func (d *directory) Gateways(context.Context) ([]presence.GatewayInfo, error) {
	return d.gateways, d.failure
}

func (d *directory) UserSessions(_ context.Context, user string) ([]presence.SessionInfo, error) {
	return d.sessions[user], d.failure
}

// members is a channel's members.
type members struct {
	list    []presence.Member
	stale   time.Time
	failure error
}

func (m *members) Members(_ context.Context, _ string, r presence.PageRequest) (presence.Page, error) {
	if m.failure != nil {
		return presence.Page{}, m.failure
	}
	r = r.WithDefaults()
	p := presence.Page{Version: 7, Count: len(m.list), Sessions: len(m.list), StaleSince: m.stale}
	for _, one := range m.list {
		switch {
		case one.User <= r.After:
		case len(p.Members) == r.Limit:
			p.Next = p.Members[r.Limit-1].User
			return p, nil
		default:
			p.Members = append(p.Members, one)
		}
	}
	return p, nil
}

// blocking is members that are asked for and take their time.
type blocking struct{ inside, leave chan struct{} }

func (b blocking) Members(context.Context, string, presence.PageRequest) (presence.Page, error) {
	b.inside <- struct{}{}
	<-b.leave
	return presence.Page{}, nil
}

// counting is a local whose clock is that of the test.
type counting struct{ *local }

func (c counting) Overview() inspect.Overview {
	o := c.local.Overview()
	o.Now = time.Now()
	return o
}

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

// awayStore is a store that does not answer.
type awayStore struct{}

func (awayStore) Read(context.Context, string, broker.ReadRequest) (broker.Page, error) {
	return broker.Page{}, broker.ErrUnavailable
}

func (awayStore) Publish(_ context.Context, _ broker.Publication, done func(broker.Receipt, error)) {
	done(broker.Receipt{}, broker.ErrUnavailable)
}
