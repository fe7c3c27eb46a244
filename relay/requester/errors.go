package requester

import (
	"errors"
	"fmt"
)

// ErrNoAnswer is silence: the request was sent, and no answer has come. The outcome is unknown, never "failed".
var ErrNoAnswer = errors.New("no answer: the outcome is unknown")

// ErrNotConfirmed says that the queue did not confirm that it took the request. It may have it nevertheless, so the outcome is unknown.
var ErrNotConfirmed = errors.New("the queue did not confirm that it took the request")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the client is closed")

// ErrForgotten is returned by Await for a request that was not sent by this client, was settled, or is more than an hour old.
var ErrForgotten = errors.New("nothing is awaited for this request")

// ExchangeError is why a request that was sent, or may have been, has no result yet. It wraps [ErrNoAnswer] or [ErrNotConfirmed], and the cause.
type ExchangeError struct {
	RequestID string // for Await and for the agent's audit log
	Kind      error  // ErrNoAnswer or ErrNotConfirmed
	Cause     error  // the context's error, or what is wrong with the connection; may be nil
}

// Error names the request, so that the operator finds it in the agent's audit log.
func (e *ExchangeError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("request %s: %v", e.RequestID, e.Kind)
	}
	return fmt.Sprintf("request %s: %v (%v)", e.RequestID, e.Kind, e.Cause)
}

// Unwrap returns kind and cause.
func (e *ExchangeError) Unwrap() []error { return []error{e.Kind, e.Cause} }
