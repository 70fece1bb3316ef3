package admin

import (
	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Defaults of a drain that an operator asks for, in milliseconds.
const (
	defaultDrainWait   = 2_000
	defaultDrainWindow = 60_000
)

type drainAnswer struct {
	Gateway  string `json:"gateway"`
	Draining bool   `json:"draining"`
}

// drain handles POST /admin/v1/drain: a gateway moves its clients away, takes no more, and goes on to run
// until it is stopped or the drain is undone.
func (a *Admin) drain(c echo.Context) error {
	in := struct {
		Gateway  string `json:"gateway"`
		WaitMS   *int64 `json:"wait_ms"`
		WindowMS *int64 `json:"window_ms"`
	}{}
	if err := body(c, &in); err != nil {
		return err
	}
	q := Question{Kind: AskDrain, Gateway: in.Gateway, WaitMS: defaultDrainWait, WindowMS: defaultDrainWindow}
	if in.WaitMS != nil {
		q.WaitMS = *in.WaitMS
	}
	if in.WindowMS != nil {
		q.WindowMS = *in.WindowMS
	}
	return a.order(c, q)
}

// undrain handles DELETE /admin/v1/drain.
func (a *Admin) undrain(c echo.Context) error {
	return a.order(c, Question{Kind: AskDrain, Gateway: c.QueryParam("gateway"), Undo: true})
}

// order has one gateway drain, or end that; without a name the one that is asked.
func (a *Admin) order(c echo.Context, q Question) error {
	q.Gateway = a.meant(q.Gateway)
	note(c, "gateway", clip(q.Gateway, maxGateway), "wait_ms", q.WaitMS, "window_ms", q.WindowMS, "undo", q.Undo)
	if q.WaitMS < 0 || q.WaitMS > maxDrainMS {
		return badRequest("wait_ms", "must be 0 to 600000")
	}
	if q.WindowMS < 0 || q.WindowMS > maxDrainMS {
		return badRequest("window_ms", "must be 0 to 600000")
	}
	g, err := a.tell(c, q)
	switch {
	case err != nil:
		return err
	case !g.Drained:
		return wire.Errorf(wire.CodeInProgress, g.Refusal)
	}
	return answer(c, drainAnswer{Gateway: g.Gateway, Draining: !q.Undo})
}

// meant returns the gateway that an order is for: where it names none, the one that is asked.
func (a *Admin) meant(name string) string {
	if name == "" {
		return a.options.Gateway
	}
	return name
}

// tell has the gateway that q names do something, and returns its answer.
func (a *Admin) tell(c echo.Context, q Question) (*Answer, error) {
	if err := checkText("gateway", q.Gateway, 1, maxGateway); err != nil {
		return nil, err
	}
	reply, failure := a.options.Cluster.Ask(c.Request().Context(), q)
	for i := range reply.Answers {
		switch g := &reply.Answers[i]; {
		case g.Gateway != q.Gateway:
		case g.Failure != "":
			return nil, unsupported("the gateway does not know how to do this: " + string(g.Failure))
		default:
			return g, nil
		}
	}
	if failure != nil {
		return nil, wire.Errorf(wire.CodeUnavailable, "the gateway could not be asked")
	}
	for _, m := range reply.Missing {
		if m.Gateway == q.Gateway {
			return nil, wire.Errorf(wire.CodeUnavailable, "the gateway has not answered: "+string(m.Reason))
		}
	}
	return nil, wire.Errorf(wire.CodeNotFound, "no gateway has this name")
}
