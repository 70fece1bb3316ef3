package admin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
)

// maxLetters bounds a page, and what is read at once while a letter is looked for: each may have 64 KB.
const maxLetters = 100

// deadLetterResource is an event that was not delivered. Channel and cursor name it.
type deadLetterResource struct {
	Channel string    `json:"channel"`
	Cursor  string    `json:"cursor"`
	Code    string    `json:"code"`
	Reason  string    `json:"reason"`
	Time    time.Time `json:"time"`
	// Event is the text as it was published, perhaps no JSON; EventBase64 takes its place where it is no text.
	Event       string `json:"event,omitempty"`
	EventBase64 string `json:"event_base64,omitempty"`
	Bytes       int    `json:"bytes"`
}

func letterOf(l broker.DeadLetter) deadLetterResource {
	r := deadLetterResource{
		Channel: l.Channel, Cursor: l.Cursor.String(), Code: l.Code, Reason: l.Reason, Time: utc(l.Time), Bytes: len(l.Event),
	}
	if utf8.Valid(l.Event) {
		r.Event = string(l.Event)
	} else {
		r.EventBase64 = base64.StdEncoding.EncodeToString(l.Event)
	}
	return r
}

type deadLettersAnswer struct {
	Letters []deadLetterResource `json:"letters"`
	// Next is the After of what comes later; More says whether there is something now.
	Next string `json:"next"`
	More bool   `json:"more"`
}

// deadLetters handles GET /admin/v1/dead-letters?after=&limit=, the oldest first.
func (a *Admin) deadLetters(c echo.Context) error {
	after := c.QueryParam("after")
	if err := checkPlace(after); err != nil {
		return err
	}
	limit, err := limitParam(c, maxLetters)
	if err != nil {
		return err
	}
	if a.options.Dead == nil {
		return errNoDead
	}
	ctx := c.Request().Context()
	letters, next, err := a.options.Dead.List(ctx, after, limit)
	if err != nil {
		return listError(err)
	}
	out := deadLettersAnswer{Letters: make([]deadLetterResource, 0, len(letters)), Next: next}
	for _, l := range letters {
		out.Letters = append(out.Letters, letterOf(l))
	}
	if len(letters) == limit {
		rest, _, err := a.options.Dead.List(ctx, next, 1)
		if err != nil {
			return listError(err)
		}
		out.More = len(rest) > 0
	}
	return answer(c, out)
}

var errNoDead = unsupported("dead letters are not kept by this gateway's store; its log tells of them")

// checkPlace accepts what the stores name letters by: a number, or two.
func checkPlace(after string) error {
	if after == "" {
		return nil
	}
	for part := range strings.SplitSeq(after, "-") {
		if _, err := strconv.ParseUint(part, 10, 64); err != nil || strings.Count(after, "-") > 1 {
			return badRequest("after", "must be the next of the page before")
		}
	}
	return nil
}

func listError(err error) error {
	if errors.Is(err, broker.ErrInvalidCursor) {
		return badRequest("after", "must be the next of the page before")
	}
	return err
}

// deadLetter handles GET /admin/v1/dead-letters/{channel}/{cursor}.
func (a *Admin) deadLetter(c echo.Context) error {
	l, err := a.letterParam(c)
	if err != nil {
		return err
	}
	return answer(c, letterOf(l))
}

// letterParam returns the letter that the path names.
func (a *Admin) letterParam(c echo.Context) (broker.DeadLetter, error) {
	channel, err := channelParam(c)
	if err != nil {
		return broker.DeadLetter{}, err
	}
	cursor, err := parseCursor(c.Param("cursor"))
	if err != nil {
		return broker.DeadLetter{}, err
	}
	if a.options.Dead == nil {
		return broker.DeadLetter{}, errNoDead
	}
	return a.findLetter(c.Request().Context(), channel, cursor)
}

// findLetter looks for a letter. The store is bounded and lists in one direction only.
func (a *Admin) findLetter(ctx context.Context, channel string, cursor broker.Cursor) (broker.DeadLetter, error) {
	for after := ""; ; {
		page, next, err := a.options.Dead.List(ctx, after, maxLetters)
		if err != nil {
			return broker.DeadLetter{}, listError(err)
		}
		for _, l := range page {
			if l.Channel == channel && l.Cursor == cursor {
				return l, nil
			}
		}
		if len(page) < maxLetters || next == after {
			return broker.DeadLetter{}, &wire.Error{
				Code: wire.CodeNotFound, Message: "there is no such dead letter; the oldest go when there are too many", Channel: channel,
			}
		}
		after = next
	}
}

// republish handles POST /admin/v1/dead-letters/{channel}/{cursor}/republish: the event again, as it was or as
// it was corrected, at the end of its channel. Doing so twice appends it once.
func (a *Admin) republish(c echo.Context) error {
	var in struct {
		// Event takes the place of the letter's.
		Event json.RawMessage `json:"event"`
	}
	if err := body(c, &in); err != nil {
		return err
	}
	l, err := a.letterParam(c)
	if err != nil {
		return err
	}
	raw := l.Event
	if len(in.Event) > 0 {
		raw = in.Event
	}
	raw, env, err := a.check(l.Channel, raw)
	if err != nil {
		var invalid *events.InvalidError
		if errors.As(err, &invalid) {
			return &wire.Error{Code: wire.CodeInvalidEvent, Message: invalid.Message, Path: invalid.Path, Channel: l.Channel}
		}
		return err
	}
	// The event's own id got the cursor of the letter, which a repetition would be answered with.
	sum := sha256.Sum256(raw)
	p := broker.Publication{Channel: l.Channel, Event: raw, ID: "republish/" + l.Cursor.String() + "/" + hex.EncodeToString(sum[:8])}
	out, err := a.append(c.Request().Context(), p)
	if err != nil {
		return err
	}
	note(c, "cursor", out.Cursor, "duplicate", out.Duplicate, "type", env.Type, "edited", len(in.Event) > 0)
	return answer(c, out)
}
