package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// maxGuestName bounds the name that a token gives in insecure mode.
const maxGuestName = 64

// everything is the pattern of all channels.
var everything = []string{"*"}

// guest returns a principal for a gateway without keys.
func guest(token string, now time.Time) *Principal {
	user, unnamed := token, !plainName(token)
	if unnamed {
		var b [4]byte
		rand.Read(b[:]) // never fails, and fills b always
		user = guestPrefix + hex.EncodeToString(b[:])
	}
	return &Principal{
		User: user, Name: user, Unnamed: unnamed, IssuedAt: now, Expires: now.Add(guestLifetime),
		Permissions: Permissions{
			Subscribe: everything, Publish: everything, Presence: everything, History: everything, Edit: everything,
		},
	}
}

const guestPrefix = "guest-"

// Of returns the principal of a session. A guest without a name is the same one whenever the session comes,
// by whatever connection or request; anybody else is who the token says.
func (p *Principal) Of(session string) *Principal {
	if !p.Unnamed || session == "" {
		return p
	}
	sum := sha256.Sum256([]byte(session))
	named := *p
	named.User = guestPrefix + hex.EncodeToString(sum[:4])
	named.Name = named.User
	return &named
}

// plainName reports whether a token in insecure mode names its user. A JWT does not: nothing of it was
// verified.
func plainName(token string) bool {
	return len(token) <= maxGuestName && !strings.HasPrefix(token, "ey") && ValidSubject(token)
}
