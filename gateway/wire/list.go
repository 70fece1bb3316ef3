package wire

// CodeInfo is what there is to say about a code.
type CodeInfo struct {
	Code Code
	When string // in which case it is sent
}

// Codes returns all error codes. The list is the caller's to keep.
func Codes() []CodeInfo {
	return []CodeInfo{
		{CodeInvalidFrame, "not JSON, not text, or a field of the wrong kind"},
		{CodeUnknownType, "a frame type that the gateway does not know"},
		{CodeFrameTooLarge, "a message or a body above its limit"},
		{CodeNotConnected, "a command before `connect`"},
		{CodeAlreadyConnected, "a second `connect`"},
		{CodeUnauthorized, "no token, or one that is not accepted"},
		{CodeTokenExpired, "the token has expired: get a new one"},
		{CodeTokenRevoked, "the token was revoked: get a new one"},
		{CodeKeysUnavailable, "the issuer's keys cannot be fetched now"},
		{CodeForbidden, "the token does not allow it"},
		{CodeInvalidChannel, "no name of a channel"},
		{CodeInvalidCursor, "no cursor"},
		{CodeInvalidSince, "no RFC 3339 time"},
		{CodeInvalidEvent, "the event fails its schema or the envelope; `path` says where"},
		{CodeInvalidRequest, "an HTTP request with a bad body or parameter"},
		{CodeNotFound, "no such resource"},
		{CodeNotSubscribed, "unsubscribing a channel that is not subscribed, or leaving one where the session is not present"},
		{CodeTooManySubscriptions, "more channels than a session may have"},
		{CodeStatusTooLarge, "a presence status of more than 4 KB"},
		{CodeRateLimited, "more commands, or changes of presence, a second than allowed"},
		{CodeOverloaded, "a bounded queue is full; nothing was done"},
		{CodeUnavailable, "the store is away; whether a publish happened is unknown, repeat it with its `id`"},
		{CodeRefused, "the store refuses: out of memory, no permission"},
		{CodeUnsupported, "this gateway cannot do it"},
		{CodeHostNotAllowed, "the Host is not served here"},
		{CodeOriginNotAllowed, "pages of this Origin may not use the gateway"},
		{CodeOriginRequired, "a request authorised by the cookie does not say which page it is from"},
		{CodeTokenTooLarge, "the token does not fit into a cookie"},
		{CodeUnsupportedMediaType, "the body is of a kind that is not taken here"},
		{CodeRequestTimeout, "the body did not come in time; nothing was done"},
		{CodeReplaced, "a newer poll of the session goes on in its place"},
		{CodeInProgress, "the session's commands are being done; repeat the request"},
		{CodeOutOfOrder, "the commands are not the session's next ones; `expected` says which are"},
		{CodeTooManyErrors, "too many bad frames; closes with 4429"},
		{CodeConnectTimeout, "no `connect` in time; closes with 4408"},
		{CodeSlowConsumer, "reserved: a client that does not read is dropped without a word"},
		{CodeInternal, "a defect, logged by the gateway"},
	}
}

// ReasonInfo is what there is to say about the reason of a reset.
type ReasonInfo struct {
	Reason string
	Why    string
}

// Reasons returns all reasons of a reset. The list is the caller's to keep.
func Reasons() []ReasonInfo {
	return []ReasonInfo{
		{ReasonTrimmed, "events after the cursor are no longer retained"},
		{ReasonForked, "the log has other entries at these offsets: a failover lost its tail, or the cursor is from the future"},
		{ReasonExpired, "the stream is gone, or younger than the cursor"},
		{ReasonForbidden, "the token does not allow the channel any more"},
	}
}

// CloseInfo is what there is to say about a close code.
type CloseInfo struct {
	Code    int
	Meaning string
	Client  string // what the client does
}

// CloseCodes returns all WebSocket close codes that a gateway chooses. The list is the caller's to keep.
func CloseCodes() []CloseInfo {
	return []CloseInfo{
		{CloseNormal, "normal", "is done"},
		{CloseGoingAway, "normal", "is done"},
		{CloseTooBig, "a message of more than 16 times the limit", "must send smaller ones"},
		{CloseInternal, "a defect, logged by the gateway", "reconnects with jitter and resumes"},
		{CloseRestart, "the gateway restarts, or an operator closed the connection", "reconnects with jitter and resumes"},
		{CloseUnauthorized, "token expired, revoked, or three refused", "gets a new token, then reconnects"},
		{CloseConnectTimeout, "no `connect` in time", "reconnects"},
		{CloseSlowConsumer, "reserved: it did not read for long", "reconnects and resumes"},
		{CloseTooManyErrors, "too many bad frames", "is broken; backs off for long"},
	}
}
