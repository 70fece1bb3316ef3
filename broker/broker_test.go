package broker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
)

// answering is a broker that publishes with a given function.
type answering struct {
	broker.Broker
	publish func(done func(broker.Receipt, error))
}

func (a answering) Publish(_ context.Context, _ broker.Publication, done func(broker.Receipt, error)) {
	a.publish(done)
}

func TestPublishWait(t *testing.T) {
	want := broker.Receipt{Cursor: broker.Cursor{Offset: 2, Stamp: 3}}
	at := answering{publish: func(done func(broker.Receipt, error)) { go done(want, nil) }}
	r, err := broker.PublishWait(t.Context(), at, broker.Publication{})
	require.NoError(t, err)
	require.Equal(t, want, r)

	full := answering{publish: func(done func(broker.Receipt, error)) { done(broker.Receipt{}, broker.ErrOverloaded) }}
	_, err = broker.PublishWait(t.Context(), full, broker.Publication{})
	require.ErrorIs(t, err, broker.ErrOverloaded)

	// An answer after the wait has ended blocks nobody.
	ctx, cancel := context.WithCancel(t.Context())
	late := make(chan func(broker.Receipt, error), 1)
	silent := answering{publish: func(done func(broker.Receipt, error)) { late <- done; cancel() }}
	_, err = broker.PublishWait(ctx, silent, broker.Publication{})
	require.True(t, errors.Is(err, broker.ErrUnavailable) && errors.Is(err, context.Canceled), "%v", err)
	(<-late)(want, nil)
}
