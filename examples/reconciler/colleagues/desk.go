package colleagues

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/tallywire/tallywire/events"
)

// Bounds of what a desk remembers.
const (
	maxJobs   = 3
	maxOpen   = 400 // proposals of a job
	maxRecent = 40  // matches of a job that changed last
)

// match is what is known of a match. Fields are those of the built-in match types.
type match struct {
	ID       string   `json:"match_id"`
	Revision int      `json:"revision"`
	Status   string   `json:"status"`
	JobID    string   `json:"job_id"`
	LeftIDs  []string `json:"left_ids"`
	RightIDs []string `json:"right_ids"`
}

// job is what a job has left on the desk.
type job struct {
	id     string
	ended  bool             // its proposals are final, and may be decided
	open   map[string]match // proposals
	recent []string         // subjects, the last one changed last
}

// desk is where the team finds its work. It is safe for concurrent use.
type desk struct {
	mu   sync.Mutex
	jobs []*job // oldest first, at most maxJobs
}

// note takes down what an event says of a job or of its matches.
func (d *desk) note(channel string, e *events.Event) {
	kind, id, _ := strings.Cut(channel, ":")
	if kind != "jobs" && kind != "matches" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	j := d.job(id)
	switch e.Type {
	case "job.started":
		j.ended, j.open, j.recent = false, map[string]match{}, nil
	case "job.completed":
		j.ended = true
	case "match.created", "match.updated":
		var m match
		if json.Unmarshal(e.Data, &m) != nil {
			return
		}
		delete(j.open, m.ID)
		if m.Status == "proposed" && len(j.open) < maxOpen {
			j.open[m.ID] = m
		}
		j.recent = append(j.recent, e.Subject)
		if len(j.recent) > maxRecent {
			j.recent = j.recent[1:]
		}
	case "match.deleted":
		delete(j.open, strings.TrimPrefix(e.Subject, "match/"))
	}
}

// job returns a job's part of the desk, and clears away the oldest for a new one. The caller holds mu.
func (d *desk) job(id string) *job {
	for _, j := range d.jobs {
		if j.id == id {
			return j
		}
	}
	j := &job{id: id, open: map[string]match{}}
	d.jobs = append(d.jobs, j)
	if len(d.jobs) > maxJobs {
		d.jobs = d.jobs[1:]
	}
	return j
}

// task is something to look at, and to decide on where it is a proposal.
type task struct {
	channel, subject string
	proposal         *match
}

// take returns a task: mostly a proposal that can be decided, which nobody else gets, otherwise one of the
// matches that have changed last. It reports false where there is nothing.
func (d *desk) take() (task, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.jobs) == 0 {
		return task{}, false
	}
	decide := rand.IntN(3) > 0 //nolint:gosec // a demonstration
	for n := len(d.jobs) - 1; n >= 0 && decide; n-- {
		j := d.jobs[n]
		if !j.ended {
			continue
		}
		for id, m := range j.open {
			delete(j.open, id)
			return task{"matches:" + j.id, "match/" + id, &m}, true
		}
	}
	for n := len(d.jobs) - 1; n >= 0; n-- {
		if j := d.jobs[n]; len(j.recent) > 0 {
			return task{"matches:" + j.id, j.recent[rand.IntN(len(j.recent))], nil}, true //nolint:gosec // likewise
		}
	}
	return task{}, false
}
