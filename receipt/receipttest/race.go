package receipttest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/receipt"
)

// Of many who begin one batch at the same time, one does.
func testOneWins(s *suite) {
	a, b := s.pair()
	for range 10 {
		k := s.key()
		var begun, busy atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			g := []gateway{a, b}[i%2]
			wg.Go(func() {
				switch _, err := g.Open(s.ctx, k, 1); {
				case err == nil:
					begun.Add(1)
				case errors.Is(err, receipt.ErrInProgress):
					busy.Add(1)
				default:
					s.Errorf("open: %v", err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(s, 1, begun.Load())
		require.EqualValues(s, 15, busy.Load())
	}
}

// Impatient clients that repeat every request at all gateways at once have each batch done once, in order,
// and are all given the same answers.
func testEachOnce(s *suite) {
	const batches = 30
	a, b := s.pair()
	k := s.key()
	var mu sync.Mutex
	var done []uint64
	serve := func(g gateway, seq uint64) error {
		o, err := g.whenFree(k, seq)
		if err != nil {
			return err
		}
		want := fmt.Sprintf("answer to %d", seq)
		if o.Answer != nil {
			if string(o.Answer) != want {
				return fmt.Errorf("batch %d was answered %q", seq, o.Answer)
			}
			return nil
		}
		mu.Lock()
		done = append(done, seq)
		mu.Unlock()
		return g.Close(s.ctx, k, seq, o.Token, []byte(want))
	}
	for seq := uint64(1); seq <= batches; seq++ {
		var wg sync.WaitGroup
		for _, g := range []gateway{a, b, a, b} {
			wg.Go(func() {
				if err := serve(g, seq); err != nil {
					s.Errorf("batch %d: %v", seq, err)
				}
			})
		}
		wg.Wait()
	}
	require.Len(s, done, batches)
	for i, seq := range done {
		require.EqualValues(s, i+1, seq)
	}
}

// model is a session as the contract describes it, without time.
type model struct {
	known  bool
	last   uint64
	closed bool
	kept   bool
	token  string
	answer string
}

// open says what an Open has to return: an answer, a number that is expected, or neither.
func (m *model) open(seq uint64) (answer *string, expected uint64, err error) {
	switch {
	case !m.known, m.closed && seq == m.last+1:
		return nil, 0, nil
	case !m.closed && (seq == m.last || seq == m.last+1):
		return nil, 0, receipt.ErrInProgress
	case !m.closed:
		return nil, m.last, nil
	case seq == m.last && m.kept:
		return &m.answer, 0, nil
	}
	return nil, m.last + 1, nil
}

// Whatever is called in whatever order at whichever gateway, the book says what the contract says.
func testModel(s *suite) {
	a, b := s.pair()
	rapid.Check(s.T, func(t *rapid.T) {
		k, m := s.key(), model{}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			g := []gateway{a, b}[rapid.IntRange(0, 1).Draw(t, "gateway")]
			seq := rapid.Uint64Range(1, 6).Draw(t, "seq")
			if rapid.Bool().Draw(t, "open") {
				m.checkOpen(s, t, g, k, seq)
				continue
			}
			token := rapid.SampledFrom([]string{m.token, m.token, "another"}).Draw(t, "token")
			if token == "" {
				continue
			}
			answer := rapid.SampledFrom([]string{"", "yes", "no"}).Draw(t, "answer")
			text := []byte(answer)
			large := rapid.IntRange(0, 4).Draw(t, "large") == 0
			if large {
				text = make([]byte, receipt.MaxAnswer+1)
			}
			require.NoError(t, g.Close(s.ctx, k, seq, token, text))
			if !m.known || seq == m.last && token == m.token && !m.closed {
				m = model{known: true, last: seq, closed: true, kept: !large, token: token, answer: answer}
			}
		}
	})
}

func (m *model) checkOpen(s *suite, t *rapid.T, g gateway, k receipt.Key, seq uint64) {
	answer, expected, want := m.open(seq)
	o, err := g.Open(s.ctx, k, seq)
	switch {
	case want != nil:
		require.ErrorIs(t, err, want)
	case expected != 0:
		order, ok := errors.AsType[*receipt.OrderError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, expected, order.Expected)
	case answer != nil:
		require.NoError(t, err)
		require.Equal(t, *answer, string(o.Answer))
	default:
		require.NoError(t, err)
		require.Nil(t, o.Answer)
		*m = model{known: true, last: seq, token: o.Token}
	}
}
