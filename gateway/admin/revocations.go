package admin

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/auth"
)

// maxKeep is how long a revocation may be kept.
const maxKeep = 10 * 365 * 24 * time.Hour

// revocationResource is a revoked token, or a user whose tokens were revoked up to a time.
type revocationResource struct {
	TokenID string    `json:"token_id,omitempty"`
	User    string    `json:"user,omitempty"`
	Before  time.Time `json:"before,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

func (r revocationResource) key() string {
	if r.User != "" {
		return "user:" + r.User
	}
	return "token:" + r.TokenID
}

type revocationsAnswer struct {
	Count       int                  `json:"count"`
	Revocations []revocationResource `json:"revocations"`
	Next        string               `json:"next"`
}

// revocations handles GET /admin/v1/revocations?after=&limit=.
func (a *Admin) revocations(c echo.Context) error {
	limit, err := limitParam(c, maxLimit)
	if err != nil {
		return err
	}
	after := c.QueryParam("after")
	if after != "" && !strings.HasPrefix(after, "user:") && !strings.HasPrefix(after, "token:") {
		return badRequest("after", "must be the next of the page before")
	}
	if a.options.Revocations == nil {
		return unsupported("revocations are not enabled on this gateway")
	}
	list, err := a.options.Revocations.List(c.Request().Context())
	if err != nil {
		return unavailable(err)
	}
	out := revocationsAnswer{Count: len(list), Revocations: []revocationResource{}}
	for _, r := range list {
		resource := revocationResource{TokenID: r.TokenID, User: r.User, Before: utc(r.Before), Expires: utc(r.Expires)}
		if r.TokenID != "" {
			resource.Before = time.Time{} // it is for users only
		}
		if resource.key() > after {
			out.Revocations = append(out.Revocations, resource)
		}
	}
	slices.SortFunc(out.Revocations, func(a, b revocationResource) int { return cmp.Compare(a.key(), b.key()) })
	if len(out.Revocations) > limit {
		out.Revocations = out.Revocations[:limit]
		out.Next = out.Revocations[limit-1].key()
	}
	return answer(c, out)
}

// utc leaves the zero time as it is.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// revoke handles POST /admin/v1/revocations.
func (a *Admin) revoke(c echo.Context) error {
	var in struct {
		TokenID string    `json:"token_id"`
		User    string    `json:"user"`
		Before  time.Time `json:"before"`
		Expires time.Time `json:"expires"`
		TTL     string    `json:"ttl"`
	}
	if err := body(c, &in); err != nil {
		return err
	}
	note(c, "token_id", clip(in.TokenID, 128), "user", clip(in.User, maxUser))
	now := time.Now()
	if in.TTL != "" {
		if !in.Expires.IsZero() {
			return badRequest("ttl", "give either ttl or expires")
		}
		d, err := time.ParseDuration(in.TTL)
		if err != nil || d < time.Second || d > maxKeep {
			return badRequest("ttl", "must be a duration of 1s or more, as 720h")
		}
		in.Expires = now.Add(d)
	}
	if !in.Expires.IsZero() && (in.Expires.Before(now) || in.Expires.After(now.Add(maxKeep))) {
		return badRequest("expires", "must be a time to come, within ten years")
	}
	if in.TokenID != "" && !in.Before.IsZero() {
		return badRequest("before", "is for users only")
	}
	if in.Before.After(now.Add(time.Hour)) {
		return badRequest("before", "must not lie in the future: it would lock the user out until then")
	}
	r := auth.Revocation{TokenID: in.TokenID, User: in.User, Before: in.Before, Expires: in.Expires}
	if err := r.Validate(); err != nil {
		return badRequest("user", "name either a token_id or a user, as a token says it")
	}
	if a.options.Revocations == nil {
		return unsupported("revocations are not enabled on this gateway")
	}
	if r.User != "" && r.Before.IsZero() {
		r.Before = now
	}
	if err := a.options.Revocations.Revoke(c.Request().Context(), r); err != nil {
		return unavailable(err)
	}
	return answer(c, revocationResource{TokenID: r.TokenID, User: r.User, Before: utc(r.Before), Expires: utc(r.Expires)})
}
