package servicebus

import (
	"errors"
	"fmt"
	"runtime"
)

// errPoison says that the SDK panicked, as it does on messages whose properties have unexpected types. Anybody with the right to
// send can make such messages.
var errPoison = errors.New("servicebus: the SDK panicked")

// guarded calls f and turns a panic into an errPoison. Of the panic only a runtime error's text is kept, which names types:
// other values could repeat what stands in a message.
func guarded[T any](f func() (T, error)) (result T, err error) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("%w: %w", errPoison, cause)
		default:
			err = fmt.Errorf("%w: value of type %T", errPoison, cause)
		}
	}()
	return f()
}
