package doctor

// Status is how a check ended.
type Status string

// Statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // it works, and something is worth knowing
	Fail Status = "fail" // events are not delivered, or will be lost
)

// Finding is the outcome of one check.
type Finding struct {
	Status Status `json:"status"`
	Check  string `json:"check"`
	Detail string `json:"detail"`
	// Advice says what to do; empty where nothing is to be done.
	Advice string `json:"advice,omitempty"`
}

func ok(check, detail string) Finding { return Finding{OK, check, detail, ""} }

func warn(check, detail, advice string) Finding { return Finding{Warn, check, detail, advice} }

func fail(check, detail, advice string) Finding { return Finding{Fail, check, detail, advice} }
