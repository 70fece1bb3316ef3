package wire

import (
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
}

// ChannelRequest is one channel of a subscribe or unsubscribe frame.
type ChannelRequest struct {
	Channel string
	Cursor  string
	Since   string
}

// Decode calls visit for every frame of a client message, in order, with a frame that is reused. A
// malformed frame of an array is told to fail and the others are visited all the same; a message that
// is not JSON is one failure. Decode stops early when visit returns false.
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

func (f *ClientFrame) decode(v gjson.Result) *Error {
	if !v.IsObject() {
		return Errorf(CodeInvalidFrame, "a frame is a JSON object")
	}
	var bad *Error
	v.ForEach(func(key, value gjson.Result) bool {
		switch key.String() {
		case "id":
			bad = f.setID(value)
		case "type":
			bad = setString(&f.Type, value, "type", 32)
		case "channel":
			bad = setString(&f.Channel, value, "channel", 1024)
		case "channels":
			bad = f.setChannels(value)
		case "event":
			f.Event = rawBytes(value)
		case "status":
			f.Status = rawBytes(value)
		case "token":
			bad = setString(&f.Token, value, "token", MaxTokenLen)
		case "session":
			bad = setString(&f.Session, value, "session", MaxSessionLen)
		case "ack":
			bad = setString(&f.Ack, value, "ack", 16)
		case "cursor":
			bad = setString(&f.first().Cursor, value, "cursor", 64)
		case "since":
			bad = setString(&f.first().Since, value, "since", 64)
		}
		return bad == nil
	})
	if bad != nil {
		return bad
	}
	if f.Type == "" {
		return &Error{Code: CodeInvalidFrame, Message: "type: is required", Path: "/type"}
	}
	return f.foldChannel()
}

// first returns the request that stands for the short form {"channel":…,"cursor":…}.
func (f *ClientFrame) first() *ChannelRequest {
	if len(f.Channels) == 0 {
		f.Channels = append(f.Channels, ChannelRequest{})
	}
	return &f.Channels[0]
}

// foldChannel turns the short form of subscribe and unsubscribe, with one `channel`, into the list.
func (f *ClientFrame) foldChannel() *Error {
	if f.Type != TypeSubscribe && f.Type != TypeUnsubscribe {
		return nil
	}
	if f.Channel != "" && len(f.Channels) <= 1 {
		if c := f.first(); c.Channel == "" {
			c.Channel = f.Channel
		}
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
	if !v.IsArray() {
		return &Error{Code: CodeInvalidFrame, Message: "channels: must be an array", Path: "/channels"}
	}
	var bad *Error
	f.Channels = f.Channels[:0]
	v.ForEach(func(_, item gjson.Result) bool {
		var c ChannelRequest
		switch {
		case item.Type == gjson.String:
			bad = setString(&c.Channel, item, "channels", 1024)
		case item.IsObject():
			item.ForEach(func(key, value gjson.Result) bool {
				switch key.String() {
				case "channel":
					bad = setString(&c.Channel, value, "channel", 1024)
				case "cursor":
					bad = setString(&c.Cursor, value, "cursor", 64)
				case "since":
					bad = setString(&c.Since, value, "since", 64)
				}
				return bad == nil
			})
		default:
			bad = &Error{Code: CodeInvalidFrame, Message: "channels: must hold objects or names", Path: "/channels"}
		}
		f.Channels = append(f.Channels, c)
		return bad == nil
	})
	return bad
}

func setString(dst *string, v gjson.Result, name string, limit int) *Error {
	if v.Type == gjson.Null {
		return nil
	}
	if v.Type != gjson.String {
		return &Error{Code: CodeInvalidFrame, Message: name + ": must be a string", Path: "/" + name}
	}
	if len(v.Str) > limit {
		return &Error{Code: CodeInvalidFrame, Message: name + ": is too long", Path: "/" + name}
	}
	*dst = v.Str
	return nil
}
