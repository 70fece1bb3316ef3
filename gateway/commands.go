package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/receipt"
)

// maxCommandsBody bounds the body of a batch of commands.
const maxCommandsBody = 4 << 20

// receiptTimeout bounds a call of the book of receipts.
const receiptTimeout = 5 * time.Second

// commands handles POST /v1/commands: client frames of a session that reads by polling or from an event
// stream. They are done as if they came through a WebSocket, and the response holds their answers.
func (g *Gateway) commands(e echo.Context) error {
	p, err := g.authorise(e)
	if err != nil {
		return err
	}
	var r wire.CommandsRequest
	if err := readRequest(e, maxCommandsBody, &r); err != nil {
		return err
	}
	p = p.Of(r.Session)
	g.counters.BytesIn.Add(uint64(len(r.Frames)))
	if err := g.checkCommands(&r); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(e.Request().Context(), commandsTimeout)
	defer cancel()
	v, err := g.visits.enter(wait, p, r.Session, e.RealIP(), e.Request().UserAgent())
	if err != nil {
		return g.busy(e, err)
	}
	defer v.leave()
	var answer []byte
	if r.Seq == 0 {
		answer, err = v.do(r.Frames, "")
	} else {
		answer, err = g.doOnce(context.WithoutCancel(e.Request().Context()), v, receipt.Key{User: p.User, Session: r.Session}, &r)
	}
	if err != nil {
		return err
	}
	return e.Blob(http.StatusOK, echo.MIMEApplicationJSON, answer) //nolint:wrapcheck // echo
}

// doOnce does a batch that has a number, unless it was done. What has begun is done and noted, whoever
// still waits for it.
func (g *Gateway) doOnce(ctx context.Context, v *visit, key receipt.Key, r *wire.CommandsRequest) ([]byte, error) {
	opened, err := g.openBatch(ctx, key, r.Seq)
	if err != nil || opened.Answer != nil {
		return opened.Answer, err
	}
	answer, err := v.do(r.Frames, r.Session+"/"+strconv.FormatUint(r.Seq, 10))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, receiptTimeout)
	defer cancel()
	if err := g.options.Receipts.Close(ctx, key, r.Seq, opened.Token, answer); err != nil {
		// The client has its answer. Where that is lost, a repetition waits for the lease.
		g.options.Log.Warn().Str("event", "receipt_unavailable").Err(err).Msg("a batch was done and not noted")
	}
	return answer, nil
}

func (g *Gateway) checkCommands(r *wire.CommandsRequest) error {
	bad := func(message, path string) error {
		return &wire.Error{Code: wire.CodeInvalidRequest, Message: message, Path: path}
	}
	switch {
	case len(r.Frames) == 0:
		return bad("frames: is required", "/frames")
	case len(r.Session) > wire.MaxSessionLen:
		return bad("session: is too long", "/session")
	case r.Seq > 0 && r.Session == "":
		return bad("session: is required with seq", "/session")
	case r.Seq > receipt.MaxSeq:
		return bad("seq: is too large", "/seq")
	case r.Seq > 0 && g.options.Receipts == nil:
		return wire.Errorf(wire.CodeUnsupported, "this gateway keeps no receipts: leave out seq")
	}
	return nil
}

// openBatch begins a batch that has a number.
func (g *Gateway) openBatch(ctx context.Context, key receipt.Key, seq uint64) (receipt.Opened, error) {
	ctx, cancel := context.WithTimeout(ctx, receiptTimeout)
	defer cancel()
	opened, err := g.options.Receipts.Open(ctx, key, seq)
	var order *receipt.OrderError
	switch {
	case err == nil:
		return opened, nil
	case errors.As(err, &order):
		return opened, &wire.Error{
			Code: wire.CodeOutOfOrder, Path: "/seq", Expected: order.Expected,
			Message: "seq: " + strconv.FormatUint(order.Expected, 10) + " is expected",
		}
	case errors.Is(err, receipt.ErrInProgress):
		return opened, wire.Errorf(wire.CodeInProgress, "the session's commands are being done")
	case errors.Is(err, receipt.ErrOverloaded):
		return opened, wire.Errorf(wire.CodeOverloaded, "too many sessions send commands")
	case errors.Is(err, receipt.ErrInvalid):
		return opened, &wire.Error{Code: wire.CodeInvalidRequest, Message: "seq or session: is out of range", Path: "/seq"}
	default:
		return opened, wire.Errorf(wire.CodeUnavailable, "the store is not available; nothing was done")
	}
}

// busy answers a request for which there is no room now.
func (g *Gateway) busy(e echo.Context, err error) error {
	var bad *wire.Error
	if errors.As(err, &bad) && bad.Code == wire.CodeOverloaded {
		return g.full(e, transportCommands)
	}
	return err
}
