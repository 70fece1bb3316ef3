package publisher

import (
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnknownOutcome means that a call was sent and not answered: the event may or may not be in the
	// channel.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrNoLibrary means that Redis does not know the functions. Gateways load them, and so does
	// `tallywire doctor --load`.
	ErrNoLibrary = errors.New("the tallywire functions are not loaded into redis")

	errReply = errors.New("not the reply of tw_publish")
)

// ContractError is a refusal by the functions in Redis. Code is stable: invalid_channel, invalid_event,
// event_too_large, invalid_option, offset_overflow.
type ContractError struct {
	Code    string
	Message string
}

func (e *ContractError) Error() string { return e.Code + ": " + e.Message }

// notSentError marks an error that came before anything was sent.
type notSentError struct{ error }

func (e notSentError) Unwrap() error { return e.error }

// contract gives the errors of the contract their types.
func contract(err error) error {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return err
	}
	if rest, ok := strings.CutPrefix(reply.Error(), "ERR tallywire "); ok {
		code, message, _ := strings.Cut(rest, " ")
		return &ContractError{Code: code, Message: message}
	}
	if strings.HasPrefix(reply.Error(), "ERR Function not found") {
		return errors.Join(ErrNoLibrary, err)
	}
	return err
}

// passing are the first words of error replies that a repetition may not meet.
var passing = map[string]bool{
	"LOADING": true, "READONLY": true, "MASTERDOWN": true, "BUSY": true, "TRYAGAIN": true,
	"CLUSTERDOWN": true, "NOREPLICAS": true, "MISCONF": true, "UNBLOCKED": true,
}

// temporary reports whether a repetition may succeed.
func temporary(err error) bool {
	if errors.Is(err, ErrNoLibrary) {
		return true // a gateway is about to load them, or somebody has to
	}
	if errors.Is(err, errReply) || errors.Is(err, redis.ErrClosed) {
		return false
	}
	if _, refused := errors.AsType[*ContractError](err); refused {
		return false
	}
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return true // the network's
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	return passing[word] || strings.HasPrefix(reply.Error(), "ERR max number of clients")
}

// answered reports whether Redis has answered, so that the outcome is known: nothing was appended.
func answered(err error) bool {
	if _, refused := errors.AsType[*ContractError](err); refused {
		return true
	}
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// neverSent reports whether err came before a byte was sent.
func neverSent(err error) bool {
	if _, ok := errors.AsType[notSentError](err); ok {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrClosed)
}

// retries reports whether a client repeats commands by itself, as far as its type tells.
func retries(client Doer) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().MaxRetries > 0
	case *redis.ClusterClient:
		return c.Options().MaxRetries > 0 || c.Options().MaxRedirects > 0
	case *redis.Ring:
		return c.Options().MaxRetries > 0
	default:
		return false
	}
}
