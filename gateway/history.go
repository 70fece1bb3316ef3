package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// historyPage is the answer of GET /v1/channels/{channel}/events.
type historyPage struct {
	Channel string         `json:"channel"`
	Head    string         `json:"head"`
	Events  []historyEvent `json:"events"`
	// Next is the cursor for the next page; More says whether there is one now.
	Next  string         `json:"next"`
	More  bool           `json:"more"`
	Reset *resetResource `json:"reset,omitempty"`
}

type historyEvent struct {
	Cursor  string          `json:"cursor"`
	Time    time.Time       `json:"time"`
	Event   json.RawMessage `json:"event"`
	Skipped uint64          `json:"skipped,omitempty"`
}

// resetResource tells that the request's cursor could not be honoured; the events follow its cursor.
type resetResource struct {
	Reason string `json:"reason"`
	Cursor string `json:"cursor"`
}

const maxHistory = 1000

// headerHead tells a channel's head.
const headerHead = "Tallywire-Head"

// history handles GET /v1/channels/{channel}/events?after=CURSOR|since=TIME&limit=N. Without either it
// starts at the oldest event retained.
func (g *Gateway) history(c echo.Context) error {
	who, err := g.authorise(c)
	if err != nil {
		return err
	}
	channel, err := url.PathUnescape(c.Param("channel")) // echo leaves it as it stands in the path
	if err != nil {
		return wire.Errorf(wire.CodeInvalidChannel, "the channel's name is badly escaped")
	}
	if err := events.ValidateChannel(channel); err != nil {
		return wire.Errorf(wire.CodeInvalidChannel, err.Error())
	}
	if !who.May(auth.History, channel) {
		return wire.Errorf(wire.CodeForbidden, "the token does not allow to read this channel")
	}
	after, request, err := historyRequest(c)
	if err != nil {
		return err
	}
	page, err := g.options.Broker.Read(c.Request().Context(), channel, request)
	if err != nil {
		return storeError(err)
	}
	out := historyPage{Channel: channel, Head: page.Cursor.String(), Events: []historyEvent{}}
	if after != nil && request.Since == 0 {
		if verdict := page.Check(*after); verdict != broker.Valid {
			// Unlike a subscriber, a reader of history is sent to the oldest that there is.
			reset := page.Oldest()
			out.Reset = &resetResource{Reason: verdict.String(), Cursor: reset.String()}
			request.From = reset.Offset + 1
			if page, err = g.options.Broker.Read(c.Request().Context(), channel, request); err != nil {
				return storeError(err)
			}
			after = &reset
		}
	}
	g.fillHistory(&out, page, after)
	return c.JSON(http.StatusOK, out) //nolint:wrapcheck // echo
}

// fillHistory turns entries into events. Events that fail validation are skipped and counted.
func (g *Gateway) fillHistory(out *historyPage, page broker.Page, after *broker.Cursor) {
	next := page.Cursor
	if after != nil {
		next = *after
	}
	var skipped uint64
	for _, e := range page.Entries {
		next = e.Cursor
		if e.Genesis() {
			continue
		}
		if _, bad := g.check(out.Channel, e.Event); bad != nil {
			skipped++
			continue
		}
		out.Events = append(out.Events, historyEvent{
			Cursor: e.Cursor.String(), Time: e.Cursor.Time().UTC(), Event: e.Event, Skipped: skipped,
		})
		skipped = 0
	}
	out.Next = next.String()
	out.More = len(page.Entries) > 0 && next != page.Cursor
}

func historyRequest(c echo.Context) (after *broker.Cursor, r broker.ReadRequest, err error) {
	r = broker.ReadRequest{From: 1, Limit: 100, MaxBytes: 4 << 20}
	if v := c.QueryParam("limit"); v != "" {
		if r.Limit, err = strconv.Atoi(v); err != nil || r.Limit < 1 || r.Limit > maxHistory {
			return nil, r, wire.Errorf(wire.CodeInvalidRequest, "limit: must be 1 to "+strconv.Itoa(maxHistory))
		}
	}
	if v := c.QueryParam("after"); v != "" {
		cursor, err := broker.ParseCursor(v)
		if err != nil {
			return nil, r, wire.Errorf(wire.CodeInvalidCursor, "after: must be <offset>-<stamp>")
		}
		r.From = cursor.Offset + 1
		return &cursor, r, nil
	}
	if v := c.QueryParam("since"); v != "" {
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return nil, r, wire.Errorf(wire.CodeInvalidSince, "since: must be an RFC 3339 time")
		}
		r.Since = uint64(max(t.UnixMicro(), 1))
	}
	return nil, r, nil
}
