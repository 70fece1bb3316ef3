package reconcile

// Data of the published events, in the shapes of the built-in types under /events/types.

type money struct {
	Amount   string   `json:"amount"`
	Currency Currency `json:"currency"`
}

type author struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

type jobStarted struct {
	JobID       string   `json:"job_id"`
	Attempt     int      `json:"attempt"`
	MaxAttempts int      `json:"max_attempts"`
	Name        string   `json:"name"`
	Kind        string   `json:"kind"`
	Phases      []string `json:"phases"`
	Total       int      `json:"total"`
	Worker      string   `json:"worker"`
	StartedAt   string   `json:"started_at"`
}

type jobProgress struct {
	JobID     string  `json:"job_id"`
	Attempt   int     `json:"attempt"`
	Phase     string  `json:"phase"`
	Processed int     `json:"processed"`
	Total     int     `json:"total"`
	Percent   float64 `json:"percent"`
	Rate      float64 `json:"rate"`
	ETA       *int64  `json:"eta_ms,omitempty"`
	Elapsed   int64   `json:"elapsed_ms"`
	Matched   int     `json:"matched"`
	Unmatched int     `json:"unmatched"`
	Message   string  `json:"message"`
}

type jobCompleted struct {
	JobID         string           `json:"job_id"`
	Attempt       int              `json:"attempt"`
	Processed     int              `json:"processed"`
	Matched       int              `json:"matched"`
	Unmatched     int              `json:"unmatched"`
	Exceptions    int              `json:"exceptions"`
	MatchRate     float64          `json:"match_rate"`
	MatchedAmount *money           `json:"matched_amount,omitempty"`   // where there is one currency
	Open          *money           `json:"unmatched_amount,omitempty"` // likewise
	Duration      int64            `json:"duration_ms"`
	CompletedAt   string           `json:"completed_at"`
	Duplicates    int              `json:"duplicates"`
	BadLines      int              `json:"bad_lines"`
	Matches       map[Status]int   `json:"matches"`
	Currencies    []currencyTotals `json:"currencies"`
}

// currencyTotals is an addition to the built-in type: the account by currency and side, as decimals.
type currencyTotals struct {
	Currency Currency   `json:"currency"`
	Left     sideTotals `json:"left"`
	Right    sideTotals `json:"right"`
}

type sideTotals struct {
	Total     string `json:"total"`
	Matched   string `json:"matched"`
	Suggested string `json:"suggested"`
	Unmatched string `json:"unmatched"`
	Duplicate string `json:"duplicate"`
}

type failure struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details,omitempty"`
}

type jobFailed struct {
	JobID       string  `json:"job_id"`
	Attempt     int     `json:"attempt"`
	MaxAttempts int     `json:"max_attempts"`
	Phase       string  `json:"phase"`
	Processed   int     `json:"processed"`
	Error       failure `json:"error"`
	WillRetry   bool    `json:"will_retry"`
	RetryAt     string  `json:"retry_at,omitempty"`
	Duration    int64   `json:"duration_ms"`
	FailedAt    string  `json:"failed_at"`
}

// matchData serves created, updated and deleted matches; what a type does not have is left out.
type matchData struct {
	MatchID     string   `json:"match_id"`
	Revision    int      `json:"revision"`
	Changed     []string `json:"changed,omitempty"`
	Previous    string   `json:"previous_status,omitempty"`
	LeftIDs     []string `json:"left_ids"`
	RightIDs    []string `json:"right_ids"`
	LeftAmount  *money   `json:"left_amount,omitempty"`
	RightAmount *money   `json:"right_amount,omitempty"`
	Difference  *money   `json:"difference,omitempty"`
	Status      string   `json:"status,omitempty"`
	Confidence  float64  `json:"confidence,omitempty"`
	RuleID      string   `json:"rule_id,omitempty"`
	JobID       string   `json:"job_id"`
	Author      author   `json:"author"`
	Note        string   `json:"note,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	CreatedAt   string   `json:"created_at,omitempty"`
	UpdatedAt   string   `json:"updated_at,omitempty"`
	DeletedAt   string   `json:"deleted_at,omitempty"`
}

type errorRaised struct {
	Code      string         `json:"code"`
	Message   string         `json:"message"`
	Severity  string         `json:"severity"`
	Component string         `json:"component"`
	JobID     string         `json:"job_id"`
	Attempt   int            `json:"attempt"`
	RecordID  string         `json:"record_id,omitempty"`
	Retryable bool           `json:"retryable"`
	Details   map[string]any `json:"details,omitempty"`
	RaisedAt  string         `json:"raised_at"`
}

type notification struct {
	ID       string `json:"notification_id"`
	Severity string `json:"severity"`
	Title    string `json:"title"`
	Body     string `json:"body,omitempty"`
	Category string `json:"category"`
	Link     string `json:"link"`
	Author   author `json:"author"`
	RaisedAt string `json:"raised_at"`
}

type metric struct {
	Metric     string            `json:"metric"`
	Value      *float64          `json:"value,omitempty"`
	Unit       string            `json:"unit,omitempty"`
	Amount     *money            `json:"amount,omitempty"`
	Labels     map[string]string `json:"labels"`
	MeasuredAt string            `json:"measured_at"`
}

type systemStatus struct {
	Component string `json:"component"`
	Status    string `json:"status"`
	Message   string `json:"message"`
	Since     string `json:"since"`
}
