package contract

import (
	"encoding/json"
	"net/http"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
)

// Tags of operations.
const (
	tagStreams  = "Streams"
	tagEvents   = "Events"
	tagPresence = "Presence"
	tagSession  = "Sessions"
	tagContract = "Contract"
	tagHealth   = "Health"
)

// operations returns all there are, in the order of the document.
func (b *builder) operations() []operation {
	var out []operation
	out = append(out, b.socketOperations()...)
	out = append(out, b.streamOperations()...)
	out = append(out, b.eventOperations()...)
	out = append(out, b.presenceOperations()...)
	out = append(out, b.schemaOperations(http.MethodGet)...)
	out = append(out, b.schemaOperations(http.MethodHead)...)
	return append(out, b.publicOperations()...)
}

func (b *builder) socketOperations() []operation {
	return []operation{{
		method: http.MethodGet, path: "/v1/ws", id: "openWebSocket", tag: tagStreams,
		summary: "Open a WebSocket",
		description: "An upgrade with the subprotocol `" + wire.Subprotocol + "`. What goes over it is in /asyncapi.json. " +
			"The token may be in the first frame, `connect`, in the place of the request.",
		public: true,
		answers: []answer{{
			status: http.StatusSwitchingProtocols, doc: "The connection is a WebSocket.",
			headers: []header{{"Sec-WebSocket-Protocol", "The subprotocol, when it was asked for.", obj("const", wire.Subprotocol)}},
		}},
		codes: with(tokenCodes, wire.CodeInvalidRequest, wire.CodeOverloaded),
	}}
}

func (b *builder) presenceOperations() []operation {
	return []operation{{
		method: http.MethodGet, path: "/v1/channels/{channel}/members", id: "listMembers", tag: tagPresence,
		summary:     "Who is in a channel",
		description: "Needs the permission `presence` for the channel.",
		parameters: []parameter{
			channelParameter,
			{name: "after", in: "query", doc: "The user after whom the page begins.", schema: obj("type", "string")},
			{name: "limit", in: "query", doc: "Length of a page.", schema: sorted(wire.PageLimit(0).JSONSchema())},
		},
		answers: []answer{{
			status: http.StatusOK, doc: "A page of them.",
			media: []media{{kind: jsonKind, schema: ref("MembersPage")}},
		}},
		codes: with(authorised, wire.CodeForbidden, wire.CodeInvalidChannel, wire.CodeInvalidRequest, wire.CodeUnsupported,
			wire.CodeUnavailable, wire.CodeRefused),
	}}
}

// publicOperations are those for which no token is asked.
func (b *builder) publicOperations() []operation {
	document := func(path, id, what string) operation {
		return operation{
			method: http.MethodGet, path: path, id: id, tag: tagContract, public: true, summary: what,
			parameters: []parameter{ifNoneMatch},
			answers: []answer{
				{
					status: http.StatusOK, doc: "The document.", headers: []header{etagHeader},
					media: []media{{kind: jsonKind, schema: obj("type", "object")}},
				},
				{status: http.StatusNotModified, doc: "It is the one that the ETag names."},
			},
			codes: guarded,
		}
	}
	return []operation{
		document("/openapi.json", "getOpenAPI", "This document"),
		document("/asyncapi.json", "getAsyncAPI", "Frames and channels, as AsyncAPI 3.0"),
		{
			method: http.MethodGet, path: "/healthz", id: "getHealth", tag: tagHealth, public: true,
			summary: "Whether the process lives",
			answers: []answer{{status: http.StatusOK, doc: "It does.", media: []media{{kind: jsonKind, schema: ref("Health")}}}},
		},
		{
			method: http.MethodGet, path: "/readyz", id: "getReadiness", tag: tagHealth, public: true,
			summary: "Whether an event published now would be delivered",
			answers: []answer{
				{status: http.StatusOK, doc: "It would.", media: []media{{kind: jsonKind, schema: ref("Readiness")}}},
				{
					status: http.StatusServiceUnavailable, doc: "It would not; the reason says why.",
					media: []media{{kind: jsonKind, schema: ref("Readiness")}},
				},
			},
		},
	}
}

// schemaOperations show the schemas of event types.
func (b *builder) schemaOperations(method string) []operation {
	answers := func(kind string, schema any) []answer {
		ok := answer{status: http.StatusOK, doc: "It.", headers: []header{etagHeader}}
		if method == http.MethodGet {
			ok.media = []media{{kind: kind, schema: schema}}
		}
		return []answer{ok, {status: http.StatusNotModified, doc: "It is the one that the ETag names."}}
	}
	list := operation{
		method: method, path: "/schemas", id: "listSchemas", tag: tagContract, public: true,
		summary: "The types of events", parameters: []parameter{ifNoneMatch},
		answers: answers(jsonKind, ref("SchemaList")), codes: guarded,
	}
	one := operation{
		method: method, path: "/schemas/{type}", id: "getSchema", tag: tagContract, public: true,
		summary:     "The schema of a type's data",
		description: "Of the newest version, unless one is named.",
		parameters: []parameter{
			{name: "type", in: "path", required: true, doc: "The type's name.", schema: obj("type", "string", "maxLength", events.MaxTypeLen)},
			{name: "version", in: "query", doc: "The number of the version.", schema: obj("type", "integer", "minimum", 1)},
			{name: "dataschema", in: "query", doc: "What events of the version have as their dataschema.", schema: obj("type", "string")},
			ifNoneMatch,
		},
		answers: answers("application/schema+json", obj("type", []string{"object", "boolean"})),
		codes:   with(guarded, wire.CodeNotFound, wire.CodeInvalidRequest),
	}
	if method == http.MethodHead {
		list.id, one.id = "headSchemas", "headSchema"
	}
	return []operation{list, one}
}

// Parameters and headers that several operations have.
var (
	channelParameter = parameter{name: "channel", in: "path", required: true, doc: "The channel's name.", schema: ref("ChannelName")}
	ifNoneMatch      = parameter{name: "If-None-Match", in: "header", doc: "The ETag of what the client has.", schema: obj("type", "string")}
	etagHeader       = header{"ETag", "Names what is in the body.", obj("type", "string")}
)

// raw is an example as it stands.
func raw(s string) json.RawMessage { return json.RawMessage(s) }

// examplesOf returns the examples of frames, as a message of each.
func examplesOf(types ...string) []example {
	var out []example
	for _, t := range types {
		for _, shape := range wire.ServerShapes() {
			if shape.Type == t {
				out = append(out, example{t, raw("[" + shape.Example + "]")})
			}
		}
	}
	return out
}
