package brokertest

import (
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
)

var checkCases = []testCase{
	{"CheckWholeLog", checkWholeLog},
	{"CheckTrimmed", checkTrimmed},
	{"CheckForeign", checkForeign},
	{"CheckForked", checkForked},
	{"CheckExpired", checkExpired},
}

// check reads the page after c, as whoever resumes does, and judges c.
func (s *suite) check(channel string, c broker.Cursor) broker.Verdict {
	s.Helper()
	p := s.read(s.b, channel, broker.ReadRequest{From: c.Offset + 1})
	v := p.Check(c)
	other := s.read(s.a, channel, broker.ReadRequest{From: c.Offset + 1})
	require.Equal(s, v, other.Check(c), "two gateways disagree")
	return v
}

func (s *suite) verdict(want broker.Verdict, channel string, c broker.Cursor) {
	s.Helper()
	require.Equal(s, want.String(), s.check(channel, c).String(), "cursor %s", c)
}

func checkWholeLog(s *suite) {
	channel := s.channel("jobs")
	genesis := s.subscribe(s.a, channel).Cursor
	s.verdict(broker.Valid, channel, genesis)
	s.verdict(broker.Valid, channel, broker.Cursor{})
	for _, c := range s.fill(s.a, channel, 10) {
		s.verdict(broker.Valid, channel, c)
	}
	s.verdict(broker.Valid, channel, genesis)
	s.verdict(broker.Valid, channel, broker.Cursor{})
}

func checkTrimmed(s *suite) {
	channel := s.channel("small")
	genesis := s.subscribe(s.a, channel).Cursor
	cursors := s.fill(s.a, channel, 20)
	boundary := 20 - smallLen - 1 // the last that is not retained
	for i, c := range cursors {
		if i < boundary {
			s.verdict(broker.Trimmed, channel, c)
		} else {
			s.verdict(broker.Valid, channel, c)
		}
	}
	s.verdict(broker.Trimmed, channel, genesis)
	s.verdict(broker.Trimmed, channel, broker.Cursor{})
	s.verdict(broker.Forked, channel, broker.Cursor{Offset: cursors[boundary].Offset, Stamp: cursors[boundary].Stamp + 1})
}

// checkForeign judges cursors that this channel never gave out.
func checkForeign(s *suite) {
	channel := s.channel("jobs")
	cursors := s.fill(s.a, channel, 10)
	head := cursors[9]
	s.verdict(broker.Forked, channel, broker.Cursor{Offset: head.Offset + 1, Stamp: head.Stamp + 1})
	s.verdict(broker.Forked, channel, broker.Cursor{Offset: head.Offset + 1000, Stamp: head.Stamp + 1e9})
	s.verdict(broker.Forked, channel, broker.Cursor{Offset: head.Offset, Stamp: head.Stamp + 1})
	s.verdict(broker.Forked, channel, broker.Cursor{Offset: cursors[4].Offset, Stamp: cursors[4].Stamp + 1})
	s.verdict(broker.Forked, channel, broker.Cursor{Offset: cursors[4].Offset, Stamp: cursors[5].Stamp})
	s.verdict(broker.Expired, s.channel("jobs"), head)
}

func checkForked(s *suite) {
	forker := capability[Forker](s)
	channel := s.channel("jobs")
	old := s.fill(s.a, channel, 10)
	forker.Fork(channel, 3)
	s.verdict(broker.Forked, channel, old[9])
	s.verdict(broker.Valid, channel, old[6])
	s.verdict(broker.Forked, channel, old[7])
	fresh := s.fill(s.a, channel, 5)
	require.Equal(s, old[7].Offset, fresh[0].Offset, "the offsets of the lost entries are used again")
	for i, c := range old {
		if i < 7 {
			s.verdict(broker.Valid, channel, c)
		} else {
			s.verdict(broker.Forked, channel, c)
		}
	}
	for _, c := range fresh {
		s.verdict(broker.Valid, channel, c)
	}
	log := s.log(s.b, channel)
	s.chained(log)
	require.Equal(s, append(old[:7:7], fresh...), cursorsOf(visible(log)))
}

func checkExpired(s *suite) {
	expirer := capability[Expirer](s)
	channel := s.channel("jobs")
	old := s.fill(s.a, channel, 5)
	expirer.Expire(channel)
	require.False(s, s.read(s.a, channel, broker.ReadRequest{}).Exists)
	for _, c := range old {
		s.verdict(broker.Expired, channel, c)
	}
	fresh := s.fill(s.a, channel, 10)
	require.Equal(s, uint64(2), fresh[0].Offset, "a new stream begins")
	for _, c := range old {
		s.verdict(broker.Expired, channel, c)
	}
	for _, c := range fresh {
		s.verdict(broker.Valid, channel, c)
	}
}
