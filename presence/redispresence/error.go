package redispresence

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/internal/redisfn"
	"github.com/tallywire/tallywire/presence"
)

// temporary are the first words of error replies that a later repetition may not meet.
var temporary = map[string]bool{
	"LOADING": true, "READONLY": true, "MASTERDOWN": true, "BUSY": true, "UNKILLABLE": true, "TRYAGAIN": true,
	"CLUSTERDOWN": true, "NOREPLICAS": true, "MISCONF": true, "UNBLOCKED": true,
}

// classify gives an error of go-redis its place in the contract: refused, or unavailable.
func classify(err error) error {
	if err == nil || errors.Is(err, presence.ErrUnavailable) || errors.Is(err, presence.ErrRefused) {
		return err
	}
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return fmt.Errorf("%w: %w", presence.ErrUnavailable, err)
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	if temporary[word] || redisfn.NotFound(err) || strings.HasPrefix(reply.Error(), "ERR max number of clients") {
		return fmt.Errorf("%w: %w", presence.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", presence.ErrRefused, err)
}

// unexpected is the error for a reply that no function of ours gives.
func unexpected(what string, reply any) error {
	return fmt.Errorf("%w: unexpected reply to %s: %.80q", presence.ErrRefused, what, fmt.Sprint(reply))
}
