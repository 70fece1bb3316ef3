package gateway_test

import (
	"testing"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
)

func membrokerDead(t *testing.T) broker.DeadLetters {
	t.Helper()
	return membroker.NewDead(100)
}
