package inbox_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// logs are the channels of all gateways: what is published to them, by whom so ever, with the dedupe window of a
// broker. They answer late, out of order across channels, and with errors.
type logs struct {
	mu       sync.Mutex
	channels map[string][]string // ids in the order of the log
	flying   map[string]int      // publishes under way, by gateway and channel
	most     int                 // channels that one gateway published to at the same time
	overlap  bool                // two publishes of one gateway to one channel at the same time
	letters  []broker.DeadLetter
	// verdict says what becomes of a publish: an error, and whether it is appended in spite of it.
	verdict func(p broker.Publication) (err error, appended bool)
	// buried says what becomes of a letter.
	buried func() error
	late   time.Duration // answers come within it
}

func newLogs() *logs {
	return &logs{channels: map[string][]string{}, flying: map[string]int{}, late: 5 * time.Millisecond}
}

// gateway is one gateway's way to the logs.
type gateway struct {
	*logs
	name string
}

// Publish implements inbox.Publisher.
func (g gateway) Publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) {
	key := g.name + " " + p.Channel
	g.mu.Lock()
	g.flying[key]++
	g.overlap = g.overlap || g.flying[key] > 1
	busy := 0
	for k, n := range g.flying {
		if n > 0 && strings.HasPrefix(k, g.name+" ") {
			busy++
		}
	}
	g.most = max(g.most, busy)
	late := rand.N(g.late)
	g.mu.Unlock()
	time.AfterFunc(late, func() {
		g.mu.Lock()
		var err error
		appended := true
		if g.verdict != nil {
			err, appended = g.verdict(p)
		}
		if ctx.Err() != nil {
			err, appended = ctx.Err(), false // it was not sent after its time
		}
		duplicate := slices.Contains(g.channels[p.Channel], p.ID)
		if appended && !duplicate {
			g.channels[p.Channel] = append(g.channels[p.Channel], p.ID)
		}
		g.mu.Unlock()
		time.AfterFunc(late, func() {
			g.mu.Lock()
			g.flying[key]--
			g.mu.Unlock()
			done(broker.Receipt{Duplicate: duplicate}, err)
		})
	})
}

// Bury implements inbox.Undertaker.
func (g gateway) Bury(_ context.Context, l broker.DeadLetter) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.buried != nil {
		if err := g.buried(); err != nil {
			return err
		}
	}
	for _, other := range g.letters {
		if other.Channel == l.Channel && other.Cursor == l.Cursor {
			return nil
		}
	}
	g.letters = append(g.letters, l)
	return nil
}

func (l *logs) log(channel string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.channels[channel])
}
