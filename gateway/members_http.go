package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// MembersPage is the answer of GET /v1/channels/{channel}/members.
type MembersPage struct {
	Channel  string            `json:"channel"`
	Version  uint64            `json:"version"`
	Count    int               `json:"count"`
	Sessions int               `json:"sessions"`
	Members  []presence.Member `json:"members"`
	// Next is the `after` of the next page, absent on the last.
	Next string `json:"next,omitempty"`
	// StaleSince is set when the store is away: the page is what it answered then.
	StaleSince time.Time `json:"stale_since,omitzero"`
}

// membersHTTP handles GET /v1/channels/{channel}/members?after=USER&limit=N.
func (g *Gateway) membersHTTP(c echo.Context) error {
	who, err := g.authorise(c)
	if err != nil {
		return err
	}
	channel, err := channelOf(c)
	if err != nil {
		return err
	}
	if g.rooms == nil {
		return wire.Errorf(wire.CodeUnsupported, "presence is not enabled on this gateway")
	}
	if !who.May(auth.Presence, channel) {
		return wire.Errorf(wire.CodeForbidden, "the token does not allow presence in this channel")
	}
	q := newQuery(c.Request())
	r := presence.PageRequest{Limit: q.limit(0, presence.MaxPageLimit)}
	r.After, _ = q.get("after")
	if q.err != nil {
		return q.err
	}
	if len(r.After) > presence.MaxUser {
		return wire.Errorf(wire.CodeInvalidRequest, "after: must be a user's id of at most "+strconv.Itoa(presence.MaxUser)+" bytes")
	}
	page, err := g.rooms.tracker.Members(c.Request().Context(), channel, r)
	if err != nil {
		return presenceError(err)
	}
	out := MembersPage{
		Channel: channel, Version: page.Version, Count: page.Count, Sessions: page.Sessions,
		Members: page.Members, Next: page.Next, StaleSince: page.StaleSince,
	}
	if out.Members == nil {
		out.Members = []presence.Member{}
	}
	return c.JSON(http.StatusOK, out) //nolint:wrapcheck // echo
}
