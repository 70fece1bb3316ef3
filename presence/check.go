package presence

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/tallywire/tallywire/events"
)

// Validate reports what is wrong with an entry: [events.ErrInvalidChannel], ErrInvalid or
// ErrStatusTooLarge. Every implementation's Enter does it first.
func (e *Entry) Validate() error {
	if err := checkKey(e.Channel, e.User, e.Session, e.Claim); err != nil {
		return err
	}
	switch {
	case !text(e.Name, 0, MaxName):
		return fmt.Errorf("%w: name: at most %d bytes of UTF-8 without control characters", ErrInvalid, MaxName)
	case len(e.Status) > MaxStatus:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrStatusTooLarge, len(e.Status), MaxStatus)
	case e.Status != nil && !(json.Valid(e.Status) && utf8.Valid(e.Status)):
		return fmt.Errorf("%w: status: no JSON", ErrInvalid)
	case e.Grace < 0 || e.Grace > MaxGrace:
		return fmt.Errorf("%w: grace: between 0 and %s", ErrInvalid, MaxGrace)
	}
	return nil
}

// Validate reports what is wrong with an exit. Every implementation's Leave does it first.
func (e *Exit) Validate() error {
	if e.Grace < 0 || e.Grace > MaxGrace {
		return fmt.Errorf("%w: grace: between 0 and %s", ErrInvalid, MaxGrace)
	}
	return checkKey(e.Channel, e.User, e.Session, e.Claim)
}

// Validate reports what is wrong with a session's description. Every implementation's SetSession does it
// first.
func (s *SessionInfo) Validate() error { return checkSession(s.User, s.Session, s.Claim) }

func checkKey(channel, user, session, claim string) error {
	if err := events.ValidateChannel(channel); err != nil {
		return err
	}
	return checkSession(user, session, claim)
}

func checkSession(user, session, claim string) error {
	switch {
	case !text(user, 1, MaxUser):
		return fmt.Errorf("%w: user: 1 to %d bytes of UTF-8 without control characters", ErrInvalid, MaxUser)
	case !text(session, 1, MaxSessionID):
		return fmt.Errorf("%w: session: 1 to %d bytes of UTF-8 without control characters", ErrInvalid, MaxSessionID)
	case !text(claim, 1, MaxClaim):
		return fmt.Errorf("%w: claim: 1 to %d bytes of UTF-8 without control characters", ErrInvalid, MaxClaim)
	}
	return nil
}

// text reports whether s is UTF-8 of so many bytes, without control characters: these separate parts of
// names in the stores.
func text(s string, least, most int) bool {
	if len(s) < least || len(s) > most || !utf8.ValidString(s) {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}
