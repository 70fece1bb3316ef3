package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// publishRequest is the body of POST /v1/publish: one event, or a batch under `events`.
type publishRequest struct {
	Channel string          `json:"channel"`
	Event   json.RawMessage `json:"event"`
	Ack     string          `json:"ack"`
	Events  []struct {
		Channel string          `json:"channel"`
		Event   json.RawMessage `json:"event"`
		Ack     string          `json:"ack"`
	} `json:"events"`
}

// publishResult is the answer for one event.
type publishResult struct {
	Channel   string        `json:"channel"`
	Cursor    string        `json:"cursor,omitempty"`
	Ack       string        `json:"ack,omitempty"`
	Duplicate bool          `json:"duplicate"`
	Error     *wire.Problem `json:"error,omitempty"`
}

// maxBatch is how many events a batch may have.
const maxBatch = 1000

// maxPublishBody bounds a request in bytes.
const maxPublishBody = 4 << 20

// publishHTTP handles POST /v1/publish. A batch is answered with one result an event, in order; those
// that fail do not keep the others from being published, and the status is then 207.
func (g *Gateway) publishHTTP(c echo.Context) error {
	who, err := g.authorise(c)
	if err != nil {
		return err
	}
	body, err := readBody(c, maxPublishBody)
	if err != nil {
		return err
	}
	var req publishRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return wire.Errorf(wire.CodeInvalidRequest, "the body is not a publish request: "+jsonProblem(err))
	}
	if req.Events == nil {
		p, bad := g.prepare(who, req.Channel, req.Event, req.Ack)
		if bad != nil {
			return bad
		}
		receipt, err := broker.PublishWait(c.Request().Context(), g.options.Broker, p)
		if err != nil {
			return storeError(err)
		}
		g.counters.Published.Add(1)
		return c.JSON(http.StatusOK, result(p.Channel, receipt)) //nolint:wrapcheck // echo
	}
	if len(req.Events) > maxBatch {
		return wire.Errorf(wire.CodeInvalidRequest, "events: a batch has at most "+strconv.Itoa(maxBatch)+" events")
	}
	results, failed := g.publishBatch(c, who, req)
	status := http.StatusOK
	if failed {
		status = http.StatusMultiStatus
	}
	return c.JSON(status, map[string]any{"results": results}) //nolint:wrapcheck // echo
}

// publishBatch publishes the events of a batch in order, all on their way at once.
func (g *Gateway) publishBatch(c echo.Context, who *auth.Principal, req publishRequest) (results []publishResult, failed bool) {
	type answer struct {
		i       int
		receipt broker.Receipt
		err     error
	}
	answers := make(chan answer, len(req.Events))
	results = make([]publishResult, len(req.Events))
	waiting := 0
	for i, item := range req.Events {
		results[i].Channel = clip(item.Channel)
		p, bad := g.prepare(who, item.Channel, item.Event, item.Ack)
		if bad != nil {
			problem := bad.Problem()
			results[i].Error, failed = &problem, true
			continue
		}
		waiting++
		g.options.Broker.Publish(c.Request().Context(), p, func(r broker.Receipt, err error) {
			answers <- answer{i, r, err}
		})
	}
	for ; waiting > 0; waiting-- {
		a := <-answers // the broker answers every publish
		if a.err != nil {
			problem := storeError(a.err).Problem()
			results[a.i].Error, failed = &problem, true
			continue
		}
		g.counters.Published.Add(1)
		results[a.i] = result(results[a.i].Channel, a.receipt)
	}
	return results, failed
}

func result(channel string, r broker.Receipt) publishResult {
	return publishResult{Channel: channel, Cursor: r.Cursor.String(), Ack: string(r.Ack), Duplicate: r.Duplicate}
}

// jsonProblem says what is wrong with a JSON text, without repeating it.
func jsonProblem(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return "not JSON at byte " + strconv.FormatInt(syntax.Offset, 10)
	case errors.As(err, &kind):
		return strings.TrimPrefix(kind.Field+": ", ": ") + "unexpected " + kind.Value
	default:
		return "not JSON"
	}
}
