// Package logs makes the gateway's log, whose level can be changed while it runs.
//
// Main path: [New] returns a logger and its [Switch]. Every logger that is derived from it follows the switch.
package logs

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Switch decides from which level on a log says something. Safe for concurrent use.
type Switch struct {
	level zerolog.Level // static: that of the settings
	now   func() time.Time
	other atomic.Pointer[override] // nil for none
}

type override struct {
	level zerolog.Level
	until time.Time
}

var _ zerolog.Sampler = (*Switch)(nil)

// New returns a logger that writes to out from a level on.
func New(out io.Writer, level zerolog.Level) (zerolog.Logger, *Switch) {
	s := &Switch{level: level, now: time.Now}
	return zerolog.New(out).Level(zerolog.DebugLevel).Sample(s).With().Timestamp().Logger(), s
}

// Sample implements zerolog.Sampler: it is asked before a line is made.
func (s *Switch) Sample(level zerolog.Level) bool { return level >= s.Level() }

// Level returns the level that holds now.
func (s *Switch) Level() zerolog.Level {
	o := s.other.Load()
	switch {
	case o == nil:
		return s.level
	case s.now().Before(o.until):
		return o.level
	}
	s.other.CompareAndSwap(o, nil)
	return s.level
}

// Set has another level hold for a time, and returns when that is over.
func (s *Switch) Set(level zerolog.Level, d time.Duration) time.Time {
	until := s.now().Add(d)
	s.other.Store(&override{level, until})
	return until
}
