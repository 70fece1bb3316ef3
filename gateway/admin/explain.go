package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/inspect"
)

// Outcomes that only the stream can tell, beside those of package inspect.
const (
	outcomeTrimmed        inspect.Outcome = "trimmed"
	outcomeNeverPublished inspect.Outcome = "never_published"
	outcomeUnknown        inspect.Outcome = "unknown" // a gateway is missing that may know
)

// place says what the stream holds at a cursor.
type place string

const (
	placeStored    place = "stored"          // the entry is there
	placeGenesis   place = "genesis"         // the entry that opens the stream; it is never delivered
	placeTrimmed   place = "trimmed"         // it was older than what is retained
	placeForked    place = "forked"          // another entry has its offset: a failover lost it
	placeExpired   place = "expired"         // the stream is gone, or younger than the cursor
	placeNever     place = "never_published" // the stream has not come that far
	placeUndecided place = "unknown"         // the store did not answer
)

// streamPlace is the place with what is known about it.
type streamPlace struct {
	State place  `json:"state"`
	Head  string `json:"head,omitempty"`
	First string `json:"first,omitempty"`
	// Published is when, by the store's clock, which the cursor says; zero for what is no time.
	Published time.Time    `json:"published,omitzero"`
	Event     *eventDigest `json:"event,omitempty"`
	Problem   string       `json:"problem,omitempty"`
}

// eventDigest is what an event says about itself, without its data.
type eventDigest struct {
	Type    string `json:"type,omitempty"`
	ID      string `json:"id,omitempty"`
	Source  string `json:"source,omitempty"`
	Subject string `json:"subject,omitempty"`
	Bytes   int    `json:"bytes"`
	// Invalid says why the event is not delivered to anybody.
	Invalid string `json:"invalid,omitempty"`
}

type explainAnswer struct {
	Coverage
	User    string `json:"user"`
	Channel string `json:"channel"`
	Cursor  string `json:"cursor"`
	// Outcome is the best that is known of any session of the user.
	Outcome inspect.Outcome `json:"outcome"`
	// Certain is false where a gateway that is missing, or the store, might say otherwise.
	Certain bool `json:"certain"`
	// Summary says it for people.
	Summary string          `json:"summary"`
	Stream  streamPlace     `json:"stream"`
	Traces  []inspect.Trace `json:"traces"`
}

// explain handles GET /admin/v1/explain?user=&channel=&cursor=: what became of an event for a user.
func (a *Admin) explain(c echo.Context) error {
	user, channel := c.QueryParam("user"), c.QueryParam("channel")
	if err := checkUser(user); err != nil {
		return err
	}
	if err := checkChannel(channel); err != nil {
		return err
	}
	cursor, err := parseCursor(c.QueryParam("cursor"))
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	stream := make(chan streamPlace, 1)
	go func() { stream <- a.place(ctx, channel, cursor) }()
	reply, failure := a.options.Cluster.Ask(ctx, Question{Kind: AskExplain, User: user, Channel: channel, Cursor: cursor})
	out := explainAnswer{
		Coverage: coverage(reply, failure), User: user, Channel: channel, Cursor: cursor.String(),
		Stream: <-stream, Traces: []inspect.Trace{},
	}
	for _, g := range reply.Answers {
		for _, t := range g.Traces {
			if t.Gateway == "" {
				t.Gateway = g.Gateway
			}
			t.Time = utc(t.Time)
			out.Traces = append(out.Traces, t)
		}
	}
	slices.SortStableFunc(out.Traces, compareTraces)
	out.judge()
	return answer(c, out)
}

// place looks at the stream where the event should be.
func (a *Admin) place(ctx context.Context, channel string, cursor broker.Cursor) streamPlace {
	p := streamPlace{Published: cursorTime(cursor)}
	page, err := a.options.Store.Read(ctx, channel, broker.ReadRequest{From: cursor.Offset, Limit: 1, MaxBytes: events.MaxEventBytes})
	if err != nil {
		p.State, p.Problem = placeUndecided, wireError(err).Message
		return p
	}
	if page.Exists {
		p.Head = page.Cursor.String()
	}
	if !page.First.IsZero() {
		p.First = page.First.String()
	}
	p.State = placeOf(page, cursor)
	if p.State == placeStored {
		p.Event = a.digest(channel, page.Entries[0].Event)
	}
	return p
}

// cursorTime returns when the entry at a cursor was appended. A cursor that somebody made up may name
// a time that JSON has no words for.
func cursorTime(c broker.Cursor) time.Time {
	const endOfTime = 253402300799_000_000 // of the year 9999, in microseconds
	if c.IsZero() || c.Stamp > endOfTime {
		return time.Time{}
	}
	return c.Time().UTC()
}

func placeOf(page broker.Page, c broker.Cursor) place {
	if len(page.Entries) > 0 && page.Entries[0].Cursor.Offset == c.Offset {
		switch e := page.Entries[0]; {
		case e.Cursor != c:
			return placeForked
		case e.Genesis():
			return placeGenesis
		default:
			return placeStored
		}
	}
	switch {
	case !page.Exists:
		return placeExpired
	case c.Offset > page.Cursor.Offset && c.Stamp > page.Cursor.Stamp:
		return placeNever
	case c.Offset > page.Cursor.Offset:
		return placeForked // so many entries were there at that time, and are not now
	case !page.First.IsZero() && page.First.Offset == 1 && c.Stamp < page.First.Stamp:
		return placeExpired
	default:
		return placeTrimmed
	}
}

// digest tells what an event is without showing what is in it.
func (a *Admin) digest(channel string, raw []byte) *eventDigest {
	d := &eventDigest{Bytes: len(raw)}
	_, env, err := a.check(channel, raw)
	d.Type, d.ID, d.Source, d.Subject = env.Type, env.ID, env.Source, env.Subject
	if err != nil {
		d.Invalid = wireError(err).Message
	}
	return d
}

// ranks orders outcomes by how much they settle: the first that any session had is the user's.
var ranks = []inspect.Outcome{
	inspect.Delivered, inspect.Skipped, inspect.ResetOver, inspect.Pending, inspect.Forbidden,
	inspect.NotCovered, inspect.NotSubscribed, inspect.NotConnected,
}

func rank(o inspect.Outcome) int {
	if i := slices.Index(ranks, o); i >= 0 {
		return i
	}
	return len(ranks)
}

func compareTraces(a, b inspect.Trace) int {
	if d := rank(a.Outcome) - rank(b.Outcome); d != 0 {
		return d
	}
	if d := b.Time.Compare(a.Time); d != 0 {
		return d
	}
	return strings.Compare(a.Gateway, b.Gateway)
}

// judge makes one outcome out of the traces and the stream.
func (e *explainAnswer) judge() {
	e.Outcome = inspect.NotConnected
	if len(e.Traces) > 0 {
		e.Outcome = e.Traces[0].Outcome
	}
	// What was written to a socket, passed over, or reset happened, whatever the stream says now.
	settled := rank(e.Outcome) <= rank(inspect.ResetOver)
	e.Certain = settled || e.Complete && e.Stream.State != placeUndecided
	if !settled {
		switch e.Stream.State {
		case placeNever:
			e.Outcome, e.Certain = outcomeNeverPublished, true
		case placeTrimmed, placeExpired, placeForked:
			if e.Outcome != inspect.Forbidden {
				e.Outcome = outcomeTrimmed
			}
		case placeStored, placeGenesis, placeUndecided:
			if !e.Certain && rank(e.Outcome) >= rank(inspect.NotCovered) {
				e.Outcome = outcomeUnknown
			}
		}
	}
	e.Summary = e.summarise()
}
