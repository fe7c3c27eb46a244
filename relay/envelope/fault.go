package envelope

import (
	"errors"
	"fmt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// errNotVerified is the cause when Decrypt is handed something that Verify did not make, or refused.
var errNotVerified = errors.New("not a verified request of this opener")

// fault makes the error of a reason with a described cause.
func fault(reason writeback.Reason, format string, args ...any) error {
	return writeback.NewError(reason, fmt.Errorf(format, args...))
}

// misconfigured is the error of a constructor.
func misconfigured(format string, args ...any) error {
	return fault(writeback.AgentMisconfigured, format, args...)
}
