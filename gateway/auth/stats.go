package auth

import (
	"cmp"
	"slices"
	"time"
)

// Stats say how an Authenticator is doing, for metrics and the admin API.
type Stats struct {
	// Keys are the key sets that are fetched, by issuer.
	Keys []KeysStats
	// Revocations is how many revocations hold.
	Revocations int
	// RevocationsRead is false until the list has been read once: nobody is let in before that.
	RevocationsRead bool
	// RevocationFailures counts readings that went wrong.
	RevocationFailures uint64
	// RevocationsForgotten counts revocations that the store no longer had and that were dropped because
	// there were more than [MaxRevocations].
	RevocationsForgotten uint64
}

// KeysStats are about one issuer's key set.
type KeysStats struct {
	Issuer string
	// Keys is how many usable keys the last good set has, those with a kid.
	Keys int
	// Fetched is when it was had; zero means never.
	Fetched time.Time
	// Fetches and Failures count requests.
	Fetches, Failures uint64
}

// Stats returns a snapshot.
func (a *Authenticator) Stats() Stats {
	var s Stats
	for issuer, keys := range a.issuers {
		if keys.remote == nil {
			continue
		}
		k := KeysStats{Issuer: issuer, Fetches: keys.remote.fetches.Load(), Failures: keys.remote.failures.Load()}
		if good := keys.remote.good.Load(); good != nil {
			k.Keys, k.Fetched = len(good.byID), good.fetched
		}
		s.Keys = append(s.Keys, k)
	}
	slices.SortFunc(s.Keys, func(x, y KeysStats) int { return cmp.Compare(x.Issuer, y.Issuer) })
	if a.revoked != nil {
		if set := a.revoked.set.Load(); set != nil {
			s.Revocations, s.RevocationsRead = set.len(), true
		}
		s.RevocationFailures = a.revoked.failures.Load()
		s.RevocationsForgotten = a.revoked.forgotten.Load()
	}
	return s
}
