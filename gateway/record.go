package gateway

import (
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/inspect"
)

// recorder remembers what became of subscriptions that have ended, for a bounded while: the newest
// maxRecords, so that the on-call can be told why an event did not arrive.
type recorder struct {
	mu      sync.Mutex // guards the following
	records []record   // a ring
	next    int
}

const maxRecords = 16 << 10

// record is one fact about a user and a channel.
type record struct {
	user, session, channel string
	outcome                inspect.Outcome // Delivered for a range; Forbidden; ResetOver
	from, to               broker.Cursor   // the range: after from, up to to
	end                    time.Time
	detail                 string
}

func (r *recorder) add(rec record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.records) < maxRecords {
		r.records = append(r.records, rec)
		return
	}
	r.records[r.next] = rec
	r.next = (r.next + 1) % maxRecords
}

// find returns the records of a user and a channel, oldest first.
func (r *recorder) find(user, channel string) []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []record
	for i := range r.records {
		if rec := &r.records[(r.next+i)%len(r.records)]; rec.user == user && rec.channel == channel {
			out = append(out, *rec)
		}
	}
	return out
}
