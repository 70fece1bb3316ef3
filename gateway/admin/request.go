package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// answer writes a good answer.
func answer(c echo.Context, body any) error {
	c.Response().Header().Set(echo.HeaderXContentTypeOptions, "nosniff")
	return c.JSON(http.StatusOK, body)
}

func badRequest(path, message string) error {
	return &wire.Error{Code: wire.CodeInvalidRequest, Message: path + ": " + message, Path: "/" + path}
}

// pathParam returns a part of the path; echo leaves it as it stands there.
func pathParam(c echo.Context, name string) (string, error) {
	v, err := url.PathUnescape(c.Param(name))
	if err != nil {
		return "", badRequest(name, "is badly escaped")
	}
	return v, nil
}

// channelParam returns the channel in the path.
func channelParam(c echo.Context) (string, error) {
	v, err := pathParam(c, "channel")
	if err != nil {
		return "", err
	}
	return v, checkChannel(v)
}

// checkChannel keeps names that would lead to other keys away from the store.
func checkChannel(name string) error {
	if err := events.ValidateChannel(name); err != nil {
		return &wire.Error{Code: wire.CodeInvalidChannel, Message: err.Error(), Path: "/channel", Channel: clip(name, maxChannel)}
	}
	return nil
}

// checkPrefix accepts what a channel's name can begin with, and nothing at all.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if err := events.ValidateChannel(prefix); err != nil {
		return &wire.Error{Code: wire.CodeInvalidChannel, Message: "prefix: " + err.Error(), Path: "/prefix"}
	}
	return nil
}

// checkUser accepts what can be a token's subject: nobody else can be connected.
func checkUser(user string) error {
	if !auth.ValidSubject(user) {
		return badRequest("user", "must be a token's subject: 1 to "+strconv.Itoa(auth.MaxSubjectBytes)+" of A-Z a-z 0-9 and . _ @ : | / + = ~ , -")
	}
	return nil
}

func checkText(name, s string, least, most int) error {
	if len(s) < least || len(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, control) {
		return badRequest(name, "must be "+strconv.Itoa(least)+" to "+strconv.Itoa(most)+" bytes of UTF-8 without control characters")
	}
	return nil
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }

func parseCursor(s string) (broker.Cursor, error) {
	cursor, err := broker.ParseCursor(s)
	if err != nil || cursor.IsZero() {
		return cursor, &wire.Error{Code: wire.CodeInvalidCursor, Message: "cursor: must be <offset>-<stamp>, as 41-1795514041000000", Path: "/cursor"}
	}
	return cursor, nil
}

// limitParam returns the limit of a page.
func limitParam(c echo.Context, most int) (int, error) {
	v := c.QueryParam("limit")
	if v == "" {
		return min(defaultLimit, most), nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, badRequest("limit", "must be 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

// body reads a JSON object into v. Members that nobody knows are refused: a misspelt one would do
// something else than was meant.
func body(c echo.Context, v any) error {
	r := c.Request()
	if kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err != nil || kind != echo.MIMEApplicationJSON {
		return wire.Errorf(wire.CodeInvalidRequest, "Content-Type: must be application/json")
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		var he *echo.HTTPError
		if errors.As(err, &he) {
			return he
		}
		return wire.Errorf(wire.CodeInvalidRequest, "the body could not be read")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return wire.Errorf(wire.CodeInvalidRequest, "the body is not what is expected: "+jsonProblem(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return wire.Errorf(wire.CodeInvalidRequest, "the body is more than one JSON object")
	}
	return nil
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
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return "unknown member " + clip(strings.TrimPrefix(err.Error(), "json: unknown field "), 40)
	default:
		return "not JSON"
	}
}
