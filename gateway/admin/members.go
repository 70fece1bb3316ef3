package admin

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/presence"
)

type membersAnswer struct {
	Channel  string            `json:"channel"`
	Version  uint64            `json:"version"`
	Count    int               `json:"count"`
	Sessions int               `json:"sessions"`
	Members  []presence.Member `json:"members"`
	// Next is the After of the next page, empty where this is the last.
	Next string `json:"next"`
	// StaleSince is set while the store is away: the page is what was so at this time.
	StaleSince time.Time `json:"stale_since,omitzero"`
}

// members handles GET /admin/v1/channels/{channel}/members?after=&limit=.
func (a *Admin) members(c echo.Context) error {
	name, err := channelParam(c)
	if err != nil {
		return err
	}
	after := c.QueryParam("after")
	if err := checkText("after", after, 0, maxUser); err != nil {
		return err
	}
	limit, err := limitParam(c, presence.MaxPageLimit)
	if err != nil {
		return err
	}
	if a.options.Members == nil {
		return unsupported("presence is not enabled on this gateway")
	}
	page, err := a.options.Members.Members(c.Request().Context(), name, presence.PageRequest{After: after, Limit: limit})
	if err != nil {
		return err
	}
	out := membersAnswer{
		Channel: name, Version: page.Version, Count: page.Count, Sessions: page.Sessions,
		Members: page.Members, Next: page.Next, StaleSince: page.StaleSince,
	}
	if out.Members == nil {
		out.Members = []presence.Member{}
	}
	return answer(c, out)
}
