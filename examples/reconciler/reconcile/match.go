package reconcile

// Status is what became of the lines of a match.
type Status string

// Statuses. Every line ends in exactly one match.
const (
	Matched   Status = "matched"   // certain enough to be booked
	Suggested Status = "suggested" // for a person to decide
	Unmatched Status = "unmatched" // one line for which nothing was found
	Duplicate Status = "duplicate" // one line that repeats another of its own ledger
)

// Match says which lines belong together, and why. Its slices must not be changed.
type Match struct {
	Number      int // from 1, in the order of creation
	Revision    int // from 1, grows with every change
	Status      Status
	Rule        string // the pass that decided: reference, fee, window, split, swapped, duplicate, rest
	Confidence  float64
	Reason      string
	Currency    Currency
	Left, Right []int // indexes of lines
}

// sides returns the lines of a match by side.
func (x *Match) sides() [2][]int { return [2][]int{x.Left, x.Right} }

// Kind is what happened to a match.
type Kind string

// Kinds of a Change.
const (
	Created Kind = "created"
	Updated Kind = "updated"
	Deleted Kind = "deleted"
)

// Change is one step of a job: a match that is new, was decided otherwise, or was given up because its
// lines serve a better one.
type Change struct {
	Kind  Kind
	Match Match // as it is afterwards; before its deletion for Deleted
	// Previous is the match before an update; nil for the other kinds.
	Previous *Match
	// Settled is how many lines of both sides are in a match after this change.
	Settled int
}
