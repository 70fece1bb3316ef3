package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
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

// publishItem is one event of a request. Where it could not be read, bad says why.
type publishItem struct {
	channel string
	event   []byte
	ack     string
	bad     *wire.Error
}

// publishHTTP handles POST /v1/publish. A batch is answered with one result an event, in order; those
// that fail do not keep the others from being published, and the status is then 207.
func (g *Gateway) publishHTTP(c echo.Context) error {
	g.counters.BytesIn.Add(uint64(max(c.Request().ContentLength, 0)))
	who, err := g.authorise(c)
	if err != nil {
		return err
	}
	items, batch, err := readPublish(c)
	if err != nil {
		return err
	}
	carryTrace(c.Request().Header, items)
	if !batch {
		p, bad := g.prepareItem(who, items[0])
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
	results, failed := g.publishBatch(c, who, items)
	status := http.StatusOK
	if failed {
		status = http.StatusMultiStatus
	}
	return c.JSON(status, map[string]any{"results": results}) //nolint:wrapcheck // echo
}

// readPublish reads the events of a request, in whichever of the content modes it has. Those that name no
// channel or acknowledgement have those of the query.
func readPublish(c echo.Context) (items []publishItem, batch bool, err error) {
	mode, mediaType, err := modeOf(c)
	if err != nil {
		return nil, false, err
	}
	q := newQuery(c.Request())
	channel, _ := q.get("channel")
	ack, _ := q.get("ack")
	if q.err != nil {
		return nil, false, q.err
	}
	limit := int64(maxPublishBody)
	if mode == modeStructured || mode == modeBinary {
		limit = events.MaxEventBytes + 1<<10 // white space around it
	}
	body, err := readBody(c, limit)
	if err != nil {
		return nil, false, err
	}
	switch mode {
	case modeNative:
		items, batch, err = nativeItems(body)
	case modeBatch:
		batch = true
		items, err = batchItems(body)
	case modeStructured:
		items = []publishItem{structuredItem(body)}
	case modeBinary:
		items = []publishItem{binaryItem(c.Request().Header, mediaType, body)}
	}
	if err != nil {
		return nil, false, err
	}
	if len(items) > maxBatch {
		return nil, false, wire.Errorf(wire.CodeInvalidRequest, "events: a batch has at most "+strconv.Itoa(maxBatch)+" events")
	}
	for i := range items {
		item := &items[i]
		if item.channel == "" {
			item.channel = channel
		}
		if item.ack == "" {
			item.ack = ack
		}
		if item.channel == "" && item.bad == nil && mode != modeNative {
			item.bad = &wire.Error{
				Code: wire.CodeInvalidChannel, Path: "/channel",
				Message: "name the channel in the query (?channel=…) or as the event's extension attribute channel",
			}
		}
		if item.bad != nil {
			item.bad.Channel = clip(item.channel)
		}
	}
	return items, batch, nil
}

// nativeItems reads {"channel":…,"event":…} or {"events":[…]}.
func nativeItems(body []byte) (items []publishItem, batch bool, err error) {
	var req publishRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, false, wire.Errorf(wire.CodeInvalidRequest, "the body is not a publish request: "+jsonProblem(err))
	}
	if req.Events == nil {
		return []publishItem{{channel: req.Channel, event: req.Event, ack: req.Ack}}, false, nil
	}
	for _, e := range req.Events {
		items = append(items, publishItem{channel: e.Channel, event: e.Event, ack: e.Ack})
	}
	return items, true, nil
}

// batchItems reads an array of CloudEvents. One that is none does not keep the others from being read.
func batchItems(body []byte) ([]publishItem, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, wire.Errorf(wire.CodeInvalidRequest, "the body is not an array of events: "+jsonProblem(err))
	}
	if list == nil {
		return nil, wire.Errorf(wire.CodeInvalidRequest, "the body is not an array of events: unexpected null")
	}
	items := make([]publishItem, len(list))
	for i, raw := range list {
		items[i] = structuredItem(raw)
	}
	return items, nil
}

func structuredItem(raw []byte) (item publishItem) {
	item.channel, item.event, item.bad = structuredEvent(raw)
	return item
}

func binaryItem(h http.Header, mediaType string, body []byte) publishItem {
	event, bad := binaryEvent(h, mediaType, body)
	if bad != nil {
		return publishItem{bad: bad}
	}
	return structuredItem(event)
}

// prepareItem validates and authorises an event of a request.
func (g *Gateway) prepareItem(who *auth.Principal, item publishItem) (broker.Publication, *wire.Error) {
	if item.bad != nil {
		return broker.Publication{}, item.bad
	}
	return g.prepare(who, item.channel, item.event, item.ack)
}

// publishBatch publishes the events of a batch in order, all on their way at once.
func (g *Gateway) publishBatch(c echo.Context, who *auth.Principal, items []publishItem) (results []publishResult, failed bool) {
	type answer struct {
		i       int
		receipt broker.Receipt
		err     error
	}
	answers := make(chan answer, len(items))
	results = make([]publishResult, len(items))
	waiting := 0
	for i, item := range items {
		results[i].Channel = clip(item.channel)
		p, bad := g.prepareItem(who, item)
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
