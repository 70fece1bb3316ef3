package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/presence"
)

// headReads is how many heads of a page of channels are read at once.
const headReads = 8

// channelResource is a channel: what the store retains of it, and who reads it where.
type channelResource struct {
	Channel     string         `json:"channel"`
	Subscribers int            `json:"subscribers"`
	Gateways    []channelPlace `json:"gateways"`
	LastEvent   time.Time      `json:"last_event,omitzero"`
	// Stream is what the store says; nil where it could not be asked, and StreamProblem says why.
	Stream        *streamResource `json:"stream,omitempty"`
	StreamProblem string          `json:"stream_problem,omitempty"`
}

// channelPlace is a gateway at which a channel is open. A head that is behind the stream's is a gateway
// that has not heard of what came.
type channelPlace struct {
	Gateway     string    `json:"gateway"`
	Subscribers int       `json:"subscribers"`
	Head        string    `json:"head"`
	LastEvent   time.Time `json:"last_event,omitzero"`
}

// streamResource is a channel's log in the store.
type streamResource struct {
	Exists bool   `json:"exists"`
	Head   string `json:"head"`
	// First is the oldest retained entry's cursor, empty where nothing is retained.
	First    string    `json:"first,omitempty"`
	Retained uint64    `json:"retained"`
	Newest   time.Time `json:"newest,omitzero"`
	Oldest   time.Time `json:"oldest,omitzero"`
}

type channelsAnswer struct {
	Coverage
	Channels []channelResource `json:"channels"`
	// Next is the After of the next page, empty where this is the last.
	Next string `json:"next"`
}

// channels handles GET /admin/v1/channels?prefix=&after=&limit=: the channels that are open anywhere.
func (a *Admin) channels(c echo.Context) error {
	prefix, after := c.QueryParam("prefix"), c.QueryParam("after")
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	if after != "" {
		if err := checkChannel(after); err != nil {
			return err
		}
	}
	limit, err := limitParam(c, maxLimit)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	reply, failure := a.options.Cluster.Ask(ctx, Question{Kind: AskChannels, Prefix: prefix, After: after, Limit: limit + 1})
	out := channelsAnswer{Coverage: coverage(reply, failure)}
	out.Channels, out.Next = mergeChannels(reply.Answers, limit)
	if err := a.readHeads(ctx, out.Channels); err != nil {
		return err
	}
	return answer(c, out)
}

// mergeChannels makes one page out of the gateways' lists. Each is sorted and holds the first limit+1 names
// that the gateway has, or all up to where it was cut, so that the first limit names of all are right. A
// list that was cut shorter than the page says nothing about the names after its last: the page ends there.
func mergeChannels(answers []Answer, limit int) (page []channelResource, next string) {
	byName := map[string]*channelResource{}
	horizon, bounded := "", false
	for _, a := range answers {
		if n := len(a.Channels); a.Cut && n > 0 {
			if last := a.Channels[n-1].Channel; !bounded || last < horizon {
				horizon, bounded = last, true
			}
		}
		for _, ch := range a.Channels {
			r := byName[ch.Channel]
			if r == nil {
				r = &channelResource{Channel: ch.Channel, Gateways: []channelPlace{}}
				byName[ch.Channel] = r
			}
			r.Subscribers += ch.Subscribers
			if ch.LastEvent.After(r.LastEvent) {
				r.LastEvent = ch.LastEvent.UTC()
			}
			r.Gateways = append(r.Gateways, channelPlace{a.Gateway, ch.Subscribers, ch.Head, ch.LastEvent})
		}
	}
	page = make([]channelResource, 0, len(byName))
	for name, r := range byName {
		if !bounded || name <= horizon {
			page = append(page, *r)
		}
	}
	slices.SortFunc(page, func(a, b channelResource) int { return strings.Compare(a.Channel, b.Channel) })
	more := bounded
	if len(page) > limit {
		page, more = page[:limit], true
	}
	if more && len(page) > 0 {
		next = page[len(page)-1].Channel
	}
	return page, next
}

// readHeads asks the store about the channels of a page. A store that does not answer is told in the
// page: what the gateways know stands.
func (a *Admin) readHeads(ctx context.Context, page []channelResource) error {
	var work errgroup.Group
	work.SetLimit(headReads)
	for i := range page {
		work.Go(func() error {
			page[i].Stream, page[i].StreamProblem = a.stream(ctx, page[i].Channel)
			return nil
		})
	}
	_ = work.Wait() // none of them fails
	return ctx.Err()
}

// stream asks the store about a channel's log.
func (a *Admin) stream(ctx context.Context, channel string) (*streamResource, string) {
	// One entry is the least that can be asked for; its bytes are not looked at.
	page, err := a.options.Store.Read(ctx, channel, broker.ReadRequest{From: 1, Limit: 1, MaxBytes: 1})
	if err != nil {
		return nil, wireError(err).Message
	}
	return streamOf(page.Head), ""
}

func streamOf(h broker.Head) *streamResource {
	s := &streamResource{Exists: h.Exists, Head: h.Cursor.String(), Newest: cursorTime(h.Cursor)}
	if !h.First.IsZero() {
		s.First, s.Oldest = h.First.String(), cursorTime(h.First)
		s.Retained = h.Cursor.Offset - h.First.Offset + 1
	}
	return s
}

type channelAnswer struct {
	Coverage
	channelResource
	Namespace namespaceResource `json:"namespace"`
	// Presence counts the members; nil where nobody counts them.
	Presence *presenceResource `json:"presence,omitempty"`
}

// namespaceResource are the options that hold for a channel.
type namespaceResource struct {
	MaxLen   int64    `json:"maxlen"`
	TTLMS    int64    `json:"ttl_ms"`
	Delivery string   `json:"delivery"`
	Ack      string   `json:"ack"`
	Types    []string `json:"types,omitempty"`
}

type presenceResource struct {
	Count      int       `json:"count"`
	Sessions   int       `json:"sessions"`
	StaleSince time.Time `json:"stale_since,omitzero"`
}

// channel handles GET /admin/v1/channels/{channel}. A channel that has neither a log nor a reader is
// answered as what it is: a name that may be used.
func (a *Admin) channel(c echo.Context) error {
	name, err := channelParam(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	// The name itself sorts before all others that it begins.
	reply, failure := a.options.Cluster.Ask(ctx, Question{Kind: AskChannels, Prefix: name, Limit: 1})
	for i := range reply.Answers {
		reply.Answers[i].Channels = slices.DeleteFunc(reply.Answers[i].Channels, func(ch inspect.Channel) bool { return ch.Channel != name })
		reply.Answers[i].Cut = false
	}
	out := channelAnswer{Coverage: coverage(reply, failure)}
	out.channelResource = channelResource{Channel: name, Gateways: []channelPlace{}}
	if page, _ := mergeChannels(reply.Answers, 1); len(page) == 1 {
		out.channelResource = page[0]
	}
	out.Stream, out.StreamProblem = a.stream(ctx, name)
	o := a.options.Namespaces.For(name)
	out.Namespace = namespaceResource{o.MaxLen, o.TTL.Milliseconds(), string(o.Delivery), string(o.Ack), o.Types}
	if a.options.Members != nil {
		if page, err := a.options.Members.Members(ctx, name, presence.PageRequest{Limit: 1}); err == nil {
			out.Presence = &presenceResource{page.Count, page.Sessions, page.StaleSince}
		}
	}
	return answer(c, out)
}
