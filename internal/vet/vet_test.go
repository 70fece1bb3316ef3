package vet_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/internal/vet"
	"github.com/tallywire/tallywire/namespace"
)

// checker is a function that checks.
type checker func(env events.Envelope, raw []byte) error

func (c checker) Check(env events.Envelope, raw []byte) error { return c(env, raw) }

func TestEvent(t *testing.T) {
	table, err := namespace.NewTable(map[string]namespace.Options{"jobs": {Types: []string{"job.*"}}})
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{Strict: true})
	require.NoError(t, err)
	started := []byte(`{"type":"job.started","data":{"job_id":"42"}}`)

	env, err := vet.Event(started, table.For("jobs:42"), registry)
	require.NoError(t, err)
	require.Equal(t, "job.started", env.Type)

	for raw, path := range map[string]string{
		`{"type":"job.started","data":{"job_id":1}}`: "/data/job_id",
		`{"type":"job.unheard"}`:                     "/type",
		`{"data":1}`:                                 "/type",
		`not JSON`:                                   "",
	} {
		_, err := vet.Event([]byte(raw), table.For("jobs:42"), registry)
		invalid, ok := errors.AsType[*events.InvalidError](err)
		require.True(t, ok, "%s: %v", raw, err)
		require.Equal(t, path, invalid.Path, raw)
	}
	_, err = vet.Event(started, table.For("matches:42"), registry)
	require.NoError(t, err)
	_, err = vet.Event([]byte(`{"type":"system.status","data":{"component":"x","status":"ok"}}`), table.For("jobs:42"),
		checker(func(events.Envelope, []byte) error { return nil }))
	require.ErrorContains(t, err, "not accepted in this namespace")
	_, err = vet.Event(started, table.For("jobs:42"), checker(func(events.Envelope, []byte) error { panic("a defect") }))
	require.ErrorContains(t, err, "validation panicked: a defect")
	odd := errors.New("odd")
	_, err = vet.Event(started, table.For("jobs:42"), checker(func(events.Envelope, []byte) error { return odd }))
	require.ErrorIs(t, err, odd)
}
