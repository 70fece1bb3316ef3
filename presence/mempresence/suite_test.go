package mempresence_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/mempresence"
	"github.com/tallywire/tallywire/presence/presencetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a store whose trackers hear everything.
type backend struct{ store *mempresence.Store }

type handle struct {
	*mempresence.Tracker
	mempresence.Faults
}

func (handle) Hear(context.Context, string) error { return nil }

func (b backend) Tracker(t *testing.T, o presence.Options) presencetest.Handle {
	t.Helper()
	tracker, err := b.store.Tracker(o)
	require.NoError(t, err)
	return handle{tracker, tracker.ForTest()}
}

func TestSuite(t *testing.T) {
	presencetest.Run(t, func(*testing.T) presencetest.Backend {
		return backend{mempresence.NewStore(mempresence.StoreOptions{})}
	})
}
