package wire

import (
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"
)

// Client frame types.
const (
	TypeConnect     = "connect"
	TypeSubscribe   = "subscribe"
	TypeUnsubscribe = "unsubscribe"
	TypePublish     = "publish"
	TypeSignal      = "signal"
	TypePresence    = "presence"
	TypeMembers     = "members"
	TypeRefresh     = "refresh"
	TypePing        = "ping"
	TypePong        = "pong"
)

// ClientFrame is one frame from a client. Which fields are set depends on its type. Strings and byte
// slices point into the message and live as long as it does: clone what is kept.
type ClientFrame struct {
	Type     string
	ID       []byte // a JSON number or string, echoed in the answer; nil when absent
	Token    string
	Session  string
	Channel  string
	Channels []ChannelRequest
	Event    []byte // JSON, not validated
	Status   []byte // JSON, not validated
	Ack      string
	After    string // of members: the user after which the page begins
	Limit    int    // of members
	Leave    bool   // of presence
}

// ChannelRequest is one channel of a subscribe or unsubscribe frame.
type ChannelRequest struct {
	Channel  string
	Cursor   string
	Since    string
	Presence bool // send the members, and what changes about them
	// Members is the version of the members that the client has: it needs none while that holds. Only
	// requests over HTTP say so.
	Members *uint64
}

// Decode calls visit for every frame of a client message, in order, with a frame that is reused. A
// malformed frame of an array is told to fail and the others are visited all the same; a message that
// is not JSON is one failure. Decode stops early when visit returns false.
//
// Where an object has a member twice the last one counts, but for null, which stands for an absent
// member of every kind except event and status (as encoding/json reads it). Names are exact in case.
func Decode(msg []byte, f *ClientFrame, visit func(*ClientFrame) bool, fail func(*ClientFrame, *Error)) {
	*f = ClientFrame{}
	if !utf8.Valid(msg) || !validNesting(msg) || !gjson.ValidBytes(msg) {
		fail(f, Errorf(CodeInvalidFrame, "the message is not valid JSON"))
		return
	}
	root := gjson.Parse(unsafe.String(unsafe.SliceData(msg), len(msg))) //nolint:gosec // read-only view, see ClientFrame
	switch {
	case root.IsObject():
		if err := f.decode(root); err != nil {
			fail(f, err)
			return
		}
		visit(f)
	case root.IsArray():
		n := 0
		root.ForEach(func(_, v gjson.Result) bool {
			*f = ClientFrame{}
			if n++; n > MaxFrames {
				fail(f, Errorf(CodeInvalidFrame, "too many frames in one message"))
				return false
			}
			if err := f.decode(v); err != nil {
				fail(f, err)
				return true
			}
			return visit(f)
		})
	default:
		fail(f, Errorf(CodeInvalidFrame, "a message is a frame object or an array of them"))
	}
}

// maxNesting bounds the depth of a message, since its validation recurses.
const maxNesting = 64

func validNesting(msg []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(msg); i++ {
		switch c := msg[i]; {
		case inString:
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}

// decode reads one frame. Where it is malformed, the id is read all the same, for the answer.
func (f *ClientFrame) decode(v gjson.Result) *Error {
	if !v.IsObject() {
		return Errorf(CodeInvalidFrame, "a frame is a JSON object")
	}
	var first *Error
	var short ChannelRequest
	v.ForEach(func(key, value gjson.Result) bool {
		name := key.Str
		if first != nil && name != "id" {
			return true
		}
		if bad := f.set(name, value, &short); bad != nil && first == nil {
			first = bad
		}
		return true
	})
	if first != nil {
		return first
	}
	if f.Type == "" {
		return &Error{Code: CodeInvalidFrame, Message: "type: is required", Path: "/type"}
	}
	return f.foldChannel(short)
}

// set reads one member of a frame. short takes what goes with `channel`.
func (f *ClientFrame) set(name string, value gjson.Result, short *ChannelRequest) *Error {
	switch name {
	case "id":
		return f.setID(value)
	case "type":
		return setString(&f.Type, value, "/type", 32)
	case "channel":
		return setString(&f.Channel, value, "/channel", maxName)
	case "channels":
		return f.setChannels(value)
	case "event":
		f.Event = rawBytes(value)
	case "status":
		f.Status = rawBytes(value)
	case "token":
		return setString(&f.Token, value, "/token", MaxTokenLen)
	case "session":
		return setString(&f.Session, value, "/session", MaxSessionLen)
	case "ack":
		return setString(&f.Ack, value, "/ack", 16)
	case "cursor":
		return setString(&short.Cursor, value, "/cursor", 64)
	case "since":
		return setString(&short.Since, value, "/since", 64)
	case "presence":
		return setBool(&short.Presence, value, "/presence")
	case "leave":
		return setBool(&f.Leave, value, "/leave")
	case "after":
		return setString(&f.After, value, "/after", MaxTokenLen)
	case "limit":
		if value.Type != gjson.Number || value.Num != math.Trunc(value.Num) || value.Num < 1 || value.Num > 1000 {
			return &Error{Code: CodeInvalidFrame, Message: "limit: must be a number from 1 to 1000", Path: "/limit"}
		}
		f.Limit = int(value.Num)
	}
	return nil
}

// maxName bounds a channel's name only by the message: whoever knows the rule for names refuses it.
const maxName = math.MaxInt

// foldChannel turns the short form of subscribe and unsubscribe, with one `channel`, into the list.
// Beside `channels` the fields of the short form mean nothing.
func (f *ClientFrame) foldChannel(short ChannelRequest) *Error {
	if f.Type != TypeSubscribe && f.Type != TypeUnsubscribe {
		return nil
	}
	switch {
	case f.Channels != nil:
		f.Channel = ""
	case f.Channel != "":
		short.Channel = f.Channel
		f.Channels = []ChannelRequest{short}
	}
	if len(f.Channels) == 0 {
		return &Error{Code: CodeInvalidFrame, Message: "channels: is required", Path: "/channels"}
	}
	return nil
}

func (f *ClientFrame) setID(v gjson.Result) *Error {
	switch {
	case v.Type == gjson.Null:
		return nil
	case v.Type != gjson.Number && v.Type != gjson.String:
		return &Error{Code: CodeInvalidFrame, Message: "id: must be a number or a string", Path: "/id"}
	case len(v.Raw) > MaxIDLen:
		return &Error{Code: CodeInvalidFrame, Message: "id: is longer than 64 bytes", Path: "/id"}
	}
	f.ID = rawBytes(v)
	return nil
}

func (f *ClientFrame) setChannels(v gjson.Result) *Error {
	if v.Type == gjson.Null {
		return nil
	}
	if !v.IsArray() {
		return &Error{Code: CodeInvalidFrame, Message: "channels: must be an array", Path: "/channels"}
	}
	var bad *Error
	f.Channels = make([]ChannelRequest, 0, 4)
	v.ForEach(func(_, item gjson.Result) bool {
		var c ChannelRequest
		switch {
		case item.Type == gjson.String:
			c.Channel = item.Str
		case item.IsObject():
			item.ForEach(func(key, value gjson.Result) bool {
				switch key.Str {
				case "channel":
					bad = setString(&c.Channel, value, "/channel", maxName)
				case "cursor":
					bad = setString(&c.Cursor, value, "/cursor", 64)
				case "since":
					bad = setString(&c.Since, value, "/since", 64)
				case "presence":
					bad = setBool(&c.Presence, value, "/presence")
				}
				return bad == nil
			})
		default:
			bad = &Error{Code: CodeInvalidFrame, Message: "channels: must hold objects or names"}
		}
		if bad != nil {
			bad.Path = "/channels/" + strconv.Itoa(len(f.Channels)) + bad.Path
		}
		f.Channels = append(f.Channels, c)
		return bad == nil
	})
	return bad
}

// setBool reads a truth value into dst; null leaves it as it is.
func setBool(dst *bool, v gjson.Result, path string) *Error {
	switch v.Type {
	case gjson.True, gjson.False:
		*dst = v.Type == gjson.True
	case gjson.Null:
	default:
		return &Error{Code: CodeInvalidFrame, Message: path[1:] + ": must be true or false", Path: path}
	}
	return nil
}

// setString reads a string into dst; null leaves it as it is. path is a JSON pointer that ends with the
// field's name.
func setString(dst *string, v gjson.Result, path string, limit int) *Error {
	if v.Type == gjson.Null {
		return nil
	}
	if v.Type != gjson.String {
		return &Error{Code: CodeInvalidFrame, Message: path[1:] + ": must be a string", Path: path}
	}
	if len(v.Str) > limit {
		return &Error{Code: CodeInvalidFrame, Message: path[1:] + ": is too long", Path: path}
	}
	*dst = v.Str
	return nil
}
