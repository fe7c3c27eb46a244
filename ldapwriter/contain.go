package ldapwriter

import (
	"fmt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// contained turns a panic in a goroutine of its own, which nobody else could catch, into an error. It tells the kind of the panic and not
// its message, which may quote what a controller sent.
func contained(operation func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = writeback.NewError(writeback.AgentInternal, fmt.Errorf("a panic of type %T", p))
		}
	}()
	return operation()
}
