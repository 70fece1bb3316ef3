package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/tallywire/tallywire/gateway/inspect"
)

// summarise says an explanation in a few sentences, for a person in a hurry.
func (e *explainAnswer) summarise() string {
	parts := []string{e.verdict()}
	if note := e.streamNote(); note != "" {
		parts = append(parts, note)
	}
	if !e.Certain {
		parts = append(parts, e.doubt())
	}
	return strings.Join(parts, " ")
}

// verdict is the first sentence: what became of the event for the user.
func (e *explainAnswer) verdict() string {
	where := ""
	if len(e.Traces) > 0 {
		t := e.Traces[0]
		where = fmt.Sprintf(" (session %s, gateway %s, %s)", t.Session, t.Gateway, clock(t.Time))
		if t.Session == "" {
			where = fmt.Sprintf(" (gateway %s)", t.Gateway)
		}
	}
	switch e.Outcome {
	case inspect.Delivered:
		return fmt.Sprintf("Delivered: the event was written to a socket of %s%s.", e.User, where)
	case inspect.Skipped:
		return fmt.Sprintf("Skipped: %s was told that the event was left out on purpose%s%s.", e.User, why(e.Traces), where)
	case inspect.ResetOver:
		return fmt.Sprintf("Reset: %s was told that events were lost here and where to go on%s.", e.User, where)
	case inspect.Pending:
		return fmt.Sprintf("Pending: %s is subscribed and has not come so far yet%s.", e.User, where)
	case inspect.Forbidden:
		return fmt.Sprintf("Forbidden: the token of %s does not allow %s%s.", e.User, e.Channel, where)
	case inspect.NotCovered:
		return fmt.Sprintf("Not covered: %s was subscribed to %s, but began after this event or had ended before it%s.", e.User, e.Channel, where)
	case inspect.NotSubscribed:
		return fmt.Sprintf("Not subscribed: %s was connected and had not subscribed to %s%s.", e.User, e.Channel, where)
	case inspect.NotConnected:
		return fmt.Sprintf("Not connected: no gateway knows of a connection of %s to %s.", e.User, e.Channel)
	case outcomeTrimmed:
		return fmt.Sprintf("Gone: the event is no longer in the stream, and no gateway remembers that %s got it.", e.User)
	case outcomeNeverPublished:
		return "Never published: the channel has not come so far. Is the cursor of another channel, or of another environment?"
	default:
		return "Unknown: what answered does not know, and something that might know did not answer."
	}
}

// streamNote is the sentence about the stream.
func (e *explainAnswer) streamNote() string {
	s := &e.Stream
	switch s.State {
	case placeStored:
		if s.Event != nil && s.Event.Invalid != "" {
			return fmt.Sprintf("The stream holds it, published at %s, and it is delivered to nobody because it is invalid: %s.", clock(s.Published), s.Event.Invalid)
		}
		return fmt.Sprintf("The stream holds it, published at %s; whoever resumes before it still gets it.", clock(s.Published))
	case placeGenesis:
		return "The cursor is that of the entry which opens the stream; it is never delivered to anybody."
	case placeTrimmed:
		return fmt.Sprintf("The stream has been trimmed past it and begins at %s now.", s.First)
	case placeForked:
		return "Another entry has its place in the stream: a failover lost it, and subscribers who had seen it were reset."
	case placeExpired:
		return "The stream has expired, or was begun anew, since it was published."
	case placeNever:
		return fmt.Sprintf("The stream's head is %s.", s.Head)
	default:
		return ""
	}
}

// doubt is the sentence that says why the rest is not certain.
func (e *explainAnswer) doubt() string {
	var names []string
	for _, m := range e.Missing {
		names = append(names, m.Gateway)
	}
	switch {
	case len(names) > 0:
		return "This is not certain: " + strings.Join(names, ", ") + " did not answer."
	case e.Stream.State == placeUndecided:
		return "This is not certain: the store did not answer."
	default:
		return "This is not certain: the other gateways could not be asked."
	}
}

// why repeats what the best trace says about itself.
func why(traces []inspect.Trace) string {
	if len(traces) == 0 || traces[0].Detail == "" {
		return ""
	}
	return ", " + traces[0].Detail
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}
