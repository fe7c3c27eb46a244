package servicebus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// firstTry is how long the link a message came by may take to settle it. On a lost connection the SDK would go on for most of a minute.
const firstTry = 3 * time.Second

// errForeign says that a delivery was not made by this package.
var errForeign = errors.New("servicebus: the delivery came from elsewhere")

// Complete implements the relay's Source: the message is removed.
func (a *Agent) Complete(ctx context.Context, delivery *writeback.Delivery) error {
	return a.settle(ctx, delivery, complete)
}

// Abandon implements the relay's Source: the message is available again, with one more delivery counted.
func (a *Agent) Abandon(ctx context.Context, delivery *writeback.Delivery) error {
	return a.settle(ctx, delivery, func(ctx context.Context, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
		return r.AbandonMessage(ctx, m, nil)
	})
}

// DeadLetter implements the relay's Source: the message goes to the dead-letter queue, marked as one of our samples by its reason.
func (a *Agent) DeadLetter(ctx context.Context, delivery *writeback.Delivery, reason, description string) error {
	options := &azservicebus.DeadLetterOptions{Reason: &reason, ErrorDescription: &description}
	return a.settle(ctx, delivery, func(ctx context.Context, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
		return r.DeadLetterMessage(ctx, m, options)
	})
}

// Renew implements the relay's Source: the lock is prolonged by its full duration.
func (a *Agent) Renew(ctx context.Context, delivery *writeback.Delivery) error {
	return a.settle(ctx, delivery, func(ctx context.Context, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
		renewed := *m // the SDK writes into the message, which others may be reading
		if err := r.RenewMessageLock(ctx, &renewed, nil); err != nil {
			return err
		}
		delivery.Handle.(*held).setUntil(renewed.LockedUntil, time.Now())
		return nil
	})
}

func complete(ctx context.Context, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
	return r.CompleteMessage(ctx, m, nil)
}

// settlement is one call of the SDK about one message.
type settlement func(ctx context.Context, receiver *azservicebus.Receiver, message *azservicebus.ReceivedMessage) error

// settle tries the link the message came by, then, as locks outlive links, the current one with nothing but the lock token.
func (a *Agent) settle(ctx context.Context, delivery *writeback.Delivery, do settlement) error {
	handle, ours := delivery.Handle.(*held)
	if !ours {
		return errForeign
	}
	if a.isCurrent(handle.receiver) {
		err := try(ctx, firstTry, do, handle.receiver, handle.message)
		if err == nil || isFinal(err) || ctx.Err() != nil {
			return wrapSettle(err)
		}
	}
	inlet, err := a.open(ctx)
	if err != nil {
		return err
	}
	return wrapSettle(try(ctx, openTimeout, do, inlet.receiver, &azservicebus.ReceivedMessage{LockToken: handle.message.LockToken}))
}

func (a *Agent) isCurrent(receiver *azservicebus.Receiver) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inlet != nil && a.inlet.receiver == receiver
}

func try(ctx context.Context, limit time.Duration, do settlement, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := guarded(func() (struct{}, error) { return struct{}{}, do(limited, r, m) })
	return err
}

// isFinal reports whether the broker has answered so that asking again cannot help.
func isFinal(err error) bool {
	var typed *azservicebus.Error
	if !errors.As(err, &typed) {
		return false
	}
	return typed.Code == azservicebus.CodeLockLost || typed.Code == azservicebus.CodeNotFound || typed.Code == azservicebus.CodeUnauthorizedAccess
}

func wrapSettle(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("servicebus: settle: %w", err)
}
