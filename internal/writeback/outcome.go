package writeback

import "time"

// Verdict says what became of a request in the directory.
type Verdict string

// The verdicts a result carries.
const (
	Written    Verdict = "written"     // the directory holds what was asked for
	NotWritten Verdict = "not_written" // nothing was changed, and nothing will be
	Unknown    Verdict = "unknown"     // a write was sent and nobody can say whether it took effect; may be revised once to Written
	OK         Verdict = "ok"          // check and ping: nothing to write, all well
)

// Detail is what a reason says beyond its name. Which members a reason fills is documented in docs/reasons.md. No member
// ever holds a secret, a distinguished name or an internal host name.
type Detail struct {
	MinLength     int        `json:"min_length,omitempty"`     // characters
	MaxLength     int        `json:"max_length,omitempty"`     // UTF-16 units
	HistoryLength int        `json:"history_length,omitempty"` // remembered passwords
	RetryAfter    *time.Time `json:"retry_after,omitempty"`    // the moment it becomes possible
	Possible      []string   `json:"possible,omitempty"`       // reasons that could not be told apart
	Hint          string     `json:"hint,omitempty"`           // a stable word that narrows the reason
	Warnings      []string   `json:"warnings,omitempty"`       // stable words for what works and should be looked at, see [WarningNotIndexed]
}

// Words for Detail.Warnings.
const (
	// WarningNotIndexed: the user was found by an attribute without an index, which is a scan of the whole directory each time.
	WarningNotIndexed = "immutable_id_not_indexed"
)

// IsZero reports whether d says nothing.
func (d Detail) IsZero() bool {
	return d.MinLength == 0 && d.MaxLength == 0 && d.HistoryLength == 0 && d.RetryAfter == nil && len(d.Possible) == 0 && d.Hint == "" &&
		len(d.Warnings) == 0
}

// Outcome is how a request ended.
type Outcome struct {
	Verdict  Verdict `json:"verdict"`
	Reason   Reason  `json:"reason"`
	Detail   Detail  `json:"detail,omitzero"`
	Replayed bool    `json:"-"` // answered from memory: a property of the answer, not of the outcome
}

// Result is what the agent signs and sends to the portal.
type Result struct {
	Agent         string // group/agent id
	Audience      string // the request's issuer
	ID            string // jti of the result
	IssuedAt      time.Time
	RequestID     string
	RequestDigest Digest
	Outcome       Outcome
}

// PendingResult is a signed result on its way to a portal: it waits in the outbox until the queue has accepted it.
type PendingResult struct {
	Sequence  uint64     // assigned by the outbox; ascending
	Request   RequestKey // CorrelationID is Request.ID
	MessageID string     // jti of the result
	Queue     string     // the issuer's results queue, from the configuration
	Session   string     // the signed reply session
	Token     []byte     // compact JWS; signed, not secret
	Expires   time.Time  // not worth sending after this
}
