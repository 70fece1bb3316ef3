package wire

// Code is a stable error code. It says what went wrong to programs; the message says it to people.
type Code string

// Error codes. The comment says whether the same request may succeed later.
const (
	CodeInvalidFrame         Code = "invalid_frame"          // no: not JSON, or a field of the wrong kind
	CodeUnknownType          Code = "unknown_type"           // no: the frame type is not known
	CodeFrameTooLarge        Code = "frame_too_large"        // no: the message exceeds the frame limit
	CodeNotConnected         Code = "not_connected"          // no: a command before `connect`
	CodeAlreadyConnected     Code = "already_connected"      // no: a second `connect`
	CodeUnauthorized         Code = "unauthorized"           // no: no token, or one that is not accepted
	CodeTokenExpired         Code = "token_expired"          // with a new token
	CodeTokenRevoked         Code = "token_revoked"          // with a new token
	CodeKeysUnavailable      Code = "keys_unavailable"       // yes: the key set could not be fetched
	CodeForbidden            Code = "forbidden"              // no: the token does not allow it
	CodeInvalidChannel       Code = "invalid_channel"        // no: the channel's name is not allowed
	CodeInvalidCursor        Code = "invalid_cursor"         // no: the text is no cursor
	CodeInvalidSince         Code = "invalid_since"          // no: the text is no RFC 3339 time
	CodeInvalidEvent         Code = "invalid_event"          // no: the event fails its schema or the envelope
	CodeInvalidRequest       Code = "invalid_request"        // no: an HTTP request with a bad parameter
	CodeNotFound             Code = "not_found"              // no: no such resource
	CodeNotSubscribed        Code = "not_subscribed"         // no: the command needs a subscription
	CodeTooManySubscriptions Code = "too_many_subscriptions" // after an unsubscribe
	CodeStatusTooLarge       Code = "status_too_large"       // no: a presence status has more than 4 KB
	CodeRateLimited          Code = "rate_limited"           // yes, later
	CodeOverloaded           Code = "overloaded"             // yes: a bounded queue is full, nothing was done
	CodeUnavailable          Code = "unavailable"            // yes: the store is away; a publish with an id may be repeated
	CodeRefused              Code = "refused"                // no: the store refuses (out of memory, permission)
	CodeUnsupported          Code = "unsupported"            // no: this gateway cannot do it
	CodeHostNotAllowed       Code = "host_not_allowed"       // no: Host is not in --allowed-hosts
	CodeOriginNotAllowed     Code = "origin_not_allowed"     // no: Origin is not in --allowed-origins
	CodeOriginRequired       Code = "origin_required"        // no: a request by cookie that does not say which page it is from
	CodeTokenTooLarge        Code = "token_too_large"        // no: the token does not fit into a cookie
	CodeUnsupportedMediaType Code = "unsupported_media_type" // no: the body is of a kind that is not taken here
	CodeRequestTimeout       Code = "request_timeout"        // yes: the body did not come in time, nothing was done
	CodeReplaced             Code = "replaced"               // no: a newer poll of the session goes on in its place
	CodeInProgress           Code = "in_progress"            // yes: the session's commands are being done
	CodeOutOfOrder           Code = "out_of_order"           // no: the commands are not the session's next ones
	CodeTooManyErrors        Code = "too_many_errors"        // the connection closes with 4429
	CodeConnectTimeout       Code = "connect_timeout"        // the connection closes with 4408
	CodeSlowConsumer         Code = "slow_consumer"          // reserved: a full socket is dropped without a word
	CodeInternal             Code = "internal"               // yes, perhaps: a defect, logged by the gateway
)

// Retry reports whether the same request may succeed later without being changed.
func (c Code) Retry() bool {
	switch c {
	case CodeRateLimited, CodeOverloaded, CodeUnavailable, CodeKeysUnavailable, CodeInternal, CodeSlowConsumer,
		CodeRequestTimeout, CodeInProgress:
		return true
	default:
		return false
	}
}

// Reset reasons. The first three are the texts of broker.Verdict.
const (
	ReasonTrimmed   = "trimmed"
	ReasonForked    = "forked"
	ReasonExpired   = "expired"
	ReasonForbidden = "forbidden"
)

// WebSocket close codes that a gateway chooses. A client that is closed with a code below 4400, or with
// 4408, 4410 or 4429, reconnects and resumes; 4401 needs a new token first.
const (
	CloseNormal         = 1000
	CloseGoingAway      = 1001
	CloseTooBig         = 1009
	CloseInternal       = 1011
	CloseRestart        = 1012
	CloseUnauthorized   = 4401
	CloseConnectTimeout = 4408
	CloseSlowConsumer   = 4410 // reserved
	CloseTooManyErrors  = 4429
)

// Error is an answer that is no success, on every transport.
type Error struct {
	Code    Code
	Message string
	// Path is a JSON pointer to the offending field, or empty.
	Path string
	// Channel is the channel concerned, or empty.
	Channel string
	// Expected is the sequence number of the session's next commands, with CodeOutOfOrder.
	Expected uint64
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Errorf returns an Error without a path.
func Errorf(code Code, message string) *Error { return &Error{Code: code, Message: message} }
