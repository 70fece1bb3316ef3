package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
)

// contentMode is how a request to publish holds its events.
type contentMode int

const (
	modeNative     contentMode = iota // JSON that names the channel beside the event
	modeStructured                    // a CloudEvent as the body
	modeBatch                         // an array of them
	modeBinary                        // a CloudEvent whose attributes are headers and whose data is the body
)

const (
	typeStructured = "application/cloudevents+json"
	typeBatch      = "application/cloudevents-batch+json"
	// cloudEventsPrefix begins the media types of all CloudEvents formats.
	cloudEventsPrefix = "application/cloudevents"
	// channelAttribute is the extension attribute that names the event's channel. Frames say the channel beside
	// the event, so it is taken out of it.
	channelAttribute = "channel"
)

// modeOf tells a request's mode from its headers (CloudEvents, HTTP binding 1.0.2, section 3), and the media
// type in its Content-Type, "" for none.
func modeOf(c echo.Context) (mode contentMode, mediaType string, err error) {
	h := c.Request().Header
	unsupported := func(message string) error {
		c.Response().Header().Set(echo.HeaderAccept, strings.Join([]string{echo.MIMEApplicationJSON, typeStructured, typeBatch}, ", "))
		return wire.Errorf(wire.CodeUnsupportedMediaType, "Content-Type: "+message)
	}
	values := h.Values(echo.HeaderContentType)
	if len(values) > 1 {
		return 0, "", unsupported("is given twice")
	}
	var params map[string]string
	if len(values) == 1 {
		if mediaType, params, err = mime.ParseMediaType(values[0]); err != nil {
			return 0, "", unsupported("is malformed")
		}
	}
	switch {
	case mediaType == typeStructured:
		mode = modeStructured
	case mediaType == typeBatch:
		mode = modeBatch
	case strings.HasPrefix(mediaType, cloudEventsPrefix):
		return 0, "", unsupported("of the formats of CloudEvents only JSON is read")
	case hasAttributes(h):
		mode = modeBinary
	case mediaType != "" && mediaType != echo.MIMEApplicationJSON:
		return 0, "", unsupported("send application/json, or a CloudEvent")
	}
	// Only JSON is read here; data of other types is passed on.
	if charset := strings.ToLower(params["charset"]); (mode != modeBinary || isJSON(mediaType)) &&
		charset != "" && charset != "utf-8" && charset != "us-ascii" {
		return 0, "", unsupported("JSON must be UTF-8")
	}
	return mode, mediaType, nil
}

// hasAttributes reports whether headers hold attributes of an event.
func hasAttributes(h http.Header) bool {
	for name := range h {
		if _, ok := cutAttribute(name); ok {
			return true
		}
	}
	return false
}

// cutAttribute returns the attribute that a header is for.
func cutAttribute(header string) (name string, ok bool) {
	return strings.CutPrefix(strings.ToLower(header), attributePrefix)
}

// isJSON reports whether a media type says that data is JSON (JSON format 1.0.2, section 3.1.1).
func isJSON(mediaType string) bool {
	_, subtype, _ := strings.Cut(mediaType, "/")
	return subtype == "json" || strings.HasSuffix(subtype, "+json")
}

// structuredEvent reads a CloudEvent in the JSON format: an event as all others, but that it must be complete
// and may name its channel. raw is not kept.
func structuredEvent(raw []byte) (channel string, event []byte, bad *wire.Error) {
	raw = bytes.TrimSpace(raw)
	if bad := fits(len(raw)); bad != nil {
		return "", nil, bad
	}
	env, err := events.Scan(raw)
	if err != nil {
		if gjson.ValidBytes(raw) { // so that the answer can name it
			channel = gjson.GetBytes(raw, channelAttribute).Str
		}
		return channel, nil, invalidEvent(err)
	}
	var version, cut bool
	event = append(make([]byte, 0, len(raw)), '{')
	gjson.ParseBytes(raw).ForEach(func(key, value gjson.Result) bool {
		switch key.Str { // Scan lets pass no name twice, and none with escapes
		case "specversion":
			version = value.Type == gjson.String
		case channelAttribute:
			cut = true
			if value.Type != gjson.String && value.Type != gjson.Null {
				bad = &wire.Error{Code: wire.CodeInvalidEvent, Message: "channel: must be a string", Path: "/channel"}
			}
			channel = value.Str
			return bad == nil
		}
		event = append(append(append(append(event, key.Raw...), ':'), value.Raw...), ',')
		return true
	})
	if bad != nil {
		return channel, nil, bad
	}
	for _, attribute := range []struct {
		name  string
		there bool
	}{{"specversion", version}, {"id", env.ID != ""}, {"source", env.Source != ""}} {
		if !attribute.there {
			return channel, nil, &wire.Error{
				Code: wire.CodeInvalidEvent, Message: attribute.name + ": is required of a CloudEvent", Path: "/" + attribute.name,
			}
		}
	}
	if !cut {
		return "", append(event[:0], raw...), nil
	}
	event[len(event)-1] = '}'
	return channel, event, nil
}

// binaryEvent makes the JSON format of a CloudEvent whose attributes are headers. Data that is not JSON is
// kept as base64, byte by byte.
func binaryEvent(h http.Header, mediaType string, body []byte) ([]byte, *wire.Error) {
	attributes := map[string]string{}
	for header, values := range h {
		name, ok := cutAttribute(header)
		if !ok {
			continue
		}
		refuse := func(problem string) ([]byte, *wire.Error) {
			return nil, &wire.Error{Code: wire.CodeInvalidEvent, Message: name + ": " + problem, Path: "/" + name}
		}
		switch name {
		case "datacontenttype":
			return refuse("is the header Content-Type")
		case "data", "data_base64":
			return refuse("is the body")
		}
		if len(values) > 1 {
			return refuse("occurs twice")
		}
		value, problem := attributeValue(values[0])
		if problem != "" {
			return refuse(problem)
		}
		attributes[name] = value
	}
	if mediaType != "" {
		attributes["datacontenttype"] = strings.TrimSpace(h.Get(echo.HeaderContentType))
	}
	event := make([]byte, 0, 512+len(body)*4/3)
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		event = wire.AppendString(append(event, ','), name)
		event = wire.AppendString(append(event, ':'), attributes[name])
	}
	switch {
	case len(body) == 0:
	case !isJSON(mediaType):
		event = append(event, `,"data_base64":"`...)
		event = append(base64.StdEncoding.AppendEncode(event, body), '"')
	case !utf8.Valid(body) || !json.Valid(body): // else it could smuggle in attributes
		return nil, &wire.Error{Code: wire.CodeInvalidEvent, Message: "data: must be valid JSON, as the Content-Type says", Path: "/data"}
	default:
		event = append(append(event, `,"data":`...), bytes.TrimSpace(body)...)
	}
	event[0] = '{' // there is one attribute, or it would be no event
	return append(event, '}'), nil
}

// attributeValue decodes a header's value (HTTP binding 1.0.2, section 3.1.3.2): first a quoted string, as
// earlier versions had it, then one round of percent-encoding. Or it says what is wrong.
func attributeValue(header string) (value, problem string) {
	if strings.HasPrefix(header, `"`) {
		var ok bool
		if header, ok = unquote(header); !ok {
			return "", "is a quoted string without its end"
		}
	}
	if !strings.Contains(header, "%") {
		return header, validText(header)
	}
	b := make([]byte, 0, len(header))
	for i := 0; i < len(header); i++ {
		if header[i] != '%' {
			b = append(b, header[i])
			continue
		}
		if i+2 >= len(header) {
			return "", "has a % that is not followed by two hexadecimal digits"
		}
		octet, err := strconv.ParseUint(header[i+1:i+3], 16, 8)
		if err != nil {
			return "", "has a % that is not followed by two hexadecimal digits"
		}
		b = append(b, byte(octet))
		i += 2
	}
	return string(b), validText(string(b))
}

func validText(s string) (problem string) {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	return ""
}

// unquote returns what a quoted string of RFC 7230, section 3.2.6, holds. s begins with the quote.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), i == len(s)-1
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// fits refuses an event that is too large, by its size in bytes.
func fits(size int) *wire.Error {
	if size <= events.MaxEventBytes {
		return nil
	}
	return wire.Errorf(wire.CodeFrameTooLarge,
		"the event has "+strconv.Itoa(size)+" bytes as JSON, at most "+strconv.Itoa(events.MaxEventBytes)+" are allowed")
}

// invalidEvent is the error about an event that package events refuses.
func invalidEvent(err error) *wire.Error {
	e := wire.Errorf(wire.CodeInvalidEvent, err.Error())
	var invalid *events.InvalidError
	if errors.As(err, &invalid) {
		e.Message, e.Path = invalid.Message, invalid.Path
	}
	return e
}
