package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/namespace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registry is the built-in one, made once.
var registry = sync.OnceValues(func() (*events.Registry, error) { return events.NewRegistry(events.Options{}) })

func options(t require.TestingT, g gateway) inbox.Options {
	table, err := namespace.NewTable(nil)
	require.NoError(t, err)
	registry, err := registry()
	require.NoError(t, err)
	return inbox.Options{
		Gateway: g.name, Broker: g, Dead: g, Namespaces: table, Registry: registry, Log: zerolog.Nop(),
	}
}

// run runs an inbox and returns what stops it.
func run(t require.TestingT, store inbox.Store, o inbox.Options) (*inbox.Inbox, func()) {
	i, err := inbox.New(store, o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	return i, sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

func event(id string) string { return fmt.Sprintf(`{"id":%q,"source":"w","type":"test.step"}`, id) }

// ids returns "w/1" … "w/n".
func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("w/", i+1)
	}
	return all
}

// empty waits until the inbox is empty, by the clock of the bubble.
func empty(t require.TestingT, m *memory, patience time.Duration) {
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		left, removed := m.left()
		if left == 0 {
			return
		}
		select {
		case <-removed:
		case <-end.C:
			require.FailNow(t, "not empty", "%d entries are left after %s", left, patience)
		}
	}
}

// Whatever fails, whoever dies, and whenever: every channel has every event once, in the order in which it was
// added, and nobody publishes two at a time to a channel.
func TestOrderHoldsWhateverFails(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		channels := rapid.IntRange(1, 5).Draw(rt, "channels")
		badCalls := rapid.IntRange(0, 30).Draw(rt, "percent of calls that fail")
		badPublishes := rapid.IntRange(0, 40).Draw(rt, "percent of publishes that fail")
		deaths := rapid.IntRange(0, 4).Draw(rt, "deaths")
		window := rapid.IntRange(1, 40).Draw(rt, "window")
		synctest.Test(t, func(*testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			store, logs := newMemory(), newLogs()
			store.faults = func(string) fault {
				if random.IntN(100) >= badCalls {
					return none
				}
				return []fault{away, mute}[random.IntN(2)]
			}
			verdicts := rand.New(rand.NewPCG(seed, 2))
			logs.verdict = func(broker.Publication) (error, bool) {
				if verdicts.IntN(100) >= badPublishes {
					return nil, true
				}
				return []error{broker.ErrUnavailable, broker.ErrOverloaded}[verdicts.IntN(2)], verdicts.IntN(2) == 0
			}
			stops := map[int]func(){}
			begin := func(n int) {
				o := options(rt, gateway{logs, fmt.Sprint("gw", n)})
				o.LeaseTTL, o.Timeout, o.MaxEntries, o.Concurrency = time.Second, 200*time.Millisecond, window, 3
				_, stops[n] = run(rt, store, o)
			}
			for n := range 3 {
				begin(n)
			}
			const each = 30
			for n := 1; n <= each; n++ {
				for c := range channels {
					store.add(fmt.Sprint("jobs:", c), event(fmt.Sprint(n)))
				}
				time.Sleep(20 * time.Millisecond)
				if deaths > 0 && n%7 == 0 {
					deaths--
					store.mu.Lock()
					var who int
					if _, err := fmt.Sscanf(store.holder, "gw%d/", &who); err == nil && stops[who] != nil {
						// Its lease and what it had taken stay, as those of a process that is gone.
						store.holder += " is dead"
						store.mu.Unlock()
						stops[who]()
						delete(stops, who)
						begin(10 + n)
						continue
					}
					store.mu.Unlock()
				}
			}
			empty(rt, store, 10*time.Minute)
			for _, stop := range stops {
				stop()
			}
			for c := range channels {
				require.Equal(rt, ids(each), logs.log(fmt.Sprint("jobs:", c)))
			}
			require.False(rt, logs.overlap)
			require.LessOrEqual(rt, logs.most, 3)
			require.Empty(rt, logs.letters)
		})
	})
}

// A channel that cannot be published to holds up itself, and nobody else.
func TestHeldChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, logs := newMemory(), newLogs()
		broken := true
		logs.verdict = func(p broker.Publication) (error, bool) {
			if broken && p.Channel == "jobs:0" {
				return broker.ErrUnavailable, false
			}
			return nil, true
		}
		i, stop := run(t, store, options(t, gateway{logs, "gw"}))
		defer stop()
		for n := 1; n <= 50; n++ {
			store.add("jobs:0", event(fmt.Sprint(n)))
			store.add("jobs:1", event(fmt.Sprint(n)))
		}
		time.Sleep(time.Minute)
		require.Equal(t, ids(50), logs.log("jobs:1"))
		require.Empty(t, logs.log("jobs:0"))
		require.Equal(t, 50, i.Stats().Held)
		retried := i.Stats().Retried
		require.Greater(t, retried, uint64(30), "it goes on trying")
		require.Less(t, retried, uint64(300), "with pauses that grow")
		logs.mu.Lock()
		broken = false
		logs.mu.Unlock()
		empty(t, store, 10*time.Second)
		require.Equal(t, ids(50), logs.log("jobs:0"))
	})
}

// A refusal is tried again for a while, and then buried; one that passes by itself is kept for as long as it takes.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, logs := newMemory(), newLogs()
		full := errors.New("full")
		var verdict error
		logs.verdict = func(p broker.Publication) (error, bool) { return verdict, verdict == nil }
		set := func(err error) {
			logs.mu.Lock()
			defer logs.mu.Unlock()
			verdict = err
		}
		o := options(t, gateway{logs, "gw"})
		o.Passing = func(err error) bool { return errors.Is(err, full) }
		i, stop := run(t, store, o)
		defer stop()
		set(fmt.Errorf("%w: %w", broker.ErrRefused, full))
		store.add("jobs:0", event("1"))
		time.Sleep(time.Hour)
		require.Zero(t, i.Stats().Refused)
		set(nil)
		empty(t, store, 10*time.Second)

		set(broker.ErrRefused)
		for n := 2; n <= 500; n++ {
			store.add("jobs:0", event(fmt.Sprint(n)))
		}
		time.Sleep(inbox.DefaultPatience - time.Second)
		require.Zero(t, i.Stats().Refused)
		empty(t, store, 15*time.Second) // a channel must not fill the window
		require.EqualValues(t, 499, i.Stats().Refused)
		set(nil)
		store.add("jobs:0", event("501"))
		empty(t, store, time.Second)
		set(broker.ErrRefused)
		store.add("jobs:0", event("502"))
		time.Sleep(inbox.DefaultPatience - time.Second)
		require.EqualValues(t, 499, i.Stats().Refused, "a new refusal is a new beginning")
		set(nil)
		empty(t, store, 10*time.Second)
		require.Equal(t, []string{"w/1", "w/501", "w/502"}, logs.log("jobs:0"))
		require.Len(t, logs.letters, 499)
		require.Equal(t, "refused", logs.letters[0].Code)
	})
}

// Letters are owed as events are: the store being away delays them, and its refusal does not block the inbox.
func TestLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, logs := newMemory(), newLogs()
		verdict := broker.ErrUnavailable
		logs.buried = func() error { return verdict }
		i, stop := run(t, store, options(t, gateway{logs, "gw"}))
		defer stop()
		store.add("jobs:0", "no JSON")
		store.add("jobs:0", event("1"))
		store.add("jobs:1", event("1"))
		time.Sleep(time.Minute)
		require.Empty(t, logs.log("jobs:0"), "it is behind the one whose letter is owed")
		require.Equal(t, ids(1), logs.log("jobs:1"))
		logs.mu.Lock()
		verdict = nil
		logs.mu.Unlock()
		empty(t, store, 10*time.Second)
		require.Len(t, logs.letters, 1)
		require.Equal(t, "no JSON", string(logs.letters[0].Event))

		logs.mu.Lock()
		verdict = broker.ErrRefused
		logs.mu.Unlock()
		store.add("jobs:0", "no JSON")
		store.add("jobs:0", event("2"))
		empty(t, store, inbox.DefaultPatience+10*time.Second)
		require.Equal(t, ids(2), logs.log("jobs:0"))
		require.EqualValues(t, 1, i.Stats().LettersLost)
		require.EqualValues(t, 1, i.Stats().Refused)
	})
}

// checker panics at one type.
type checker struct{ inbox.Undertaker }

func (checker) Check(env events.Envelope, _ []byte) error {
	if env.Type == "test.defect" {
		panic("a defect")
	}
	return nil
}

// A defect in the check of one event costs this event.
func TestDefect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, logs := newMemory(), newLogs()
		o := options(t, gateway{logs, "gw"})
		o.Registry = checker{}
		_, stop := run(t, store, o)
		defer stop()
		store.add("jobs:0", `{"type":"test.defect"}`)
		store.add("jobs:0", event("1"))
		empty(t, store, time.Minute)
		require.Equal(t, ids(1), logs.log("jobs:0"))
		require.Contains(t, logs.letters[0].Reason, "panicked")
	})
}

// An inbox whose store says that there is something when there is nothing is asked ever more seldom.
func TestNoSpinning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, logs := newMemory(), newLogs()
		takes := 0
		store.faults = func(call string) fault {
			if call == "take" {
				takes++
			}
			return none
		}
		_, stop := run(t, liar{store}, options(t, gateway{logs, "gw"}))
		time.Sleep(time.Minute)
		stop()
		require.Less(t, takes, 500)
		require.Greater(t, takes, 20)
	})
}

// liar says that there is always something.
type liar struct{ *memory }

func (liar) Wait(context.Context, string, time.Duration) (bool, error) { return true, nil }

func TestOptionsAreChecked(t *testing.T) {
	good := options(t, gateway{newLogs(), "gw"})
	for _, spoil := range []func(*inbox.Options){
		func(o *inbox.Options) { o.Gateway = "" },
		func(o *inbox.Options) { o.Broker = nil },
		func(o *inbox.Options) { o.Dead = nil },
		func(o *inbox.Options) { o.Namespaces = nil },
		func(o *inbox.Options) { o.Registry = nil },
		func(o *inbox.Options) { o.LeaseTTL = time.Millisecond },
		func(o *inbox.Options) { o.Timeout = -1 },
		func(o *inbox.Options) { o.MaxEntries = -1 },
		func(o *inbox.Options) { o.Concurrency = -1 },
	} {
		o := good
		spoil(&o)
		_, err := inbox.New(newMemory(), o)
		require.Error(t, err, "%+v", o)
	}
	i, err := inbox.New(newMemory(), good)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, i.Run(ctx))
	require.Error(t, i.Run(ctx), "it runs once")
}
