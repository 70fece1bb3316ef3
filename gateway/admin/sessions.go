package admin

import (
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/presence"
)

// sessionResource is one session of a user.
type sessionResource struct {
	Session   string    `json:"session"`
	Gateway   string    `json:"gateway"`
	Transport string    `json:"transport"`
	Since     time.Time `json:"since"`
	LastSeen  time.Time `json:"last_seen"`
	Remote    string    `json:"remote,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	// Confirmed says that the session's gateway has just told of it. Otherwise it is what the store was
	// last told.
	Confirmed bool `json:"confirmed"`
	// Channels names the subscribed channels of a session that is not confirmed.
	Channels      []string               `json:"channels,omitempty"`
	Subscriptions []inspect.Subscription `json:"subscriptions"`
}

type sessionsAnswer struct {
	Coverage
	User     string            `json:"user"`
	Sessions []sessionResource `json:"sessions"`
	// Cut says that there is more than is listed.
	Cut bool `json:"cut"`
}

// sessions handles GET /admin/v1/users/{user}/sessions: where a user is connected. Nobody keeps a list of
// users, so that one who is not known is one who is not connected.
func (a *Admin) sessions(c echo.Context) error {
	user, err := pathParam(c, "user")
	if err != nil {
		return err
	}
	if err := checkUser(user); err != nil {
		return err
	}
	ctx := c.Request().Context()
	reply, failure := a.options.Cluster.Ask(ctx, Question{Kind: AskSessions, User: user})
	out := sessionsAnswer{Coverage: coverage(reply, failure), User: user, Sessions: []sessionResource{}}
	answered := map[string]bool{}
	for _, g := range reply.Answers {
		answered[g.Gateway] = true
		out.Cut = out.Cut || g.Cut
		for _, s := range g.Sessions {
			out.Sessions = append(out.Sessions, confirmed(g.Gateway, s))
		}
	}
	if a.options.Directory != nil {
		known, err := a.options.Directory.UserSessions(ctx, user)
		switch {
		case err != nil:
			out.Complete = false
			if out.Problem == "" {
				out.Problem = "the directory of sessions could not be read: " + wireError(err).Message
			}
		default:
			// Where a gateway answers, its word counts: the store hears of an end a moment later.
			for _, s := range known {
				if !answered[s.Gateway] {
					out.Sessions = append(out.Sessions, unconfirmed(s))
				}
			}
		}
	}
	slices.SortFunc(out.Sessions, func(a, b sessionResource) int {
		if d := a.Since.Compare(b.Since); d != 0 {
			return d
		}
		return strings.Compare(a.Session, b.Session)
	})
	return answer(c, out)
}

func confirmed(gateway string, s inspect.Session) sessionResource {
	r := sessionResource{
		Session: s.Session, Gateway: gateway, Transport: s.Transport, Since: s.Since.UTC(), LastSeen: s.LastSeen.UTC(),
		Remote: s.Remote, UserAgent: s.UserAgent, Expires: s.Expires.UTC(), Confirmed: true, Subscriptions: s.Subscriptions,
	}
	if s.Expires.IsZero() {
		r.Expires = time.Time{}
	}
	if r.Subscriptions == nil {
		r.Subscriptions = []inspect.Subscription{}
	}
	return r
}

func unconfirmed(s presence.SessionInfo) sessionResource {
	return sessionResource{
		Session: s.Session, Gateway: s.Gateway, Transport: s.Transport, Since: s.Since.UTC(), LastSeen: s.LastSeen.UTC(),
		Remote: s.Remote, UserAgent: s.UserAgent, Channels: s.Channels, Subscriptions: []inspect.Subscription{},
	}
}

// closedBy is how many connections a gateway has closed.
type closedBy struct {
	Gateway string `json:"gateway"`
	Closed  int    `json:"closed"`
}

type disconnectAnswer struct {
	Coverage
	Closed   int        `json:"closed"`
	Gateways []closedBy `json:"gateways"`
}

// disconnect handles POST /admin/v1/sessions/disconnect. The client comes back unless its token is revoked.
func (a *Admin) disconnect(c echo.Context) error {
	var in struct {
		User    string `json:"user"`
		Session string `json:"session"`
	}
	if err := body(c, &in); err != nil {
		return err
	}
	note(c, "user", clip(in.User, maxUser), "session", clip(in.Session, maxSession))
	if err := checkUser(in.User); err != nil {
		return err
	}
	if err := checkText("session", in.Session, 1, maxSession); err != nil {
		return err
	}
	reply, failure := a.options.Cluster.Ask(c.Request().Context(), Question{Kind: AskDisconnect, User: in.User, Session: in.Session})
	out := disconnectAnswer{Coverage: coverage(reply, failure), Gateways: []closedBy{}}
	for _, g := range reply.Answers {
		if g.Closed > 0 {
			out.Closed += g.Closed
			out.Gateways = append(out.Gateways, closedBy{g.Gateway, g.Closed})
		}
	}
	note(c, "closed", out.Closed, "complete", out.Complete)
	return answer(c, out)
}
