package wire

import "net/http"

// Problem is an RFC 9457 problem detail: an Error as HTTP tells it.
type Problem struct {
	Type    string `json:"type"` // about:blank: Title is the status' text
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Code    Code   `json:"code"`
	Retry   bool   `json:"retry"`
	Path    string `json:"path,omitempty"`
	Channel string `json:"channel,omitempty"`
	// Expected is the sequence number of the session's next commands, with out_of_order.
	Expected uint64 `json:"expected,omitempty"`
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// Problem returns the error as a problem detail.
func (e *Error) Problem() Problem {
	status := e.Code.Status()
	return Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: e.Message,
		Code: e.Code, Retry: e.Code.Retry(), Path: e.Path, Channel: e.Channel,
		Expected: e.Expected,
	}
}

// Status returns the HTTP status that goes with the code.
func (c Code) Status() int {
	switch c {
	case CodeUnauthorized, CodeTokenExpired, CodeTokenRevoked:
		return http.StatusUnauthorized
	case CodeForbidden, CodeOriginNotAllowed, CodeOriginRequired:
		return http.StatusForbidden
	case CodeHostNotAllowed:
		return http.StatusMisdirectedRequest
	case CodeReplaced, CodeInProgress, CodeOutOfOrder:
		return http.StatusConflict
	case CodeNotFound:
		return http.StatusNotFound
	case CodeFrameTooLarge, CodeStatusTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeTokenTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge
	case CodeUnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case CodeRequestTimeout:
		return http.StatusRequestTimeout
	case CodeInvalidEvent:
		return http.StatusUnprocessableEntity
	case CodeUnsupported:
		return http.StatusMethodNotAllowed
	case CodeRateLimited:
		return http.StatusTooManyRequests
	case CodeOverloaded, CodeUnavailable, CodeKeysUnavailable:
		return http.StatusServiceUnavailable
	case CodeRefused:
		return http.StatusInsufficientStorage
	case CodeInternal:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}
