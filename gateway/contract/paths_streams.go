package contract

import (
	"net/http"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Frames that transports over HTTP carry. A channel's are those of a subscription.
var (
	channelFrames = []string{"event", "skip", "reset", "members", "member", "error"}
	pollFrames    = append([]string{"subscribed", "moving", "next"}, channelFrames...)
	streamFrames  = append([]string{"connected", "subscribed", "signal", "moving", "degraded"}, channelFrames...)
	answerFrames  = []string{"published", "present", "members", "pong", "error"}
	commandFrames = []string{wire.TypePublish, wire.TypeSignal, wire.TypePresence, wire.TypeMembers, wire.TypePing, wire.TypePong}
)

var (
	// streamCodes are those of a request for channels as a whole.
	streamCodes = with(authorised, wire.CodeInvalidRequest, wire.CodeInvalidCursor, wire.CodeTooManySubscriptions, wire.CodeOverloaded)
	// pollCodes are those of a poll too, which has nothing else to say where every channel is refused.
	pollCodes = with(streamCodes, wire.CodeInvalidSince, wire.CodeInvalidChannel, wire.CodeForbidden, wire.CodeUnavailable, wire.CodeRefused)
)

// bodyCodes are those of a body that is read.
var bodyCodes = []wire.Code{wire.CodeFrameTooLarge, wire.CodeRequestTimeout}

// streamOperations are the transports over HTTP.
func (b *builder) streamOperations() []operation {
	return []operation{
		b.pollOperation(http.MethodGet), b.pollOperation(http.MethodPost),
		b.sseOperation(http.MethodGet), b.sseOperation(http.MethodPost),
		b.commandsOperation(), b.setCookieOperation(), b.dropCookieOperation(),
	}
}

// addMessages makes the components of what the transports over HTTP carry.
func (b *builder) addMessages() {
	c := b.schemas.components
	c["CloudEvent"] = obj("description", "A complete CloudEvent: an event whose context is all there.", "allOf", []any{
		ref("Event"), obj("required", []string{"specversion", "id", "source", "type"}),
	})
	c["PollAnswer"] = b.frames("Frames, of which the last is `next`.", pollFrames...)
	c["StreamMessage"] = b.frames("The data of an event of the stream: frames, in order.", streamFrames...)
	c["CommandsAnswer"] = b.frames("The answers to the commands.", answerFrames...)
}

// query is a StreamRequest as a query.
func (b *builder) query(poll bool) []parameter {
	text := obj("type", "string")
	out := []parameter{
		{
			name: "channel", in: "query", required: true, list: true, schema: text,
			doc: "A channel: `NAME` from now on, `NAME@CURSOR` after an entry, `NAME@TIME` after a time.",
		},
		{name: "presence", in: "query", list: true, schema: ref("ChannelName"), doc: "One of the channels: send its members too."},
		{name: "session", in: "query", schema: ref("SessionID"), doc: "Names the logical client."},
		{name: "cursors", in: "query", schema: text, doc: "The composite of an earlier answer for the same channels."},
	}
	if poll {
		out = append(out, parameter{name: "wait_ms", in: "query", schema: sorted(WaitMS(0).JSONSchema()), doc: "How long to wait for something to tell."}, ifNoneMatch)
	}
	return out
}

func (b *builder) pollOperation(method string) operation {
	op := operation{
		method: method, path: "/v1/poll", id: "poll", tag: tagStreams,
		summary: "Wait for events of channels",
		description: "Answers when there is something to tell, at the latest after `wait_ms`. A channel without a cursor is answered " +
			"with `subscribed`, at once, so that the client has one. The last frame, `next`, has what the next request names. " +
			"Of two polls of one session the newer goes on, and the older is answered with the error `replaced`.",
		answers: []answer{{
			status: http.StatusOK, doc: "Frames.",
			headers: []header{{"ETag", "Of an answer to a poll that did not wait: names where the client stands.", obj("type", "string")}},
			media:   []media{{kind: jsonKind, schema: ref("PollAnswer"), examples: examplesOf("subscribed", "event", "next")}},
		}},
		codes: pollCodes,
	}
	if method == http.MethodGet {
		op.parameters = b.query(true)
	} else {
		op.id, op.summary = "pollMany", "Wait for events of many channels"
		op.request = &content{media: []media{{kind: jsonKind, schema: ref("StreamRequest"), examples: []example{
			{"resume", raw(`{"session":"c81f","channels":[{"channel":"jobs:42","cursor":"41-1795514041000000"}],"wait_ms":25000}`)},
		}}}}
		op.parameters = []parameter{ifNoneMatch}
		op.codes = with(op.codes, bodyCodes...)
	}
	op.answers = append(op.answers, answer{
		status: http.StatusNotModified, doc: "Of a poll with wait_ms=0: nothing has happened since the ETag.",
	})
	return op
}

func (b *builder) sseOperation(method string) operation {
	op := operation{
		method: method, path: "/v1/sse", id: "stream", tag: tagStreams,
		summary: "Stream events of channels",
		description: "Server-sent events: the `data` of each is an array of frames (StreamMessage), its `id` a composite of the cursors of " +
			"all channels, with which a browser's EventSource resumes by itself. The channels of a stream are those of its request.",
		answers: []answer{{
			status: http.StatusOK, doc: "The stream. Its first message has `connected`.",
			media: []media{{kind: "text/event-stream", schema: obj("type", "string", "description",
				"Events whose data is a StreamMessage; a comment at least every 15 s.")}},
		}},
		codes: streamCodes,
	}
	last := parameter{
		name: "Last-Event-ID", in: "header", schema: obj("type", "string"),
		doc: "The `id` of the last event that the client has; wins over cursors of the request.",
	}
	if method == http.MethodGet {
		op.parameters = append(b.query(false), last)
		return op
	}
	op.id, op.summary = "streamMany", "Stream events of many channels"
	op.parameters = []parameter{last}
	op.request = &content{media: []media{{kind: jsonKind, schema: ref("StreamRequest")}}}
	op.codes = with(op.codes, bodyCodes...)
	return op
}

func (b *builder) commandsOperation() operation {
	return operation{
		method: http.MethodPost, path: "/v1/commands", id: "sendCommands", tag: tagStreams,
		summary: "Send frames of a session that polls or streams",
		description: "They are done as if they came through a WebSocket, at any gateway. With `seq` the requests of a session are in order, " +
			"and a repeated one gets the answer of the first time.",
		request: &content{media: []media{{kind: jsonKind, schema: ref("CommandsRequest"), examples: []example{
			{"publish", raw(`{"session":"c81f","seq":7,"frames":[{"type":"publish","id":3,"channel":"jobs:42","event":{"type":"x","data":{"a":[1,2]}},"ack":"stored"}]}`)},
		}}}},
		answers: []answer{{
			status: http.StatusOK, doc: "The answers, once all commands are done; what is wrong with a frame is an `error` among them.",
			media: []media{{kind: jsonKind, schema: ref("CommandsAnswer"), examples: examplesOf("published")}},
		}},
		codes: with(with(authorised, bodyCodes...), wire.CodeInvalidRequest, wire.CodeUnsupported, wire.CodeInProgress, wire.CodeOutOfOrder,
			wire.CodeOverloaded, wire.CodeUnavailable),
	}
}

func (b *builder) setCookieOperation() operation {
	return operation{
		method: http.MethodPost, path: "/v1/cookie", id: "setCookie", tag: tagSession, bearer: true,
		summary: "Keep the token as a cookie",
		description: "For what cannot send a header: EventSource, WebSocket. The cookie lives as long as the token. A request that it " +
			"authorises must come from an allowed Origin.",
		answers: []answer{{
			status: http.StatusNoContent, doc: "The browser has it.",
			headers: []header{{"Set-Cookie", "The cookie `" + b.Cookie + "`.", obj("type", "string")}},
		}},
		codes: with(tokenCodes, wire.CodeInvalidRequest, wire.CodeTokenTooLarge),
	}
}

func (b *builder) dropCookieOperation() operation {
	return operation{
		method: http.MethodDelete, path: "/v1/cookie", id: "dropCookie", tag: tagSession, public: true,
		summary: "Forget the cookie",
		answers: []answer{{
			status: http.StatusNoContent, doc: "It is gone, or was not there.",
			headers: []header{{"Set-Cookie", "An expired cookie `" + b.Cookie + "`.", obj("type", "string")}},
		}},
		codes: with(guarded, wire.CodeOriginRequired),
	}
}
