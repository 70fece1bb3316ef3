package admin

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/auth"
)

// tailLifetime is how long a token for following a channel is good. The console asks for the next in time.
const tailLifetime = 5 * time.Minute

type tailTokenAnswer struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	Channel string    `json:"channel"`
}

// tailToken handles POST /admin/v1/tail-token: a client's token with which the operator may follow one
// channel, and do nothing else.
func (a *Admin) tailToken(c echo.Context) error {
	var in struct {
		Channel string `json:"channel"`
	}
	if err := body(c, &in); err != nil {
		return err
	}
	note(c, "channel", clip(in.Channel, maxChannel))
	if err := checkChannel(in.Channel); err != nil {
		return err
	}
	if a.options.Mint == nil || a.options.Client == nil {
		return unsupported("this gateway cannot make client tokens, since it has no secret to sign with (--auth-secret): " +
			"follow the channel with `tallywire tail " + in.Channel + " --token …` and a token of your identity provider")
	}
	who := actor(c)
	token, err := a.options.Mint(auth.Claims{
		User: who.User, Name: who.Name,
		Permissions: auth.Permissions{Subscribe: []string{in.Channel}},
	}, tailLifetime)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tailTokenAnswer{Token: token, Expires: time.Now().Add(tailLifetime).UTC(), Channel: in.Channel})
}
