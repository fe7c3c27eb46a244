package ledger

import (
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// State says how far a request got.
type State string

// The states, in the order a request passes them.
const (
	StateClaimed State = "claimed" // seen and taken on; nothing was sent to any directory
	StateWriting State = "writing" // a Modify was about to be sent, or was sent
	StateDone    State = "done"    // it has an outcome
)

// Intent is what was about to be written where, and the evidence seen before: recorded right before the Modify, so that
// after a crash somebody can find out whether it took effect.
type Intent struct {
	Account    writeback.GUID // objectGUID, the only handle of the account
	Domain     string         // DNS name
	Controller string         // host:port the Modify goes to; evidence from any other controller proves nothing
	Operation  writeback.Operation
	MustChange bool
	Unlock     bool
	Seen       writeback.PasswordState // of the account, before the write
	WritingAt  time.Time               // our clock; zero: the moment of recording
}

// Record is what the ledger knows about one request.
type Record struct {
	Key          writeback.RequestKey
	Digest       writeback.Digest // of the first token seen with this key; another digest is another request under a used id
	Operation    writeback.Operation
	IssuedAt     time.Time
	ExpiresAt    time.Time
	ReplySession string

	State      State
	ClaimedAt  time.Time
	Intent     *Intent // nil unless a write was begun
	Probed     bool    // a bind with the new password was tried; there is never a second
	Outcome    *writeback.Outcome
	FinishedAt time.Time // when Outcome was recorded; a revision moves it
	Settled    bool      // false on a done record: its unknown outcome is still being looked for
	Revised    bool      // Outcome was unknown before
	Audited    bool      // the audit holds Outcome
}

// Unresolved reports whether somebody has to find out how the request ended: a write was begun and no outcome stands, or
// the outcome is unknown and still being looked for.
func (r Record) Unresolved() bool {
	return r.State == StateWriting || r.State == StateDone && !r.Settled
}

// LastWrite is this agent's own most recent password write to an account. A later request for the account compares it with
// what the controller shows: the same Version from the same VersionSource means that nobody else has set a password since.
type LastWrite struct {
	Request       writeback.RequestKey
	IssuedAt      time.Time // of the request
	WrittenAt     time.Time // when the Modify was about to be sent, our clock
	Version       uint32    // expected after the write: the version noted before, plus one; 0 with VersionNone
	VersionSource writeback.VersionSource
	Controller    string // host:port
}

// Stats is a count of what the ledger holds.
type Stats struct {
	Created    bool // the file did not exist when the ledger was opened: the memory starts empty
	Records    int
	MaxRecords int
	Unresolved int // see [Record.Unresolved]
	Unaudited  int // done, but not yet marked as audited
	Pending    int // results waiting in the outbox, expired ones included until pruned
	FileBytes  int64
}
