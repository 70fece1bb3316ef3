package wire

// Frames of a gateway.
type (
	// ConnectedFrame is written by AppendConnected.
	ConnectedFrame struct {
		Type    string       `json:"type"`
		ID      FrameID      `json:"id,omitempty"`
		Session SessionID    `json:"session"`
		User    UserID       `json:"user"`
		Gateway string       `json:"gateway" doc:"The gateway's name, for people."`
		PingMS  Milliseconds `json:"ping_ms" doc:"The silence after which either side sends a ping; after twice as long the client is dropped."`
		Expires UnixSeconds  `json:"expires,omitempty" doc:"When the connection closes unless its token is refreshed; absent for a token that does not expire."`
	}
	// RefreshedFrame is written by AppendRefreshed.
	RefreshedFrame struct {
		Type    string      `json:"type"`
		ID      FrameID     `json:"id,omitempty"`
		Expires UnixSeconds `json:"expires" doc:"When the connection closes unless its token is refreshed again."`
	}
	// SubscribedFrame is written by AppendSubscribed.
	SubscribedFrame struct {
		Type    string      `json:"type"`
		ID      FrameID     `json:"id,omitempty"`
		Channel ChannelName `json:"channel"`
		Cursor  CursorText  `json:"cursor" doc:"Where delivery begins: the events after it follow."`
		Head    CursorText  `json:"head" doc:"The newest entry of the channel."`
		Resumed bool        `json:"resumed" doc:"Whether a cursor was honoured."`
	}
	// UnsubscribedFrame is written by AppendUnsubscribed.
	UnsubscribedFrame struct {
		Type    string      `json:"type"`
		ID      FrameID     `json:"id,omitempty"`
		Channel ChannelName `json:"channel"`
	}
	// PublishedFrame is written by AppendPublished.
	PublishedFrame struct {
		Type      string     `json:"type"`
		ID        FrameID    `json:"id,omitempty"`
		Cursor    CursorText `json:"cursor,omitempty" doc:"Where the event is in the log; absent for a signal, which is in none."`
		Ack       AckLevel   `json:"ack,omitempty" doc:"What was reached; absent for a signal."`
		Duplicate bool       `json:"duplicate" doc:"Whether an event with this id was published before; the cursor is then that of the first time."`
	}
	// EventFrame is written by AppendEventOpen and AppendEventClose.
	EventFrame struct {
		Type    string      `json:"type"`
		Channel ChannelName `json:"channel"`
		Cursor  CursorText  `json:"cursor"`
		Event   EventJSON   `json:"event"`
		Skipped Count       `json:"skipped,omitempty" doc:"How many events before it were left out on purpose: conflated, or invalid."`
	}
	// SkipFrame is written by AppendSkip.
	SkipFrame struct {
		Type    string      `json:"type"`
		Channel ChannelName `json:"channel"`
		Cursor  CursorText  `json:"cursor" doc:"Go on from here."`
		Skipped Count       `json:"skipped" doc:"How many events were left out on purpose."`
	}
	// ResetFrame is written by AppendReset.
	ResetFrame struct {
		Type    string      `json:"type"`
		Channel ChannelName `json:"channel"`
		Reason  ResetReason `json:"reason"`
		Cursor  CursorText  `json:"cursor" doc:"The events after it follow."`
		Head    CursorText  `json:"head" doc:"The newest entry of the channel."`
	}
	// SignalDelivery is written by AppendSignal.
	SignalDelivery struct {
		Type    string      `json:"type"`
		Channel ChannelName `json:"channel"`
		Event   EventJSON   `json:"event"`
	}
	// PresentFrame is written by AppendPresent.
	PresentFrame struct {
		Type    string      `json:"type"`
		ID      FrameID     `json:"id,omitempty"`
		Channel ChannelName `json:"channel"`
	}
	// MembersPage is written by AppendMembers.
	MembersPage struct {
		Type         string      `json:"type"`
		ID           FrameID     `json:"id,omitempty"`
		Channel      ChannelName `json:"channel"`
		Version      Count       `json:"version" doc:"Of the last change that is in it; 0 where the store knows of none."`
		Count        Count       `json:"count" doc:"Members of the whole channel."`
		Sessions     Count       `json:"sessions" doc:"Sessions of the whole channel."`
		Members      []Member    `json:"members" doc:"A page of them, ordered by user."`
		Next         string      `json:"next,omitempty" doc:"The after of the next page; absent on the last."`
		StaleSinceMS UnixMS      `json:"stale_since_ms,omitempty" doc:"The store is away: this is what it said then."`
	}
	// MemberFrame is written by AppendMemberChange.
	MemberFrame struct {
		Type    string       `json:"type"`
		Channel ChannelName  `json:"channel"`
		Version Count        `json:"version" doc:"Of this change."`
		Prev    Count        `json:"prev" doc:"Of the change before: the frame applies to a client that is there."`
		Action  MemberAction `json:"action"`
		Member  Member       `json:"member" doc:"As it is after the change."`
	}
	// Member is how a presence.Member is written.
	Member struct {
		User     UserID      `json:"user"`
		Name     string      `json:"name,omitempty" doc:"For people."`
		State    MemberState `json:"state"`
		Since    TimeText    `json:"since" doc:"When the member joined."`
		Sessions Count       `json:"sessions" doc:"Its sessions, those in grace included; 0 in a leave."`
		Status   AnyJSON     `json:"status,omitempty" doc:"What the member's sessions last said of themselves."`
	}
	// MovingFrame is written by AppendMoving.
	MovingFrame struct {
		Type    string       `json:"type"`
		AfterMS Milliseconds `json:"after_ms" doc:"When to open the next connection."`
	}
	// DegradedFrame is written by AppendDegraded.
	DegradedFrame struct {
		Type     string `json:"type"`
		Degraded bool   `json:"degraded" doc:"Whether events are late now."`
		Reason   string `json:"reason,omitempty" doc:"For people; absent when events are on time again."`
		SinceMS  UnixMS `json:"since_ms" doc:"Since when it is so."`
	}
	// ErrorFrame is written by AppendError.
	ErrorFrame struct {
		Type    string  `json:"type"`
		ID      FrameID `json:"id,omitempty"`
		Channel string  `json:"channel,omitempty" doc:"The channel concerned, as the client wrote it."`
		Code    Code    `json:"code"`
		Message string  `json:"message" doc:"What went wrong, for people."`
		Retry   bool    `json:"retry" doc:"Whether the same request may succeed later."`
		Path    string  `json:"path,omitempty" doc:"A JSON pointer into the frame or the event."`
	}
	// NextFrame is written by AppendNext.
	NextFrame struct {
		Type     string    `json:"type"`
		Channels []NextAsk `json:"channels" doc:"The channels, as the next request names them; without those that were refused for good."`
		Cursors  string    `json:"cursors" doc:"The same in short, for the same channels in any order."`
		More     True      `json:"more,omitempty" doc:"There is more already: poll again at once."`
		Degraded True      `json:"degraded,omitempty" doc:"Events are late for now."`
	}
	// NextAsk is one channel of a NextFrame.
	NextAsk struct {
		Channel  ChannelName `json:"channel"`
		Cursor   CursorText  `json:"cursor,omitempty" doc:"Where the client stands; absent for a channel that could not be opened for now."`
		Since    TimeText    `json:"since,omitempty" doc:"As it was asked for, where the channel could not be opened for now."`
		Presence True        `json:"presence,omitempty" doc:"The members are sent too."`
		Members  Count       `json:"members,omitempty" doc:"The version of the members that the client has; 1 where it was told that there is none for now."`
	}
	// BareFrame has nothing but its type.
	BareFrame struct {
		Type string `json:"type"`
	}
)

// ServerShapes returns the kinds of frames that a gateway sends. The list is the caller's to keep.
func ServerShapes() []Shape {
	return []Shape{
		{Type: "connected", Doc: "Answers `connect`.", Value: ConnectedFrame{}, Example: `{"type":"connected","id":7,"session":"c81f","user":"alice","gateway":"gw-7","ping_ms":25000,"expires":1795518000}`},
		{Type: "refreshed", Doc: "Answers `refresh`.", Value: RefreshedFrame{}, Example: `{"type":"refreshed","id":"r","expires":1795521600}`},
		{Type: "subscribed", Doc: "Answers `subscribe` for one channel.", Value: SubscribedFrame{}, Example: `{"type":"subscribed","id":7,"channel":"jobs:42","cursor":"41-1795514041000000","head":"43-1795514043000000","resumed":true}`},
		{Type: "unsubscribed", Doc: "Answers `unsubscribe` for one channel, or ends a subscription that the token does not allow any more.", Value: UnsubscribedFrame{}, Example: `{"type":"unsubscribed","id":7,"channel":"jobs:42"}`},
		{Type: "published", Doc: "Answers `publish`, and a `signal` that has an id.", Value: PublishedFrame{}, Example: `{"type":"published","id":7,"cursor":"41-1795514041000000","ack":"replicated","duplicate":false}`},
		{Type: "event", Doc: "An event of a channel. Its offset is that of the last + 1 + skipped.", Value: EventFrame{}, Example: `{"type":"event","channel":"jobs:42","cursor":"41-1795514041000000","event":{"type":"x"},"skipped":3}`},
		{Type: "skip", Doc: "Events were left out on purpose, and none follows for now.", Value: SkipFrame{}, Example: `{"type":"skip","channel":"jobs:42","cursor":"41-1795514041000000","skipped":2}`},
		{Type: "reset", Doc: "Events may be lost; those after the cursor follow.", Value: ResetFrame{}, Example: `{"type":"reset","channel":"jobs:42","reason":"trimmed","cursor":"41-1795514041000000","head":"43-1795514043000000"}`},
		{Type: "signal", Doc: "An event for those who listen now: it is in no log, and not replayed.", Value: SignalDelivery{}, Example: `{"type":"signal","channel":"jobs:42","event":{"type":"x"}}`},
		{Type: "present", Doc: "Answers `presence`: the store has it.", Value: PresentFrame{}, Example: `{"type":"present","id":7,"channel":"jobs:42"}`},
		{Type: "members", Doc: "Members of a channel. Without an id it replaces what the client knew of them.", Value: MembersPage{}, Example: `{"type":"members","id":7,"channel":"jobs:42","version":1795514041000000,"count":3,"sessions":4,"members":[{"user":"alice","name":"Alice A.","state":"live","since":"2026-11-24T10:00:00Z","sessions":2,"status":{"at":"x"}},{"user":"bob","state":"grace","since":"2026-11-24T10:00:00Z","sessions":1}],"next":"bob"}`},
		{Type: "member", Doc: "One change of a channel's members.", Value: MemberFrame{}, Example: `{"type":"member","channel":"jobs:42","version":1795514043000000,"prev":1795514041000000,"action":"join","member":{"user":"carol","state":"live","since":"2026-11-24T10:00:00Z","sessions":1}}`},
		{Type: "moving", Doc: "The gateway is about to end: after a while, open another connection and resume there.", Value: MovingFrame{}, Example: `{"type":"moving","after_ms":1200}`},
		{Type: "degraded", Doc: "The gateway's path to the store is broken, events are late and none is lost; or it is whole again.", Value: DegradedFrame{}, Example: `{"type":"degraded","degraded":false,"since_ms":1795514000001}`},
		{Type: "error", Doc: "Something was refused or failed. It never closes the connection by itself.", Value: ErrorFrame{}, Example: `{"type":"error","id":7,"channel":"jobs:42","code":"invalid_event","message":"data.percent: must be <= 100","retry":false,"path":"/data/percent"}`},
		{Type: "next", Doc: "Ends the answer to a poll: where the client stands.", Value: NextFrame{}, Example: `{"type":"next","channels":[{"channel":"jobs:42","cursor":"43-1795514043000000"}],"cursors":"composite"}`},
		{Type: TypePing, Doc: "Asks for a pong.", Value: BareFrame{}, Example: `{"type":"ping"}`},
		{Type: TypePong, Doc: "Answers a ping.", Value: BareFrame{}, Example: `{"type":"pong"}`},
	}
}
