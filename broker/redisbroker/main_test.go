package redisbroker_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/internal/redisconn"
)

func TestMain(m *testing.M) {
	redisconn.LogTo(func(string) {}) // connections break on purpose here
	goleak.VerifyTestMain(m)
}
