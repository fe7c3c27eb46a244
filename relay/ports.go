package relay

import (
	"context"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Source is the requests queue. Receive is called by one goroutine at a time; the other methods by many.
type Source interface {
	// Receive blocks until there is a message or ctx ends. Any other error means that the connection is in trouble; the caller
	// waits before it tries again. A nil delivery without an error means that there was nothing to hand over.
	Receive(ctx context.Context) (*writeback.Delivery, error)
	// Complete removes a message.
	Complete(ctx context.Context, delivery *writeback.Delivery) error
	// Abandon gives a message back to the queue at once; its delivery count grows.
	Abandon(ctx context.Context, delivery *writeback.Delivery) error
	// DeadLetter moves a message aside for somebody to look at.
	DeadLetter(ctx context.Context, delivery *writeback.Delivery, reason, description string) error
	// Renew prolongs the lock on a message; the delivery's LockedUntil moves.
	Renew(ctx context.Context, delivery *writeback.Delivery) error
	// PurgeSamples removes what DeadLetter moved aside before olderThan and returns how many messages that were.
	PurgeSamples(ctx context.Context, olderThan time.Time) (int, error)
	// Connected reports whether the queue can be reached at the moment, and since when that is so.
	Connected() (connected bool, since time.Time)
}

// Sender brings results to the portals' queues. It is called by many goroutines.
type Sender interface {
	// SendResult returns nil once the queue has accepted the result.
	SendResult(ctx context.Context, result writeback.PendingResult) error
}

// Handler decides about messages. It is called by many goroutines.
type Handler interface {
	// Handle returns what is to become of the delivery. When ctx ends it must return soon; until then a caller that stops waits for it.
	Handle(ctx context.Context, delivery *writeback.Delivery) writeback.Disposition
}

// Outbox is the durable memory of results that were signed and not yet accepted by a queue.
type Outbox interface {
	// Pending returns all results that were not marked delivered, oldest first.
	Pending(ctx context.Context) ([]writeback.PendingResult, error)
	// Delivered removes a result from the outbox.
	Delivered(ctx context.Context, sequence uint64) error
	// Changed returns a channel that becomes readable, or is closed, when results were added.
	Changed() <-chan struct{}
}

// Gate says whether the intake may take another message.
type Gate interface {
	// Wait returns nil as soon as the gate is open, or the error of ctx.
	Wait(ctx context.Context) error
}
