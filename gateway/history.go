package gateway

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// HistoryPage is the answer of GET /v1/channels/{channel}/events.
type HistoryPage struct {
	Channel string `json:"channel"`
	// Head is the newest cursor; everything retained comes after Oldest ("0-0" while nothing was trimmed).
	Head   broker.Cursor  `json:"head"`
	Oldest broker.Cursor  `json:"oldest"`
	Events []HistoryEvent `json:"events"`
	// Skipped counts the events left out between the last of Events and Next.
	Skipped uint64 `json:"skipped,omitempty"`
	// Next is the cursor for the next page, in the direction asked for; More says whether there is one now.
	Next  broker.Cursor `json:"next"`
	More  bool          `json:"more"`
	Reset *HistoryReset `json:"reset,omitempty"`
}

// HistoryEvent is one event. Skipped counts those left out between it and the one before it in the page.
type HistoryEvent struct {
	Cursor  broker.Cursor   `json:"cursor"`
	Time    time.Time       `json:"time"`
	Event   json.RawMessage `json:"event"`
	Skipped uint64          `json:"skipped,omitempty"`
}

// HistoryReset tells that where the request wanted to begin is not there; the page begins at its cursor.
type HistoryReset struct {
	Reason string        `json:"reason"`
	Cursor broker.Cursor `json:"cursor"`
}

const (
	maxHistory = 1000
	// maxHistoryBytes bounds the events of a page.
	maxHistoryBytes = 4 << 20
	// headerHead tells a channel's head.
	headerHead = "Tallywire-Head"
	// fromEnd as `before` reads backwards from the newest event.
	fromEnd = "end"
	// firstEvent is the least offset of an event: the entry before it only opens the stream.
	firstEvent = 2
)

// historyQuery is what a request asks for: the events after a cursor or a time and up to a time, oldest first;
// or with back those before a cursor (nil: before the end), newest first.
type historyQuery struct {
	after, before *broker.Cursor
	back          bool
	since, until  uint64 // stamps: exclusive and inclusive; 0 for none
	limit         int
}

func newHistoryQuery(r *http.Request) (historyQuery, error) {
	q := newQuery(r)
	h := historyQuery{after: q.cursor("after"), since: q.time("since"), until: q.time("until"), limit: q.limit(100, maxHistory)}
	var text string
	if text, h.back = q.get("before"); h.back && text != fromEnd {
		h.before = q.cursor("before")
	}
	switch {
	case h.after != nil && h.back:
		q.fail(wire.CodeInvalidRequest, "after and before: give one of the two, they go in opposite directions")
	case h.after != nil && h.since != 0:
		q.fail(wire.CodeInvalidRequest, "after and since: give one of the two to begin at")
	case h.until != 0 && h.since >= h.until:
		q.fail(wire.CodeInvalidRequest, "until: must be later than since")
	}
	if q.err != nil {
		return h, q.err
	}
	return h, nil
}

// next returns the query of the next page.
func (h historyQuery) next(cursor broker.Cursor) string {
	v := url.Values{"limit": {strconv.Itoa(h.limit)}}
	at := func(name string, stamp uint64) {
		if stamp != 0 {
			v.Set(name, broker.Cursor{Stamp: stamp}.Time().UTC().Format(time.RFC3339Nano))
		}
	}
	if h.back {
		v.Set("before", cursor.String())
		at("since", h.since)
	} else {
		v.Set("after", cursor.String())
		at("until", h.until)
	}
	return v.Encode()
}

// history handles GET and HEAD /v1/channels/{channel}/events. HEAD tells the head and reads no events.
func (g *Gateway) history(c echo.Context) error {
	who, err := g.authorise(c)
	if err != nil {
		return err
	}
	channel, err := channelOf(c)
	if err != nil {
		return err
	}
	if !who.May(auth.History, channel) {
		return wire.Errorf(wire.CodeForbidden, "the token does not allow to read this channel")
	}
	q, err := newHistoryQuery(c.Request())
	if err != nil {
		return err
	}
	ctx, h := c.Request().Context(), c.Response().Header()
	h.Set(echo.HeaderCacheControl, "private, no-cache")
	if c.Request().Method == http.MethodHead {
		page, err := g.options.Broker.Read(ctx, channel, broker.ReadRequest{From: math.MaxUint64, Limit: 1})
		if err != nil {
			return storeError(err)
		}
		h.Set(headerHead, page.Cursor.String())
		h.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		return c.NoContent(http.StatusOK) //nolint:wrapcheck // echo
	}
	read := g.historyForwards
	if q.back {
		read = g.historyBackwards
	}
	out := HistoryPage{Channel: channel, Events: []HistoryEvent{}}
	if err := read(ctx, q, &out); err != nil {
		return storeError(err)
	}
	h.Set(headerHead, out.Head.String())
	if out.More {
		h.Set("Link", "<?"+q.next(out.Next)+`>; rel="next"`)
	}
	if notModified(c, out.tag()) {
		return c.NoContent(http.StatusNotModified) //nolint:wrapcheck // echo
	}
	return answerJSON(c, http.StatusOK, out)
}

// tag returns the page's entity tag. It is a weak one: it stands for the events and the way on, not for head
// and oldest, so that a page of the past stays the same while the channel grows.
func (p *HistoryPage) tag() string {
	var b []byte
	for _, e := range p.Events {
		b = append(strconv.AppendUint(e.Cursor.Append(b), e.Skipped, 10), ' ')
	}
	b = strconv.AppendBool(p.Next.Append(b), p.More)
	b = strconv.AppendUint(b, p.Skipped, 10)
	if p.Reset != nil {
		b = p.Reset.Cursor.Append(append(b, p.Reset.Reason...))
	}
	return "W/" + digest(b)
}

// historyForwards reads a page, oldest first.
func (g *Gateway) historyForwards(ctx context.Context, q historyQuery, out *HistoryPage) error {
	request := broker.ReadRequest{From: firstEvent, Since: q.since, Limit: q.limit, MaxBytes: maxHistoryBytes}
	if q.after != nil {
		request.From = max(q.after.Offset+1, firstEvent)
	}
	page, err := g.options.Broker.Read(ctx, out.Channel, request)
	if err != nil {
		return err
	}
	start, verdict := page.Oldest(), broker.Valid
	switch {
	case q.after != nil:
		start, verdict = *q.after, page.Check(*q.after)
	case q.since != 0:
		verdict = g.rewindable(out.Channel, page, q.since)
		if start = page.Cursor; len(page.Entries) > 0 {
			start = page.Entries[0].Before()
		}
	}
	if verdict != broker.Valid {
		// Unlike a subscriber, a reader of history is sent to the oldest that there is.
		if page, err = g.options.Broker.Read(ctx, out.Channel, broker.ReadRequest{
			From: firstEvent, Limit: q.limit, MaxBytes: maxHistoryBytes,
		}); err != nil {
			return err
		}
		start = page.Oldest()
		out.Reset = &HistoryReset{Reason: verdict.String(), Cursor: start}
	}
	out.Head, out.Oldest, out.Next = page.Cursor, page.Oldest(), start
	for _, e := range page.Entries {
		if q.until != 0 && e.Cursor.Stamp > q.until {
			return nil
		}
		g.addHistory(out, e)
	}
	out.More = len(page.Entries) > 0 && out.Next != page.Cursor
	return nil
}

// rewindable says whether a channel's retention reaches back to a time, as package relay does for a subscriber.
func (g *Gateway) rewindable(channel string, page broker.Page, since uint64) broker.Verdict {
	switch {
	case page.First.Offset > 1 && page.FirstPrev > since, page.Exists && page.First.IsZero() && page.Cursor.Stamp > since:
		return broker.Trimmed
	case page.First.Offset <= 1 && (!page.Exists || page.First.Stamp > since) &&
		time.Since(broker.Cursor{Stamp: since}.Time()) > g.options.Namespaces.For(channel).TTL:
		return broker.Expired // an older stream may have lived and gone since
	}
	return broker.Valid
}

// historyBackwards reads a page, newest first.
func (g *Gateway) historyBackwards(ctx context.Context, q historyQuery, out *HistoryPage) error {
	below, err := g.below(ctx, q, out.Channel)
	if err != nil {
		return err
	}
	request := broker.ReadRequest{Before: below, Limit: q.limit, MaxBytes: maxHistoryBytes}
	page, err := g.options.Broker.Read(ctx, out.Channel, request)
	if err != nil {
		return err
	}
	out.Next = page.Cursor
	if q.before != nil {
		// Judged after the page was read: what comes before an entry that is there still was there then.
		at, err := g.options.Broker.Read(ctx, out.Channel, broker.ReadRequest{From: q.before.Offset, Limit: 2})
		if err != nil {
			return err
		}
		out.Next = *q.before
		switch verdict := at.Check(*q.before); verdict {
		case broker.Valid:
		case broker.Trimmed:
			out.Head, out.Oldest, out.Next = at.Cursor, at.Oldest(), at.Oldest()
			out.Reset = &HistoryReset{Reason: verdict.String(), Cursor: out.Next}
			return nil
		case broker.Forked, broker.Expired, broker.Unknown: // what the client has is of another log: begin at the end
			q.before = nil
			if err := g.historyBackwards(ctx, q, out); err != nil {
				return err
			}
			out.Reset = &HistoryReset{Reason: verdict.String(), Cursor: out.Head}
			return nil
		}
	}
	out.Head, out.Oldest = page.Cursor, page.Oldest()
	for i := len(page.Entries) - 1; i >= 0; i-- {
		if e := page.Entries[i]; e.Cursor.Stamp <= q.since {
			return nil
		} else if !e.Genesis() {
			g.addHistory(out, e)
		}
	}
	out.More = len(page.Entries) > 0 && page.Entries[0].Cursor.Offset > max(page.First.Offset, firstEvent)
	return nil
}

// below returns the offset below which a backward page begins.
func (g *Gateway) below(ctx context.Context, q historyQuery, channel string) (uint64, error) {
	offset := uint64(math.MaxUint64)
	if q.before != nil {
		offset = max(q.before.Offset, 1) // 0 would be no bound; before the first there is nothing either
	}
	if q.until == 0 {
		return offset, nil
	}
	page, err := g.options.Broker.Read(ctx, channel, broker.ReadRequest{Since: q.until, Limit: 1})
	if err != nil {
		return 0, err
	}
	if len(page.Entries) > 0 {
		offset = min(offset, page.Entries[0].Cursor.Offset)
	}
	return offset, nil
}

// addHistory adds an entry to a page. Events that fail validation are left out and counted.
func (g *Gateway) addHistory(out *HistoryPage, e broker.Entry) {
	out.Next = e.Cursor
	if e.Genesis() {
		return
	}
	if _, bad := g.check(out.Channel, e.Event); bad != nil {
		out.Skipped++
		return
	}
	out.Events = append(out.Events, HistoryEvent{
		Cursor: e.Cursor, Time: e.Cursor.Time().UTC(), Event: e.Event, Skipped: out.Skipped,
	})
	out.Skipped = 0
}
