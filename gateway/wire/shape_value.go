package wire

import (
	"encoding/json"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/presence"
)

// Kinds of values in shapes.
type (
	// ChannelName names a channel.
	ChannelName string
	// CursorText is a position in a channel's log, "<offset>-<stamp>".
	CursorText string
	// FrameID is chosen by the client for the answers to a frame: a number or a string.
	FrameID json.RawMessage
	// SessionID names a logical client.
	SessionID string
	// UserID is the subject of a token.
	UserID string
	// TokenText is a JSON Web Token.
	TokenText string
	// TimeText is a time as in RFC 3339.
	TimeText string
	// AckLevel is how far a publish has got when it is acknowledged.
	AckLevel string
	// ResetReason is why events may be lost.
	ResetReason string
	// MemberState is how a member is here.
	MemberState string
	// MemberAction is what a change of members does.
	MemberAction string
	// PageLimit is how many members a page has at most.
	PageLimit int
	// Count is a number of things.
	Count uint64
	// UnixMS is a time in milliseconds since 1970.
	UnixMS int64
	// UnixSeconds is a time in seconds since 1970.
	UnixSeconds int64
	// Milliseconds is a duration.
	Milliseconds int64
	// True is only ever true.
	True bool
	// EventJSON is an event, a CloudEvent of which only the type is required.
	EventJSON json.RawMessage
	// AnyJSON is any JSON value.
	AnyJSON json.RawMessage
)

// UnmarshalJSON keeps the JSON as it is.
func (r *FrameID) UnmarshalJSON(b []byte) error { *r = append((*r)[:0], b...); return nil }

// UnmarshalJSON keeps the JSON as it is.
func (r *EventJSON) UnmarshalJSON(b []byte) error { *r = append((*r)[:0], b...); return nil }

// UnmarshalJSON keeps the JSON as it is.
func (r *AnyJSON) UnmarshalJSON(b []byte) error { *r = append((*r)[:0], b...); return nil }

// JSONSchema implements Described.
func (ChannelName) JSONSchema() Schema {
	return Schema{
		"type": "string", "pattern": "^[A-Za-z0-9.:-][A-Za-z0-9_.:-]*$", "maxLength": events.MaxChannelLen,
		"description": "A channel's name. Its namespace is the part before the first ':'.",
	}
}

// JSONSchema implements Described.
func (CursorText) JSONSchema() Schema {
	return Schema{
		"type": "string", "pattern": "^(0|0-0|[1-9][0-9]{0,19}-[1-9][0-9]{0,19})$",
		"description": "A position in a channel's log: `<offset>-<stamp>`. Offsets count 1, 2, 3 … without holes; stamps are " +
			"microseconds since 1970. `0` stands before the first entry ever.",
	}
}

// JSONSchema implements Described.
func (FrameID) JSONSchema() Schema {
	return Schema{
		"type": []string{"integer", "number", "string"}, "maxLength": MaxIDLen - len(`""`),
		"description": "Chosen by the client and repeated in the answer, byte for byte; at most 64 bytes as JSON.",
	}
}

// JSONSchema implements Described.
func (SessionID) JSONSchema() Schema {
	return Schema{
		"type": "string", "maxLength": MaxSessionLen,
		"description": "Names the logical client; survives reconnects and changes of transport. At most 128 bytes.",
	}
}

// JSONSchema implements Described.
func (UserID) JSONSchema() Schema {
	return Schema{"type": "string", "description": "The subject of a token."}
}

// JSONSchema implements Described.
func (TokenText) JSONSchema() Schema {
	return Schema{"type": "string", "maxLength": MaxTokenLen, "description": "A JSON Web Token."}
}

// JSONSchema implements Described.
func (TimeText) JSONSchema() Schema {
	return Schema{"type": "string", "format": "date-time", "description": "A time as in RFC 3339."}
}

// JSONSchema implements Described.
func (AckLevel) JSONSchema() Schema {
	return Schema{
		"type": "string", "enum": []string{"stored", "replicated"},
		"description": "How far a publish has got: `stored` by the primary, or `replicated` to at least one more.",
	}
}

// JSONSchema implements Described.
func (ResetReason) JSONSchema() Schema {
	return enumeration("Why events may be lost.", Reasons(), func(r ReasonInfo) (string, string) { return r.Reason, r.Why })
}

// JSONSchema implements Described.
func (Code) JSONSchema() Schema {
	return enumeration("What went wrong, for programs.", Codes(), func(c CodeInfo) (string, string) { return string(c.Code), c.When })
}

// JSONSchema implements Described.
func (MemberState) JSONSchema() Schema {
	return Schema{
		"type": "string", "enum": []presence.State{presence.Live, presence.Grace},
		"description": "`live` while a session is connected; `grace` when none is and the last may still come back.",
	}
}

// JSONSchema implements Described.
func (MemberAction) JSONSchema() Schema {
	return Schema{
		"type": "string", "enum": []presence.Action{presence.Join, presence.Update, presence.Leave},
		"description": "What a change does.",
	}
}

// JSONSchema implements Described.
func (PageLimit) JSONSchema() Schema {
	return Schema{
		"type": "integer", "minimum": 1, "maximum": presence.MaxPageLimit, "default": presence.DefaultPageLimit,
		"description": "How many members the page has at most.",
	}
}

// JSONSchema implements Described.
func (Count) JSONSchema() Schema { return Schema{"type": "integer", "minimum": 0} }

// JSONSchema implements Described.
func (UnixMS) JSONSchema() Schema {
	return Schema{"type": "integer", "minimum": 0, "description": "Milliseconds since 1970."}
}

// JSONSchema implements Described.
func (UnixSeconds) JSONSchema() Schema {
	return Schema{"type": "integer", "description": "Seconds since 1970."}
}

// JSONSchema implements Described.
func (Milliseconds) JSONSchema() Schema {
	return Schema{"type": "integer", "minimum": 0, "description": "Milliseconds."}
}

// JSONSchema implements Described.
func (True) JSONSchema() Schema { return Schema{"const": true} }

// JSONSchema implements Described.
func (AnyJSON) JSONSchema() Schema { return Schema{} }

// JSONSchema implements Described. What JSON Schema cannot say is that the whole has at most
// events.MaxEventBytes and nests at most events.MaxDepth deep.
func (EventJSON) JSONSchema() Schema {
	text := func(doc string) Schema {
		return Schema{"type": []string{"string", "null"}, "minLength": 1, "maxLength": events.MaxAttributeLen, "description": doc}
	}
	moment := text("When it happened; without one, when it was published.")
	moment["format"] = "date-time"
	trace := text("W3C trace context.")
	return Schema{
		"type": "object", "required": []string{"type"},
		"description": "A CloudEvents 1.0 event of which only `type` has to be there; at most 64 KB. What is absent: `id` " +
			"defaults to the cursor, `source` to the channel, `time` to the cursor's stamp. Further members are extension attributes.",
		"properties": Schema{
			"id":     text("Unique within the source. A publish with an id is idempotent."),
			"source": text("Who publishes."),
			"type": Schema{
				"type": "string", "pattern": "^[A-Za-z0-9_.-]+$", "maxLength": events.MaxTypeLen,
				"description": "The type, which has a schema at /schemas/{type} when it is registered.",
			},
			"subject":         text("What the event is about; events are conflated by it."),
			"time":            moment,
			"dataschema":      text("Picks the version of the type."),
			"traceparent":     trace,
			"specversion":     Schema{"enum": []any{"1.0", nil}},
			"datacontenttype": text("Of `data_base64`; `data` is always JSON."),
			"data":            Schema{"description": "Any JSON value, as the type's schema says."},
			"data_base64":     Schema{"type": []string{"string", "null"}, "description": "Binary data in the place of `data`."},
		},
		"additionalProperties": Schema{"type": []string{"string", "number", "boolean", "null"}},
	}
}

// enumeration is the schema of a string that is one of a list, and says what each means.
func enumeration[T any](doc string, list []T, of func(T) (value, meaning string)) Schema {
	values := make([]string, len(list))
	for i, item := range list {
		value, meaning := of(item)
		values[i] = value
		doc += "\n- `" + value + "`: " + meaning
	}
	return Schema{"type": "string", "enum": values, "description": doc}
}
