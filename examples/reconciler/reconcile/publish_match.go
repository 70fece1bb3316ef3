package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// wireStatus says in the words of the built-in match types where a match stands.
var wireStatus = map[Status]string{Matched: "confirmed", Suggested: "proposed"}

// publishChange publishes a step of the matcher to the job's channel of matches.
func (j *job) publishChange(ctx context.Context, c *Change) error {
	x := &c.Match
	if x.Status == Unmatched || x.Status == Duplicate {
		return j.raiseException(ctx, x)
	}
	data, now := j.matchData(x), stamp(time.Now())
	kind := "match.created"
	switch c.Kind {
	case Created:
		data.CreatedAt = now
	case Updated:
		kind, data.UpdatedAt = "match.updated", now
		data.Changed = j.changedFields(c.Previous, x)
		if c.Previous.Status != x.Status {
			data.Previous = wireStatus[c.Previous.Status]
		}
	case Deleted:
		kind = "match.deleted"
		data = matchData{
			MatchID: data.MatchID, Revision: data.Revision, LeftIDs: data.LeftIDs, RightIDs: data.RightIDs, JobID: data.JobID,
			Author: author{Kind: "rule", ID: "split"}, Reason: "Its lines are needed for a better match.", DeletedAt: now,
		}
	}
	return j.publish(ctx, "matches:"+j.o.JobID, kind, "match/"+data.MatchID, "match", data)
}

func (j *job) matchData(x *Match) matchData {
	left, right := j.matcher.sum(Left, x.Left), j.matcher.sum(Right, x.Right)
	return matchData{
		MatchID: fmt.Sprintf("%s-m%05d", j.o.JobID, x.Number), Revision: x.Revision, JobID: j.o.JobID,
		LeftIDs: j.matcher.ids(Left, x.Left), RightIDs: j.matcher.ids(Right, x.Right),
		LeftAmount: cash(x.Currency, left), RightAmount: cash(x.Currency, right), Difference: cash(x.Currency, left-right),
		Status: wireStatus[x.Status], Confidence: x.Confidence, RuleID: x.Rule, Note: clip(x.Reason, 2000),
		Author: author{Kind: "rule", ID: x.Rule},
	}
}

// changedFields names what an update changed, in the names of the event's data.
func (j *job) changedFields(a, b *Match) []string {
	var out []string
	add := func(changed bool, names ...string) {
		if changed {
			out = append(out, names...)
		}
	}
	add(!slices.Equal(a.Left, b.Left), "left_ids")
	add(!slices.Equal(a.Right, b.Right), "right_ids")
	for _, s := range []Side{Left, Right} {
		add(j.matcher.sum(s, a.sides()[s]) != j.matcher.sum(s, b.sides()[s]), s.String()+"_amount")
	}
	add(j.matcher.Difference(a) != j.matcher.Difference(b), "difference")
	add(a.Status != b.Status, "status")
	add(a.Confidence != b.Confidence, "confidence")
	add(a.Rule != b.Rule, "rule_id", "author")
	add(a.Reason != b.Reason, "note")
	return out
}

// raiseException publishes a line that found no partner, or is there twice, beside the matches.
func (j *job) raiseException(ctx context.Context, x *Match) error {
	s, i := Left, 0
	if len(x.Left) > 0 {
		i = x.Left[0]
	} else {
		s, i = Right, x.Right[0]
	}
	l := j.matcher.Line(s, i)
	data := errorRaised{
		Code: "line." + string(x.Status), Severity: "warning", Component: component, JobID: j.o.JobID, Attempt: j.o.Attempt,
		RecordID: clip(l.ID, 128), RaisedAt: stamp(time.Now()),
		Message: clip(fmt.Sprintf("Line %s, %s %s on %s: %s.", l.ID, l.Currency.Format(l.Amount), l.Currency, l.Date, x.Reason), 2000),
		Details: map[string]any{
			"side": s.String(), "amount": cash(l.Currency, l.Amount), "date": l.Date.String(), "reference": l.Reference,
			"counterparty": l.Counterparty, "confidence": x.Confidence,
		},
	}
	return j.publish(ctx, "matches:"+j.o.JobID, "error.raised", "line/"+data.RecordID, "exception", data)
}

// ids returns the ids of lines.
func (m *Matcher) ids(s Side, indexes []int) []string {
	out := make([]string, len(indexes))
	for n, i := range indexes {
		out[n] = m.lines[s][i].ID
	}
	return out
}

// currencies returns the currencies of the left side, in order.
func (m *Matcher) currencies() []Currency {
	if m.codes == nil {
		for i := range m.lines[Left] {
			if c := m.lines[Left][i].Currency; !slices.Contains(m.codes, c) {
				m.codes = append(m.codes, c)
			}
		}
		slices.Sort(m.codes)
	}
	return m.codes
}
