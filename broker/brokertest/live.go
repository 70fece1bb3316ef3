package brokertest

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
)

var liveCases = []testCase{
	{"BothHear", bothHear},
	{"GenesisIsNeverDelivered", genesisIsNeverDelivered},
	{"SubscribeTellsTheHead", subscribeTellsTheHead},
	{"SubscribeThenRead", subscribeThenRead},
	{"UnsubscribeEnds", unsubscribeEnds},
	{"SubscribeAgain", subscribeAgain},
	{"SubscribeUnsubscribeRace", subscribeUnsubscribeRace},
	{"ManyChannels", manyChannels},
}

func bothHear(s *suite) {
	channel := s.channel("jobs")
	s.subscribe(s.a, channel)
	s.subscribe(s.b, channel)
	const each = 50
	var wg sync.WaitGroup
	for _, n := range []*node{s.a, s.b} {
		wg.Go(func() {
			for i := range each {
				if _, err := broker.PublishWait(s.ctx, n, broker.Publication{Channel: channel, Event: numbered(i)}); err != nil {
					s.Errorf("publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	log := s.log(s.a, channel)[1:]
	require.Len(s, log, 2*each)
	for _, n := range []*node{s.a, s.b} {
		n.Until(s, "every event", func() bool { return len(n.After(channel, 0)) == len(log) })
		require.Equal(s, log, n.After(channel, 0), "what was delivered is not what the log says")
	}
}

func genesisIsNeverDelivered(s *suite) {
	channel := s.channel("jobs")
	h := s.subscribe(s.a, channel)
	require.True(s, h.Exists)
	require.Equal(s, uint64(1), h.Cursor.Offset)
	require.NotZero(s, h.Cursor.Stamp)
	require.Equal(s, h.Cursor, h.First)
	require.True(s, h.Oldest().IsZero())
	c := s.publish(s.b, channel, `{"n":1}`).Cursor
	require.Equal(s, uint64(2), c.Offset)
	s.a.Until(s, "the event", func() bool { return len(s.a.Entries(channel)) > 0 })
	got := s.a.Entries(channel)
	require.Equal(s, c, got[0].Cursor)
	require.Equal(s, h.Cursor.Stamp, got[0].Prev, "the first event follows the genesis entry")
	require.Empty(s, s.read(s.a, channel, broker.ReadRequest{From: 1, Limit: 1}).Entries[0].Event)
}

func subscribeTellsTheHead(s *suite) {
	channel := s.channel("small")
	cursors := s.fill(s.a, channel, 12)
	want := broker.Head{Cursor: cursors[11], First: cursors[4], FirstPrev: cursors[3].Stamp, Exists: true}
	require.Equal(s, want, s.subscribe(s.a, channel))
	require.Equal(s, want, s.subscribe(s.b, channel))
	c := s.publish(s.a, channel, `{}`).Cursor
	again := s.subscribe(s.a, channel)
	require.Equal(s, c, again.Cursor, "the second subscription tells the head of now")
	require.Equal(s, cursors[5], again.First)
}

// subscribeThenRead is a client's resume: subscribe, read up to the head, and go on with what is
// delivered, while a publisher does not pause. Each round must see the log without gap or repetition.
func subscribeThenRead(s *suite) {
	const rounds, each = 30, 150
	channel := s.channel("jobs")
	s.publish(s.a, channel, `{"first":true}`)
	for round := range rounds {
		// Rounds subscribe at different moments of the publisher's run.
		begin, last := make(chan struct{}), make(chan broker.Cursor, 1)
		go s.publishSlowly(channel, each, round*each/(2*rounds), begin, last)
		<-begin
		heard := len(s.b.Entries(channel))
		h := s.subscribe(s.b, channel)
		from := max(h.Cursor.Offset, 11) - 10
		page := s.read(s.b, channel, broker.ReadRequest{From: from, Limit: broker.MaxReadLimit})
		end := <-last
		s.b.Until(s, fmt.Sprintf("round %d: everything after %s", round, h.Cursor), func() bool {
			return len(s.b.After(channel, h.Cursor.Offset)) == int(end.Offset-h.Cursor.Offset)
		})
		s.b.Unsubscribe(channel)

		var run []broker.Entry
		for _, e := range page.Entries {
			if e.Cursor.Offset <= h.Cursor.Offset {
				run = append(run, e)
			}
		}
		require.Equal(s, h.Cursor, run[len(run)-1].Cursor, "the page does not reach the head")
		for _, e := range s.b.Entries(channel)[heard:] {
			if e.Cursor.Offset > h.Cursor.Offset {
				run = append(run, e)
			}
		}
		slices.SortFunc(run, func(a, b broker.Entry) int { return cmp.Compare(a.Cursor.Offset, b.Cursor.Offset) })
		s.chained(run)
		require.Equal(s, from, run[0].Cursor.Offset)
		require.Equal(s, end, run[len(run)-1].Cursor)
	}
}

// publishSlowly publishes count events one after another, closes begin when it has published first of
// them, and tells the last cursor.
func (s *suite) publishSlowly(channel string, count, first int, begin chan<- struct{}, last chan<- broker.Cursor) {
	var c broker.Cursor
	for i := range count {
		if i == first {
			close(begin)
		}
		r, err := broker.PublishWait(s.ctx, s.a, broker.Publication{Channel: channel, Event: numbered(i)})
		if err != nil {
			s.Errorf("publish: %v", err)
		}
		c = r.Cursor
	}
	last <- c
}

// fence publishes on a channel that n is subscribed to and waits for it, so that what was published
// earlier has passed n too.
func (s *suite) fence(n *node) {
	s.Helper()
	channel := s.channel("fence")
	s.subscribe(n, channel)
	s.publish(n, channel, `{}`)
	n.Until(s, "the fence", func() bool { return len(n.Entries(channel)) == 1 })
	n.Unsubscribe(channel)
}

func unsubscribeEnds(s *suite) {
	channel := s.channel("jobs")
	s.subscribe(s.a, channel)
	s.subscribe(s.b, channel)
	s.publish(s.a, channel, `{"n":1}`)
	s.b.Until(s, "the first event", func() bool { return len(s.b.Entries(channel)) == 1 })
	s.b.Unsubscribe(channel)
	s.b.Unsubscribe(channel)
	s.b.Unsubscribe(s.channel("never"))
	s.fence(s.b)
	s.publish(s.a, channel, `{"n":2}`)
	s.send(s.a, broker.Publication{Channel: channel, Event: []byte(`{}`), Ephemeral: true})
	s.fence(s.b)
	require.Len(s, s.b.Entries(channel), 1, "delivered after Unsubscribe")
	require.Empty(s, s.b.Signals(channel))
	s.a.Until(s, "the others hear on", func() bool { return len(s.a.Entries(channel)) == 2 })
}

func subscribeAgain(s *suite) {
	channel := s.channel("jobs")
	s.subscribe(s.b, channel)
	s.subscribe(s.b, channel)
	s.publish(s.a, channel, `{"n":1}`)
	s.b.Until(s, "the event", func() bool { return len(s.b.Entries(channel)) >= 1 })
	s.b.Unsubscribe(channel) // ends both
	s.fence(s.b)
	missed := s.publish(s.a, channel, `{"n":2}`).Cursor
	s.fence(s.b)
	require.Len(s, s.b.Entries(channel), 1, "subscribing twice delivers twice, or outlives Unsubscribe")
	require.Equal(s, missed, s.subscribe(s.b, channel).Cursor)
	c := s.publish(s.a, channel, `{"n":3}`).Cursor
	s.b.Until(s, "the event after subscribing again", func() bool {
		got := s.b.Entries(channel)
		return got[len(got)-1].Cursor == c
	})
}

func subscribeUnsubscribeRace(s *suite) {
	channel := s.channel("jobs")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := s.b.Subscribe(s.ctx, channel); err != nil {
					s.Errorf("subscribe: %v", err)
				}
				s.b.Unsubscribe(channel)
			}
		})
	}
	s.fill(s.a, channel, 100)
	wg.Wait()
	h := s.subscribe(s.b, channel)
	c := s.publish(s.a, channel, `{"end":true}`).Cursor
	require.Greater(s, c.Offset, h.Cursor.Offset)
	s.b.Until(s, "the event after the last Subscribe", func() bool {
		got := s.b.After(channel, h.Cursor.Offset)
		return len(got) == 1 && got[0].Cursor == c
	})
}

func manyChannels(s *suite) {
	const count, each = 300, 5
	channels := make([]string, count)
	var wg sync.WaitGroup
	for i := range channels {
		channels[i] = s.channel("jobs")
		wg.Go(func() {
			if _, err := s.b.Subscribe(s.ctx, channels[i]); err != nil {
				s.Errorf("subscribe: %v", err)
			}
		})
	}
	wg.Wait()
	for i := range each {
		for _, c := range channels {
			wg.Add(1)
			p := broker.Publication{Channel: c, Event: fmt.Appendf(nil, `{"c":%q,"i":%d}`, c, i)}
			s.a.Publish(s.ctx, p, func(_ broker.Receipt, err error) {
				defer wg.Done()
				if err != nil {
					s.Errorf("publish: %v", err)
				}
			})
		}
	}
	wg.Wait()
	for _, c := range channels {
		s.b.Until(s, "every event of "+c, func() bool { return len(s.b.After(c, 0)) == each })
		for i, e := range s.b.After(c, 0) {
			require.Equal(s, uint64(i)+2, e.Cursor.Offset)
			require.JSONEq(s, fmt.Sprintf(`{"c":%q,"i":%d}`, c, i), string(e.Event))
		}
	}
}
