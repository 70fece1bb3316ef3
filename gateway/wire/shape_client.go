package wire

import "encoding/json"

// Frames of a client.
type (
	// ConnectFrame is the first frame of a WebSocket.
	ConnectFrame struct {
		Type    string    `json:"type"`
		ID      FrameID   `json:"id,omitempty"`
		Token   TokenText `json:"token,omitempty" doc:"Not needed when the upgrade request had an Authorization header."`
		Session SessionID `json:"session,omitempty" doc:"Without one the gateway makes one up."`
	}
	// RefreshFrame brings a new token of the same user.
	RefreshFrame struct {
		Type  string    `json:"type"`
		ID    FrameID   `json:"id,omitempty"`
		Token TokenText `json:"token"`
	}
	// SubscribeFrame asks for channels.
	SubscribeFrame struct {
		Type     string      `json:"type"`
		ID       FrameID     `json:"id,omitempty"`
		Channels ChannelAsks `json:"channels,omitempty" doc:"The channels, each answered for itself."`
		Channel  ChannelName `json:"channel,omitempty" doc:"The short form for one channel: in the place of channels, with its fields beside it."`
		Cursor   CursorText  `json:"cursor,omitempty" doc:"Of the short form: go on after this entry."`
		Since    TimeText    `json:"since,omitempty" doc:"Of the short form: go on after what was published up to this time."`
		Presence bool        `json:"presence,omitempty" doc:"Send the members too, and what changes about them."`
	}
	// UnsubscribeFrame ends subscriptions.
	UnsubscribeFrame struct {
		Type     string      `json:"type"`
		ID       FrameID     `json:"id,omitempty"`
		Channels ChannelAsks `json:"channels,omitempty" doc:"The channels, each answered for itself."`
		Channel  ChannelName `json:"channel,omitempty" doc:"The short form for one channel."`
	}
	// ChannelAsks are the channels of a frame.
	ChannelAsks []ChannelOrAsk
	// ChannelOrAsk is a ChannelAsk, or the bare name of a channel.
	ChannelOrAsk json.RawMessage
	// ChannelAsk is one channel of a subscribe frame.
	ChannelAsk struct {
		Channel  ChannelName `json:"channel"`
		Cursor   CursorText  `json:"cursor,omitempty" doc:"Go on after this entry."`
		Since    TimeText    `json:"since,omitempty" doc:"Go on after what was published up to this time. With neither: from now on."`
		Presence bool        `json:"presence,omitempty" doc:"Send the members too, and what changes about them."`
	}
	// PublishFrame publishes an event.
	PublishFrame struct {
		Type    string      `json:"type"`
		ID      FrameID     `json:"id,omitempty"`
		Channel ChannelName `json:"channel"`
		Event   EventJSON   `json:"event"`
		Ack     AckLevel    `json:"ack,omitempty" doc:"What the answer waits for."`
	}
	// SignalFrame publishes an event for those who listen now.
	SignalFrame struct {
		Type    string      `json:"type"`
		ID      FrameID     `json:"id,omitempty"`
		Channel ChannelName `json:"channel"`
		Event   EventJSON   `json:"event"`
	}
	// PresenceFrame makes the session present in a channel, or ends that.
	PresenceFrame struct {
		Type    string      `json:"type"`
		ID      FrameID     `json:"id,omitempty"`
		Channel ChannelName `json:"channel"`
		Status  AnyJSON     `json:"status,omitempty" doc:"What the session says of itself, at most 4 KB; absent keeps what it said, null takes it away."`
		Leave   bool        `json:"leave,omitempty" doc:"Ends the presence at once."`
	}
	// MembersFrame asks for a page of a channel's members.
	MembersFrame struct {
		Type    string      `json:"type"`
		ID      FrameID     `json:"id,omitempty"`
		Channel ChannelName `json:"channel"`
		After   string      `json:"after,omitempty" doc:"The user after whom the page begins."`
		Limit   PageLimit   `json:"limit,omitempty"`
	}
)

// UnmarshalJSON keeps the JSON as it is.
func (r *ChannelOrAsk) UnmarshalJSON(b []byte) error { *r = append((*r)[:0], b...); return nil }

// OneOf implements Union.
func (ChannelOrAsk) OneOf() []any { return []any{ChannelAsk{}, ChannelName("")} }

// ExtendSchema implements Extended.
func (ChannelAsks) ExtendSchema(s Schema) { s["minItems"] = 1 }

// ExtendSchema implements Extended.
func (SubscribeFrame) ExtendSchema(s Schema) { longOrShort(s) }

// ExtendSchema implements Extended.
func (UnsubscribeFrame) ExtendSchema(s Schema) { longOrShort(s) }

// longOrShort says that a frame has its channels in one of two forms.
func longOrShort(s Schema) {
	s["anyOf"] = []any{Schema{"required": []string{"channels"}}, Schema{"required": []string{"channel"}}}
}

// ClientShapes returns the kinds of frames that a client sends. The list is the caller's to keep.
//
// They are what a client should send. A gateway reads more: null for an absent member, members twice,
// members that it does not know.
func ClientShapes() []Shape {
	return []Shape{
		{
			Type: TypeConnect, Doc: "The first frame of a WebSocket.", Value: ConnectFrame{},
			Answers: []string{"connected"}, Example: `{"type":"connect","id":1,"token":"eyJ","session":"c81f"}`,
		},
		{
			Type: TypeRefresh, Doc: "A new token of the same user.", Value: RefreshFrame{},
			Answers: []string{"refreshed"}, Example: `{"type":"refresh","id":5,"token":"eyJ"}`,
		},
		{
			Type: TypeSubscribe, Doc: "Asks for the events of channels.", Value: SubscribeFrame{},
			Answers: []string{"subscribed"},
			Example: `{"type":"subscribe","id":2,"channels":[{"channel":"a:1","cursor":"4-9"},{"channel":"b","since":"2026-11-24T10:00:00Z"},"c"]}`,
		},
		{
			Type: TypeUnsubscribe, Doc: "Ends subscriptions, and the presence in their channels.", Value: UnsubscribeFrame{},
			Answers: []string{"unsubscribed"}, Example: `{"type":"unsubscribe","id":3,"channels":[{"channel":"jobs:42"}]}`,
		},
		{
			Type: TypePublish, Doc: "Publishes an event. Publishes are pipelined, and answered in order.", Value: PublishFrame{},
			Answers: []string{"published"},
			Example: `{"type":"publish","id":3,"channel":"jobs:42","event":{"type":"x","data":{"a":[1, 2]}},"ack":"stored"}`,
		},
		{
			Type: TypeSignal, Doc: "Publishes an event for those who listen now. It is answered when it has an id.", Value: SignalFrame{},
			Answers: []string{"published"}, Example: `{"type":"signal","channel":"a","event":{"type":"x"}}`,
		},
		{
			Type: TypePresence, Doc: "Makes the session present in a channel, changes its status there, or ends that.", Value: PresenceFrame{},
			Answers: []string{"present"}, Example: `{"type":"presence","channel":"a","status":{"s":1}}`,
		},
		{
			Type: TypeMembers, Doc: "Asks for a page of a channel's members.", Value: MembersFrame{},
			Answers: []string{"members"}, Example: `{"type":"members","id":6,"channel":"jobs:42","after":"dave","limit":200}`,
		},
		{
			Type: TypePing, Doc: "Asks for a pong, which has no id.", Value: BareFrame{},
			Answers: []string{TypePong}, Example: `{"type":"ping"}`,
		},
		{Type: TypePong, Doc: "Answers a ping.", Value: BareFrame{}, Example: `{"type":"pong"}`},
	}
}
