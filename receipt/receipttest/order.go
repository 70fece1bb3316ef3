package receipttest

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/receipt"
)

func testFirst(s *suite) {
	a, b := s.pair()
	for _, first := range []uint64{1, 7, receipt.MaxSeq - 1} {
		k := s.key()
		a.do(k, first, "first")
		b.answered(k, first, "first")
		b.do(k, first+1, "second")
	}
}

func testInOrder(s *suite) {
	a, b := s.pair()
	k := s.key()
	a.do(k, 5, "five")
	b.expects(k, 7, 6)
	b.expects(k, receipt.MaxSeq, 6)
	b.expects(k, 4, 6)
	b.expects(k, 1, 6)
	b.do(k, 6, "six")
	a.expects(k, 5, 7)
	a.answered(k, 6, "six")
	a.do(k, 7, "seven")
	all := total(a, b)
	require.EqualValues(s, 3, all.Begun)
	require.EqualValues(s, 1, all.Repeated)
	require.EqualValues(s, 5, all.OutOfOrder)
}

func testRepeated(s *suite) {
	a, b := s.pair()
	k := s.key()
	for seq := uint64(1); seq <= 20; seq++ {
		answer := strings.Repeat("x", int(seq))
		a.do(k, seq, answer)
		b.answered(k, seq, answer)
		a.answered(k, seq, answer)
		a, b = b, a
	}
}

func testAnswers(s *suite) {
	a, b := s.pair()
	k := s.key()
	a.do(k, 1, "")
	b.answered(k, 1, "")
	require.NoError(s, a.Close(s.ctx, k, 2, a.begin(k, 2), nil))
	b.answered(k, 2, "")
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	a.do(k, 3, string(every))
	b.answered(k, 3, string(every))
	largest := strings.Repeat("€", receipt.MaxAnswer/3) + "x"
	require.Len(s, largest, receipt.MaxAnswer)
	a.do(k, 4, largest)
	b.answered(k, 4, largest)

	// An answer is the caller's own copy, on the way in and on the way out.
	mine := []byte("mine")
	require.NoError(s, a.Close(s.ctx, k, 5, a.begin(k, 5), mine))
	mine[0] = 'X'
	o, err := a.Open(s.ctx, k, 5)
	require.NoError(s, err)
	require.Equal(s, "mine", string(o.Answer))
	o.Answer[0] = 'X'
	a.answered(k, 5, "mine")
}

// A batch whose answer was too large was done: it is not done again, and the session goes on.
func testTooLarge(s *suite) {
	a, b := s.pair()
	k := s.key()
	a.do(k, 1, strings.Repeat("x", receipt.MaxAnswer+1))
	b.expects(k, 1, 2)
	require.EqualValues(s, 1, total(a, b).NotKept)
	b.do(k, 2, "two")
	a.answered(k, 2, "two")
	a.do(k, 3, strings.Repeat("x", receipt.MaxAnswer+1))
	b.expects(k, 3, 4)
	b.expects(k, 2, 4)
}

func testInvalid(s *suite) {
	a, _ := s.pair()
	good := s.key()
	long := strings.Repeat("x", receipt.MaxName+1)
	for _, c := range []struct {
		key receipt.Key
		seq uint64
	}{
		{good, 0},
		{good, receipt.MaxSeq + 1},
		{receipt.Key{User: "", Session: "s"}, 1},
		{receipt.Key{User: "u", Session: ""}, 1},
		{receipt.Key{User: long, Session: "s"}, 1},
		{receipt.Key{User: "u", Session: long}, 1},
	} {
		_, err := a.Open(s.ctx, c.key, c.seq)
		require.ErrorIs(s, err, receipt.ErrInvalid)
		require.ErrorIs(s, a.Close(s.ctx, c.key, c.seq, "token", nil), receipt.ErrInvalid)
	}
	require.ErrorIs(s, a.Close(s.ctx, good, 1, "", nil), receipt.ErrInvalid)
	a.do(receipt.Key{User: long[1:], Session: long[1:]}, receipt.MaxSeq, "last")
}

// Names are not mistaken for each other, whatever they are made of.
func testApart(s *suite) {
	a, b := s.pair()
	names := []receipt.Key{
		{User: "a", Session: "b"},
		{User: "b", Session: "a"},
		{User: "a/b", Session: "c"},
		{User: "a", Session: "b/c"},
		{User: "a}", Session: "{b"},
		{User: "a{b}", Session: "c"},
		{User: "ü:1", Session: "€ \n\x00"},
		{User: "*", Session: "?"},
		{User: "YQ", Session: "Yg"},
	}
	for i, k := range names {
		a.do(k, uint64(10*i+1), k.User+k.Session)
	}
	for i, k := range names {
		b.answered(k, uint64(10*i+1), k.User+k.Session)
	}
}
