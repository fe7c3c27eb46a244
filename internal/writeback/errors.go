package writeback

import "errors"

// Error is a failure that a person will read about: a stable reason for machines, a hint for operators and the cause
// for developers. Only the reason and the detail may leave the host.
type Error struct {
	Reason Reason
	Hint   string // what to do, one sentence; empty: the reason's own remedy
	Detail Detail
	Cause  error // may be nil
}

// NewError makes an Error of a reason and its cause.
func NewError(reason Reason, cause error) *Error { return &Error{Reason: reason, Cause: cause} }

// Error returns the reason and the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Remedy returns the hint, or the reason's remedy from the table.
func (e *Error) Remedy() string {
	if e.Hint != "" {
		return e.Hint
	}
	return Lookup(e.Reason).Remedy
}

// ReasonOf returns the reason of the outermost [Error] in err's chain: [ReasonOK] for nil, and [AgentInternal] for every error
// that was not given a reason, so that nothing unforeseen reaches a portal.
func ReasonOf(err error) Reason {
	if err == nil {
		return ReasonOK
	}
	var typed *Error
	if errors.As(err, &typed) {
		return typed.Reason
	}
	return AgentInternal
}

// DetailOf returns the detail of the outermost [Error] in err's chain.
func DetailOf(err error) Detail {
	var typed *Error
	if errors.As(err, &typed) {
		return typed.Detail
	}
	return Detail{}
}
