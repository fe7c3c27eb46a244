package relay

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/password-writeback/writeback/internal/writeback"
)

// work takes one delivery from the handler to its settlement. stopping is closed when the intake stops.
func (l *Loop) work(ctx context.Context, stopping <-chan struct{}, delivery *writeback.Delivery) {
	defer l.slots.release()
	defer l.tally.finished()
	unwatch := l.watchLock(ctx, delivery)
	disposition := l.handle(ctx, delivery)
	l.slots.setSlow(disposition.SlowIntake)
	if disposition.Delay > 0 {
		// A message is held so that it does not come straight back to us. Once the intake has stopped it cannot.
		sleep(stopping, disposition.Delay)
	}
	unwatch()
	l.settle(ctx, delivery, disposition)
}

// handle calls the handler and turns a panic into a disposition. Nobody knows how far the handler got, so the message is left to
// its lock: what comes back after that has expired, and can write nothing.
func (l *Loop) handle(ctx context.Context, delivery *writeback.Delivery) (disposition writeback.Disposition) {
	defer func() {
		if cause := recover(); cause != nil {
			l.tally.panicked()
			l.log.WithFields(map[string]any{
				"panic": describePanic(cause), "stack": string(debug.Stack()), "delivery_count": delivery.Count,
			}).Error("relay: a handler panicked; its message is left to the queue's lock")
			disposition = writeback.Disposition{Reason: writeback.AgentInternal, Settlement: writeback.Leave}
		}
	}()
	return l.config.Handler.Handle(ctx, delivery)
}

// describePanic says what a panic was about without repeating what may have been read from a message: only the
// runtime's own errors are quoted, of everything else just the type is told.
func describePanic(cause any) string {
	if err, ok := cause.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("value of type %T", cause)
}
