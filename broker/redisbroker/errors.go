package redisbroker

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/internal/redisfn"
)

// ContractError is a refusal by the library of functions. Code is stable: invalid_channel,
// invalid_event, event_too_large, invalid_option, offset_overflow. It unwraps to [broker.ErrRefused].
type ContractError struct {
	Code    string
	Message string
}

// Error implements error.
func (e *ContractError) Error() string { return e.Code + ": " + e.Message }

// Unwrap makes errors.Is(err, broker.ErrRefused) true.
func (e *ContractError) Unwrap() error { return broker.ErrRefused }

// temporary are the first words of error replies that a later repetition may not meet.
var temporary = map[string]bool{
	"LOADING": true, "READONLY": true, "MASTERDOWN": true, "BUSY": true, "UNKILLABLE": true, "TRYAGAIN": true,
	"CLUSTERDOWN": true, "NOREPLICAS": true, "MISCONF": true, "UNBLOCKED": true, "MOVED": true, "ASK": true,
}

// classify gives an error of go-redis its place in the contract: refused, or unavailable.
func classify(err error) error {
	if err == nil || errors.Is(err, broker.ErrUnavailable) || errors.Is(err, broker.ErrRefused) {
		return err
	}
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return fmt.Errorf("%w: %w", broker.ErrUnavailable, err)
	}
	text := reply.Error()
	if rest, ok := strings.CutPrefix(text, "ERR tallywire "); ok {
		code, message, _ := strings.Cut(rest, " ")
		return &ContractError{Code: code, Message: message}
	}
	word, _, _ := strings.Cut(text, " ")
	if temporary[word] || missingFunction(err) || strings.HasPrefix(text, "ERR max number of clients") {
		return fmt.Errorf("%w: %w", broker.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", broker.ErrRefused, err)
}

// missingFunction reports whether Redis does not know the function; it has done nothing then.
func missingFunction(err error) bool { return redisfn.NotFound(err) }

// elsewhere reports whether a node of a cluster refused a command because the slot is another's, now or soon. It
// has done nothing then.
func elsewhere(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && (strings.HasPrefix(reply.Error(), "MOVED ") || strings.HasPrefix(reply.Error(), "ASK "))
}

// answered reports whether err is a reply of Redis, which means that the command has not been done
// half-way: the outcome is known.
func answered(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// neverSent reports whether err came before a byte of the command was written.
func neverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted)
}
