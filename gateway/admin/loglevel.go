package admin

import (
	"slices"
	"time"

	"github.com/labstack/echo/v4"
)

// How long a log may differ from its settings, in seconds.
const (
	defaultLogFor = 10 * 60
	maxLogFor     = 24 * 60 * 60
)

// logLevels are the names of levels.
var logLevels = []string{"debug", "info", "warn", "error"}

type logLevelAnswer struct {
	Gateway string    `json:"gateway"`
	Level   string    `json:"level"`
	Until   time.Time `json:"until"`
}

// logLevel handles PUT /admin/v1/log-level: a gateway logs from another level on, for a while.
func (a *Admin) logLevel(c echo.Context) error {
	in := struct {
		Gateway string `json:"gateway"`
		Level   string `json:"level"`
		ForS    *int64 `json:"for_s"`
	}{}
	if err := body(c, &in); err != nil {
		return err
	}
	q := Question{Kind: AskLogLevel, Gateway: a.meant(in.Gateway), Level: in.Level, ForS: defaultLogFor}
	if in.ForS != nil {
		q.ForS = *in.ForS
	}
	note(c, "gateway", clip(q.Gateway, maxGateway), "level", clip(q.Level, 16), "for_s", q.ForS)
	if !slices.Contains(logLevels, q.Level) {
		return badRequest("level", "must be debug, info, warn or error")
	}
	if q.ForS < 1 || q.ForS > maxLogFor {
		return badRequest("for_s", "must be 1 to 86400")
	}
	g, err := a.tell(c, q)
	switch {
	case err != nil:
		return err
	case g.LogUntil.IsZero():
		return unsupported(g.Refusal)
	}
	return answer(c, logLevelAnswer{Gateway: g.Gateway, Level: q.Level, Until: g.LogUntil.UTC()})
}
