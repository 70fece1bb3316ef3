package contract

import (
	"strings"
)

// description begins both documents.
const description = "Channels of events, over WebSocket, server-sent events, long polling and plain HTTP, at any gateway. " +
	"Everything in a channel has a cursor; a client goes on where it was by naming the last one that it has."

// openAPI writes the OpenAPI document.
func (b *builder) openAPI() object {
	paths := obj()
	for _, op := range b.operations() {
		i := 0
		for i < len(paths) && paths[i].name != op.path {
			i++
		}
		if i == len(paths) {
			paths.set(op.path, obj())
		}
		item, _ := paths[i].value.(object)
		item.set(strings.ToLower(op.method), op.write())
		paths[i].value = item
	}
	return obj(
		"openapi", "3.1.0",
		"info", b.info("Tallywire", "Requests and answers over HTTP. The frames of streams, and what their order means, are in /asyncapi.json."),
		"servers", []any{obj("url", "/")},
		"security", []any{obj("bearer", []any{}), obj("cookie", []any{})},
		"tags", tags(),
		"paths", paths,
		"components", obj("schemas", b.schemas.list(), "securitySchemes", obj(
			"bearer", obj("type", "http", "scheme", "bearer", "bearerFormat", "JWT", "description", "A token of the issuer's."),
			"cookie", obj("type", "apiKey", "in", "cookie", "name", b.Cookie, "description",
				"The token as a cookie, which POST /v1/cookie sets. The request must come from an allowed Origin."),
		)),
	)
}

func (b *builder) info(name, what string) object {
	return obj(
		"title", name, "version", b.version(), "description", description+" "+what,
		"license", obj("name", "Apache-2.0", "url", "https://www.apache.org/licenses/LICENSE-2.0"),
	)
}

func (b *builder) version() string {
	if b.Version == "" {
		return "unversioned"
	}
	return b.Version
}

func tags() []any {
	var out []any
	for _, t := range [][2]string{
		{tagStreams, "Events as they come."},
		{tagEvents, "Publish events, read the log."},
		{tagPresence, "Who is in a channel."},
		{tagSession, "What a browser needs."},
		{tagContract, "What a gateway speaks."},
		{tagHealth, "For load balancers and supervisors."},
	} {
		out = append(out, obj("name", t[0], "description", t[1]))
	}
	return out
}
