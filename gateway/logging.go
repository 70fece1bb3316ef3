package gateway

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/gateway/auth"
)

// The log has a line for a connection that begins and one for its end, as long as there are not too many of
// them: when thousands come at once, the metrics say how many. Polls are told of by nobody.
const (
	loggedBurst  = 20
	loggedPeriod = time.Second
)

// comings and goings have a budget each, so that neither hides the other.
type connectionLog struct{ comings, goings zerolog.Sampler }

func newConnectionLog() connectionLog {
	return connectionLog{
		comings: &zerolog.BurstSampler{Burst: loggedBurst, Period: loggedPeriod},
		goings:  &zerolog.BurstSampler{Burst: loggedBurst, Period: loggedPeriod},
	}
}

// logConnected tells that a client has said who it is.
func (s *session) logConnected(p *auth.Principal) {
	c := s.conn
	g := c.gateway
	if g.connectionLog.comings.Sample(zerolog.InfoLevel) {
		g.options.Log.Info().Str("event", "connected").Str("user", p.User).Str("session", s.id).Str("transport", string(c.transport)).
			Str("remote", c.remote).Msg("connected")
	}
}

// logEnded tells that a connection has ended, and why.
func (c *conn) logEnded() {
	g := c.gateway
	if !g.connectionLog.goings.Sample(zerolog.InfoLevel) {
		return
	}
	user, session := "", "" // who never said
	if p := c.session.principal.Load(); p != nil {
		user, session = p.User, c.session.id
	}
	end := endOf(int(c.why.Load()))
	g.options.Log.Info().Str("event", "disconnected").Str("user", user).Str("session", session).
		Str("transport", string(c.transport)).Str("remote", c.remote).
		Int("code", end.Code).Str("reason", end.Reason).Msg("disconnected")
}
