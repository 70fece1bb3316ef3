package contract

import (
	"net/http"

	"github.com/tallywire/tallywire/gateway/wire"
)

// eventOperations publish events and read the log.
func (b *builder) eventOperations() []operation {
	return []operation{b.publishOperation(), b.historyOperation(http.MethodGet), b.historyOperation(http.MethodHead)}
}

func (b *builder) publishOperation() operation {
	results := obj("type", "object", "required", []string{"results"}, "properties", obj(
		"results", obj("type", "array", "items", ref("PublishResult"), "description", "One for each event, in order."),
	))
	return operation{
		method: http.MethodPost, path: "/v1/publish", id: "publish", tag: tagEvents,
		summary: "Publish an event, or several",
		description: "Needs the permission `publish` for the channel. An event with an `id` is idempotent: sent again, it gets the " +
			"cursor of the first time. An event without a `source` gets the token's subject.",
		parameters: []parameter{
			{name: "channel", in: "query", doc: "The channel of events that do not name theirs.", schema: ref("ChannelName")},
			{name: "ack", in: "query", doc: "What the answer waits for, where the body does not say.", schema: ref("AckLevel")},
		},
		request: &content{
			description: "Events beside their channels; or CloudEvents, structured, as a batch, or binary, whose channel is in the query or is " +
				"their extension attribute `channel`.",
			media: publishMedia(b.Limits.Batch),
		},
		answers: []answer{
			{
				status: http.StatusOK, doc: "Everything is published: a result for one event, results for a batch.",
				media: []media{{
					kind: jsonKind, schema: obj("oneOf", []any{ref("PublishResult"), results}),
					examples: []example{{"one", raw(`{"channel":"jobs:42","cursor":"41-1795514041000000","ack":"stored","duplicate":false}`)}},
				}},
			},
			{
				status: http.StatusMultiStatus, doc: "Some events of a batch are not published: those whose result has an error.",
				media: []media{{kind: jsonKind, schema: results}},
			},
		},
		codes: with(authorised, wire.CodeForbidden, wire.CodeInvalidRequest, wire.CodeInvalidChannel, wire.CodeInvalidEvent,
			wire.CodeInvalidFrame, wire.CodeFrameTooLarge, wire.CodeUnsupportedMediaType, wire.CodeRequestTimeout,
			wire.CodeOverloaded, wire.CodeUnavailable, wire.CodeRefused),
	}
}

// publishMedia are the forms in which events are taken.
func publishMedia(batch int) []media {
	cloudEvent := `{"specversion":"1.0","id":"e1","source":"worker-3","type":"x","channel":"jobs:42","data":{"a":[1,2]}}`
	return []media{
		{
			kind: jsonKind, schema: ref("PublishRequest"),
			examples: []example{
				{"one", raw(`{"channel":"jobs:42","event":{"type":"x","data":{"a":[1,2]}},"ack":"stored"}`)},
				{"batch", raw(`{"events":[{"channel":"jobs:42","event":{"type":"x"}},{"channel":"jobs:43","event":{"type":"x"}}]}`)},
			},
		},
		{kind: "application/cloudevents+json", schema: ref("CloudEvent"), examples: []example{{"one", raw(cloudEvent)}}},
		{
			kind:     "application/cloudevents-batch+json",
			schema:   obj("type", "array", "items", ref("CloudEvent"), "maxItems", batch),
			examples: []example{{"batch", raw("[" + cloudEvent + "]")}},
		},
		{kind: "*/*", schema: obj("description",
			"Data of a CloudEvent in binary mode, whose attributes are in headers: `ce-specversion`, `ce-id`, `ce-source`, `ce-type` and "+
				"others. Data that is not JSON becomes `data_base64`.")},
	}
}

func (b *builder) historyOperation(method string) operation {
	head := header{"Tallywire-Head", "The newest entry of the channel.", ref("Cursor")}
	op := operation{
		method: method, path: "/v1/channels/{channel}/events", id: "readEvents", tag: tagEvents,
		summary: "Read a channel's log",
		description: "Needs the permission `history` for the channel. Pages begin at the oldest event that is retained, after a cursor or a " +
			"time, or, with `before`, go backwards.",
		parameters: []parameter{
			channelParameter,
			{name: "after", in: "query", doc: "Events after this entry, oldest first.", schema: ref("Cursor")},
			{
				name: "before", in: "query", doc: "Events before this entry, newest first; `end` for the newest.",
				schema: obj("anyOf", []any{ref("Cursor"), obj("const", "end")}),
			},
			{name: "since", in: "query", doc: "Events published after this time.", schema: ref("Time")},
			{name: "until", in: "query", doc: "Events published up to this time.", schema: ref("Time")},
			{
				name: "limit", in: "query", doc: "Length of a page.",
				schema: obj("type", "integer", "minimum", 1, "maximum", b.Limits.History, "default", 100),
			},
			ifNoneMatch,
		},
		answers: []answer{
			{
				status: http.StatusOK, doc: "A page.",
				headers: []header{head, etagHeader, {"Link", "The next page, with rel=next, when there is one.", obj("type", "string")}},
				media:   []media{{kind: jsonKind, schema: ref("HistoryPage")}},
			},
			{status: http.StatusNotModified, doc: "The page is the one that the ETag names.", headers: []header{head}},
		},
		codes: with(authorised, wire.CodeForbidden, wire.CodeInvalidChannel, wire.CodeInvalidCursor, wire.CodeInvalidSince,
			wire.CodeInvalidRequest, wire.CodeUnavailable, wire.CodeRefused, wire.CodeOverloaded),
	}
	if method == http.MethodHead {
		op.id, op.summary = "getHead", "Where a channel's log ends"
		op.answers = []answer{{status: http.StatusOK, doc: "The channel's head is in a header.", headers: []header{head}}}
	}
	return op
}
