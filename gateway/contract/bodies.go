package contract

import (
	"strconv"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
)

// body describes a Go type that is an HTTP body, or a part of one.
type body struct {
	name  string
	value any // nil for a type of the gateway's
	notes map[string]Note
	more  object // of the schema
}

// Health is the answer of GET /healthz.
type Health struct {
	Status  string `json:"status" doc:"Always ok."`
	Gateway string `json:"gateway" doc:"The gateway's name."`
}

// Readiness is the answer of GET /readyz.
type Readiness struct {
	Status      string    `json:"status" doc:"ready or not_ready."`
	Gateway     string    `json:"gateway" doc:"The gateway's name."`
	Since       time.Time `json:"since" doc:"Since when it is so."`
	RoundTripUS int64     `json:"round_trip_us" doc:"How long the last probe took from publish to receive, in microseconds."`
	Reason      string    `json:"reason,omitempty" doc:"Why an event published now would not be delivered, for people."`
}

// PublishItem is one event of a batch.
type PublishItem struct {
	Channel wire.ChannelName `json:"channel"`
	Event   wire.EventJSON   `json:"event"`
	Ack     wire.AckLevel    `json:"ack,omitempty" doc:"What the answer waits for."`
}

// ownBodies are those whose types are here or in gateway/wire.
func ownBodies() []body {
	return []body{
		{name: "Health", value: Health{}},
		{name: "Readiness", value: Readiness{}},
		{name: "Problem", value: wire.Problem{}, notes: map[string]Note{
			"":         {Doc: "Why a request was refused or failed: a problem detail of RFC 9457."},
			"type":     {Doc: "Always about:blank: the title is that of the status."},
			"title":    {Doc: "The status in words."},
			"status":   {Doc: "The HTTP status."},
			"detail":   {Doc: "What went wrong, for people."},
			"retry":    {Doc: "Whether the same request may succeed later."},
			"path":     {Doc: "A JSON pointer into the body or the event."},
			"channel":  {Doc: "The channel concerned, as the client wrote it."},
			"expected": {Doc: "With `out_of_order`: the sequence number of the session's next commands."},
		}},
	}
}

// gatewayBodies are those whose Go types the gateway brings.
func gatewayBodies(l Limits) []body {
	cursor, channel := wire.CursorText(""), wire.ChannelName("")
	return []body{
		{name: "PublishItem", value: PublishItem{}},
		{
			name: "PublishRequest",
			notes: map[string]Note{
				"":        {Doc: "One event, or a batch under events."},
				"channel": {Kind: channel, Optional: true},
				"event":   {Kind: wire.EventJSON{}, Optional: true},
				"ack":     {Kind: wire.AckLevel(""), Doc: "What the answer waits for.", Optional: true},
				"events": {
					Kind: []PublishItem{}, Optional: true,
					Doc: "A batch of at most " + strconv.Itoa(l.Batch) + ": each is published or refused for itself, in order.",
				},
			},
			more: obj("anyOf", []any{obj("required", []string{"channel", "event"}), obj("required", []string{"events"})}),
		},
		{name: "PublishResult", notes: map[string]Note{
			"":          {Doc: "What became of one event."},
			"channel":   {Doc: "The channel, as the client wrote it."},
			"cursor":    {Kind: cursor, Doc: "Where the event is in the log; absent when it was refused."},
			"ack":       {Kind: wire.AckLevel(""), Doc: "What was reached; absent when it was refused."},
			"duplicate": {Doc: "Whether an event with this id was published before; the cursor is then that of the first time."},
			"error":     {Doc: "Why it was refused."},
		}},
		{name: "SchemaEntry", notes: map[string]Note{
			"":            {Doc: "A version of an event type."},
			"name":        {Doc: "What events have as their type."},
			"version":     {Doc: "Counts from 1."},
			"id":          {Doc: "What events of the version have as their dataschema."},
			"title":       {Doc: "For people."},
			"description": {Doc: "For people."},
			"terminal":    {Doc: "Events of the type are never conflated away."},
			"built_in":    {Doc: "The type came with the gateway."},
			"href":        {Doc: "Where the schema is."},
		}},
		{name: "SchemaList", notes: map[string]Note{
			"":      {Doc: "The types of events that the gateway knows."},
			"types": {Doc: "By name and version."},
		}},
		{name: "HistoryEvent", notes: map[string]Note{
			"":        {Doc: "An event of the log."},
			"cursor":  {Kind: cursor},
			"time":    {Doc: "When it was published, by the store's clock."},
			"event":   {Kind: wire.EventJSON{}},
			"skipped": {Doc: "How many events between it and the one before it on the page are left out, because they are invalid."},
		}},
		{name: "HistoryReset", notes: map[string]Note{
			"":       {Doc: "Where the request wanted to begin is not there; the page begins at this cursor."},
			"reason": {Kind: wire.ResetReason("")},
			"cursor": {Kind: cursor},
		}},
		{name: "HistoryPage", notes: map[string]Note{
			"":        {Doc: "A page of a channel's log."},
			"channel": {Kind: channel},
			"head":    {Kind: cursor, Doc: "The newest entry of the channel."},
			"oldest":  {Kind: cursor, Doc: "Everything that is retained comes after this."},
			"events":  {Doc: "In the order of the log, or with `before` from the newest on."},
			"skipped": {Doc: "How many events are left out between the last of the page and `next`."},
			"next":    {Kind: cursor, Doc: "Where the next page begins: its `after`, or its `before`."},
			"more":    {Doc: "Whether there is a next page now."},
			"reset":   {Doc: "Only there when the cursor could not be honoured."},
		}},
		{name: "MembersPage", notes: map[string]Note{
			"":            {Doc: "A page of a channel's members."},
			"channel":     {Kind: channel},
			"version":     {Doc: "Of the last change that is in it; 0 where the store knows of none."},
			"count":       {Doc: "Members of the whole channel."},
			"sessions":    {Doc: "Sessions of the whole channel."},
			"members":     {Kind: []wire.Member{}, Doc: "A page of them, ordered by user."},
			"next":        {Doc: "The after of the next page; absent on the last."},
			"stale_since": {Doc: "The store is away: this is what it said then."},
		}},
	}
}
