package redisask

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tallywire/tallywire/gateway/admin"
)

// MaxAnswer bounds an answer in bytes. With it, hundreds of answers at once stay below what Redis lets a
// subscriber lag behind.
const MaxAnswer = 128 << 10

// maxQuestion bounds a question that is read.
const maxQuestion = 4 << 10

var errMessage = errors.New("malformed message")

// question is what goes over the wire.
type question struct {
	ID string `json:"id"`
	// Reply is the name of the asker's inbox.
	Reply string `json:"reply"`
	// Until is when nobody waits any more, in microseconds of Redis's clock.
	Until int64 `json:"until_us"`
	admin.Question
}

// response is an answer with the question that it is for.
type response struct {
	ID string `json:"id"`
	admin.Answer
}

func decodeQuestion(raw string) (q question, err error) {
	if len(raw) > maxQuestion {
		return q, fmt.Errorf("%w: %d bytes", errMessage, len(raw))
	}
	if err := json.Unmarshal([]byte(raw), &q); err != nil {
		return q, fmt.Errorf("%w: %w", errMessage, err)
	}
	if !validName(q.ID) || !validName(q.Reply) {
		return q, fmt.Errorf("%w: no id", errMessage)
	}
	return q, nil
}

func decodeResponse(raw string) (r response, err error) {
	if len(raw) > 2*MaxAnswer {
		return r, fmt.Errorf("%w: %d bytes", errMessage, len(raw))
	}
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		return r, fmt.Errorf("%w: %w", errMessage, err)
	}
	if r.ID == "" || r.Gateway == "" || r.Version != admin.QuestionVersion {
		return r, fmt.Errorf("%w: no answer of version %d", errMessage, admin.QuestionVersion)
	}
	return r, nil
}

// encodeResponse returns an answer of at most MaxAnswer bytes: what lists are too long for it is cut.
func encodeResponse(r response) ([]byte, error) {
	for {
		raw, err := json.Marshal(r)
		if err != nil || len(raw) <= MaxAnswer {
			return raw, err
		}
		if !shorten(&r.Answer) {
			return nil, fmt.Errorf("%w: an answer of %d bytes", errMessage, len(raw))
		}
	}
}

// shorten takes half of what is longest away, and reports whether there was something to take.
func shorten(a *admin.Answer) bool {
	a.Cut = true
	switch {
	case len(a.Channels) > 1:
		a.Channels = a.Channels[:len(a.Channels)/2]
	case len(a.Sessions) > 1:
		a.Sessions = a.Sessions[:len(a.Sessions)/2]
	case len(a.Sessions) == 1 && len(a.Sessions[0].Subscriptions) > 0:
		a.Sessions[0].Subscriptions = a.Sessions[0].Subscriptions[:len(a.Sessions[0].Subscriptions)/2]
	case len(a.Traces) > 1:
		a.Traces = a.Traces[:len(a.Traces)/2]
	case a.Series != nil:
		a.Series = nil
	default:
		return false
	}
	return true
}

// validName accepts what this package makes: a name becomes a part of a key.
func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
