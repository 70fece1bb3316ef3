package contract

import (
	"encoding/json"
	"strconv"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
)

// asyncAPI writes the AsyncAPI document.
func (b *builder) asyncAPI() object {
	return obj(
		"asyncapi", "3.0.0",
		"info", b.info("Tallywire frames", "Frames and channels. Requests over HTTP are in /openapi.json."),
		"defaultContentType", jsonKind,
		"servers", obj(
			"websocket", b.server("wss"),
			"http", b.server("https"),
		),
		"channels", obj(
			"websocket", b.socketChannel(),
			"stream", b.streamChannel(),
			"channel", b.eventChannel(),
		),
		"operations", obj(
			"receiveCommands", obj(
				"action", "receive", "channel", pointer("channels", "websocket"),
				"summary", "A client sends frames. Each is answered as its description says; answers repeat its id.",
				"messages", []any{pointer("channels", "websocket", "messages", "client")},
			),
			"sendFrames", obj(
				"action", "send", "channel", pointer("channels", "websocket"),
				"summary", "The gateway sends frames: answers, events, and what it has to say itself.",
				"messages", []any{pointer("channels", "websocket", "messages", "server")},
			),
			"sendStream", obj(
				"action", "send", "channel", pointer("channels", "stream"),
				"summary", "The gateway sends frames of the channels that the request named.",
				"messages", []any{pointer("channels", "stream", "messages", "stream")},
			),
			"receiveEvents", obj(
				"action", "receive", "channel", pointer("channels", "channel"),
				"summary", "Events are published into a channel.",
			),
			"sendEvents", obj(
				"action", "send", "channel", pointer("channels", "channel"),
				"summary", "Events of a channel are delivered to its subscribers.",
			),
		),
		"components", obj(
			"schemas", b.schemas.list(),
			"messages", b.messages(),
			"securitySchemes", obj(
				"bearer", obj("type", "http", "scheme", "bearer", "bearerFormat", "JWT"),
				"cookie", obj("type", "httpApiKey", "in", "cookie", "name", b.Cookie),
			),
		),
	)
}

// server is a gateway as one reaches it with a protocol; where, the document cannot know.
func (b *builder) server(protocol string) object {
	return obj(
		"host", "{host}", "protocol", protocol,
		"variables", obj("host", obj("description", "Name and port of any gateway.", "default", "localhost")),
		"security", []any{pointer("components", "securitySchemes", "bearer"), pointer("components", "securitySchemes", "cookie")},
	)
}

// pointer refers to a place of the document.
func pointer(path ...string) object {
	out := "#"
	for _, p := range path {
		out += "/" + p
	}
	return obj("$ref", out)
}

// socketChannel is the WebSocket.
func (b *builder) socketChannel() object {
	doc := "A WebSocket with the subprotocol `" + wire.Subprotocol + "`: text messages, each a frame or an array of frames from the " +
		"client, and an array of frames from the gateway. The first frame is `connect`. It is closed with one of these codes:"
	for _, c := range wire.CloseCodes() {
		doc += "\n- " + strconv.Itoa(c.Code) + ": " + c.Meaning + ". The client " + c.Client + "."
	}
	return obj(
		"address", "/v1/ws", "title", "WebSocket", "description", doc,
		"servers", []any{pointer("servers", "websocket")},
		"messages", obj(
			"client", pointer("components", "messages", "client"),
			"server", pointer("components", "messages", "server"),
		),
		"bindings", obj("ws", obj("method", "GET", "bindingVersion", "0.1.0")),
	)
}

// streamChannel is an event stream. Polls and commands are requests and answers, and in OpenAPI only.
func (b *builder) streamChannel() object {
	return obj(
		"address", "/v1/sse", "title", "Server-sent events",
		"description", "The data of each event is an array of frames; its id is a composite of the cursors of all channels. The request is in /openapi.json.",
		"servers", []any{pointer("servers", "http")},
		"messages", obj("stream", pointer("components", "messages", "stream")),
	)
}

// eventChannel is a channel of events.
func (b *builder) eventChannel() object {
	messages := obj()
	for _, t := range b.eventTypes() {
		name := eventName(t.Name, t.Version)
		messages.set(name, pointer("components", "messages", name))
	}
	messages.set("other", pointer("components", "messages", "other"))
	return obj(
		"address", "{channel}", "title", "A channel of events",
		"description", "What a channel holds, on whatever transport: the `event` member of frames, of requests to publish and of pages of the log.",
		"messages", messages,
		"parameters", obj("channel", obj("description", "The channel's name, as `jobs:42`.", "examples", []string{"jobs:42"})),
	)
}

// messages are those of the WebSocket, and one for each version of an event type.
func (b *builder) messages() object {
	var client, server []any
	for _, shape := range wire.ClientShapes() {
		client = append(client, obj("name", shape.Type, "summary", shape.Doc, "payload", json.RawMessage(shape.Example)))
	}
	for _, shape := range wire.ServerShapes() {
		server = append(server, obj("name", shape.Type, "summary", shape.Doc, "payload", raw("["+shape.Example+"]")))
	}
	out := obj(
		"client", obj("title", "From a client", "payload", ref("ClientMessage"), "examples", client),
		"server", obj("title", "From a gateway", "payload", ref("ServerMessage"), "examples", server),
		"stream", obj("title", "From a gateway, in an event stream", "payload", ref("StreamMessage")),
	)
	known := []any{}
	for _, t := range b.eventTypes() {
		oldest := len(known) == 0 || known[len(known)-1] != t.Name
		if oldest {
			known = append(known, t.Name)
		}
		out.set(eventName(t.Name, t.Version), b.eventMessage(t, oldest))
	}
	other := obj("allOf", []any{
		ref("Event"), obj("properties", obj("type", obj("not", obj("enum", known)))),
	})
	if len(known) == 0 {
		other = ref("Event")
	}
	out.set("other", obj(
		"title", "An event of a type that is not registered", "summary", "Where the gateway is strict there are none.",
		"payload", other,
	))
	return out
}

// eventMessage is one version of an event type. An event that names no schema is of the oldest.
func (b *builder) eventMessage(t events.Type, oldest bool) object {
	data := b.embed(t.ID, "#/components/messages/"+eventName(t.Name, t.Version)+"/payload/schema/allOf/1/properties/data",
		"/schemas/"+t.Name+"?version="+strconv.Itoa(t.Version))
	which := obj("properties", obj("type", obj("const", t.Name), "data", data, "dataschema", obj("const", t.ID)))
	if !oldest {
		which.set("required", []string{"dataschema"})
	}
	o := obj("name", t.Name)
	if t.Title != "" {
		o.set("title", t.Title)
	}
	if t.Description != "" {
		o.set("summary", t.Description)
	}
	o.set("payload", obj("schemaFormat", "application/schema+json;version=draft-2020-12", "schema",
		obj("allOf", []any{ref("Event"), which})))
	return o
}

// eventName names the message of a type's version.
func eventName(name string, version int) string { return name + ".v" + strconv.Itoa(version) }
