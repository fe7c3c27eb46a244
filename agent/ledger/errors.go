package ledger

import (
	"errors"
	"fmt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// The errors callers tell apart. Every other error comes from the disk.
var (
	// ErrState refuses a step that the record's state does not allow. Nothing was changed.
	ErrState = errors.New("the request's state does not allow this step")
	// ErrUnknownRequest refuses a step for a request that has no record. Nothing was changed.
	ErrUnknownRequest = errors.New("the ledger has no record of the request")
	// ErrProbed refuses a second probe by bind for one request. Nothing was changed.
	ErrProbed = errors.New("the request was already probed by a bind")
	// ErrAccountBusy refuses to begin a write while another request for the same account is unresolved. Nothing was changed.
	ErrAccountBusy = errors.New("an earlier request for the same account is unresolved")
	// ErrInvalid refuses arguments that cannot be true. Nothing was changed.
	ErrInvalid = errors.New("not a valid ledger entry")
	// ErrFull refuses a new record, because none of the MaxRecords that exist may be forgotten yet.
	ErrFull = errors.New("the ledger is full")
	// ErrOutboxFull refuses an answer from memory, because too many answers wait already, altogether or for the same request.
	ErrOutboxFull = errors.New("the outbox is full")
	// ErrCorrupt reports a damaged file or value.
	ErrCorrupt = errors.New("the ledger is damaged")
	// ErrNewerFormat reports a file written by a newer version of the agent.
	ErrNewerFormat = errors.New("the ledger was written by a newer version")
	// ErrLocked reports that another process holds the ledger.
	ErrLocked = errors.New("the ledger is in use by another process")
	// ErrClosed reports use after Close.
	ErrClosed = errors.New("the ledger is closed")
)

// StateError says which step was refused in which state. It is an [ErrState].
type StateError struct {
	Key   writeback.RequestKey
	State State
	Step  string // the method
	Why   string // empty: the state alone
}

// Error names the request, the step and the state.
func (e *StateError) Error() string {
	text := fmt.Sprintf("request %s: %s is not possible in state %s", e.Key, e.Step, e.State)
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// Is makes errors.Is(err, ErrState) true.
func (e *StateError) Is(target error) bool { return target == ErrState }

// openError is a failure to open the ledger, with what the administrator can do about it.
func openError(kind error, path, remedy string, cause error) error {
	if cause != nil {
		kind = fmt.Errorf("%w (%w)", kind, cause)
	}
	return &writeback.Error{
		Reason: writeback.AgentStorageUnavailable,
		Hint:   remedy,
		Cause:  fmt.Errorf("ledger %s: %w", path, kind),
	}
}
